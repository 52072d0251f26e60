"""Label Studio's brush strokes: a bit stream of runs and literal bytes over the picture's RGBA values, line by line.

    32 bits number of bytes, 5 bits word size - 1, four sizes - 1 of 4 bits each; then, until all bytes are told:
    1 bit: a run? 2 bits: which of the four sizes; so many bits: count - 1; one byte for a run, else ``count`` bytes

A pixel is covered where its last byte, alpha, is not zero.  The form is that of ``@thi.ng/rle-pack``.
"""

from collections.abc import Iterator, Sequence

from locstudio.interchange.masks import BadMask

MAX_BYTES = 1 << 20
_WORD = 8
_SIZES = (3, 4, 8, 16)
_CHANNELS = 4


def runs_of_brush(packed: Sequence[int], num_pixels: int) -> list[int]:
    """The run lengths of pixels, line by line, starting with those that are not covered.

    Raises:
        BadMask: it is no brush stroke of so many pixels.
    """
    if len(packed) > MAX_BYTES:
        raise BadMask("the brush stroke is too long")
    if not all(type(byte) is int and 0 <= byte < 256 for byte in packed):
        raise BadMask("the brush stroke is no list of bytes")
    bits = _Bits(bytes(packed))
    if bits.take(32) != _CHANNELS * num_pixels or bits.take(5) + 1 != _WORD:
        raise BadMask("the brush stroke does not fill its picture")
    runs, is_covered, done = [0], False, 0
    for count, is_set in _stretches(bits, _CHANNELS * num_pixels):
        first, last = done // _CHANNELS, (done + count) // _CHANNELS  # pixels that end, with their alpha, in here
        done += count
        if last == first:
            continue
        if is_set != is_covered:
            runs.append(0)
            is_covered = is_set
        runs[-1] += last - first
    return runs


def brush_of_runs(runs: Sequence[int]) -> list[int]:
    """Run lengths of pixels, line by line, as a brush stroke."""
    pieces = [f"{_CHANNELS * sum(runs):032b}{_WORD - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for place, run in enumerate(runs):
        pieces += _run(_CHANNELS * run, 255 * (place % 2))
    bits = "".join(pieces)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def _run(count: int, value: int) -> Iterator[str]:
    while count:
        part = min(count, 1 << _SIZES[-1])
        place, size = next((place, size) for place, size in enumerate(_SIZES) if part <= 1 << size)
        yield f"1{place:02b}{part - 1:0{size}b}{value:08b}"
        count -= part


def _stretches(bits: "_Bits", num_bytes: int) -> Iterator[tuple[int, bool]]:
    """How many bytes, and whether they are set; in order."""
    sizes = [bits.take(4) + 1 for _ in range(4)]
    done = 0
    while done < num_bytes:
        is_run = bits.take(1)
        count = bits.take(sizes[bits.take(2)]) + 1
        done += count
        if done > num_bytes:
            raise BadMask("the brush stroke does not fill its picture")
        if is_run:
            yield count, bits.take(_WORD) != 0
        else:
            for _ in range(count):
                yield 1, bits.take(_WORD) != 0


class _Bits:
    """Bits, the highest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> int:
        end = self._at + count
        last = (end + 7) // 8
        if last > len(self._data):
            raise BadMask("the brush stroke ends in the middle")
        value = int.from_bytes(self._data[self._at // 8 : last], "big") >> (8 * last - end)
        self._at = end
        return value & ((1 << count) - 1)

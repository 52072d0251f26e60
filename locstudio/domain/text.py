"""Text from outside, made fit for one line of plain text."""


def shown(text: str, limit: int = 200) -> str:
    """``text`` with everything escaped that is no printable character, and the middle cut out where it is long.

    File names may hold newlines, marks that turn the reading direction, and bytes that are no UTF-8.
    """
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}…{text[-half:]}"
    return text if text.isprintable() else "".join(_shown_character(character) for character in text)


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 image", "3 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown_character(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as the file system's surrogateescape gives it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

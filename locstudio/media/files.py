"""Opening picture files from strangers: regular files only, allow-listed formats only, size before pixels."""

import errno
import io
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO

from PIL import Image as PillowImage
from PIL import ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Problem
from locstudio.domain.text import shown

MAX_PIXELS = 100_000_000
"""Pictures with more pixels are refused before anything is decoded."""

READABLE = "JPEG, PNG, WebP, BMP, TIFF, GIF and AVIF"

DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    PillowImage.DecompressionBombWarning,
)
"""What Pillow's plugins let through on hostile bytes; every one of them means "this file is broken"."""

PillowImage.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("error", category=PillowImage.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # broken metadata; we say so ourselves


class ImageProblem(BadInput):
    """A picture file cannot be used; ``problem`` says why in one word, the message in a sentence."""

    def __init__(self, problem: Problem, sentence: str) -> None:
        super().__init__(sentence)
        self.problem = problem


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; never waits, whatever the path names.

    Raises:
        ImageProblem: there is no such file, it is no regular file, it is empty, or it may not be read.
    """
    name = shown(path.name)
    try:
        is_regular = stat.S_ISREG(os.stat(path).st_mode)
        if is_regular:
            # The path may have been exchanged for a pipe since: O_NONBLOCK opens that without waiting, fstat sees it.
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            status = os.fstat(handle)
            is_regular = stat.S_ISREG(status.st_mode)
            if is_regular and status.st_size > 0:
                return os.fdopen(handle, "rb")
            os.close(handle)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageProblem(Problem.MISSING, f"{name} is missing.") from error
    except (OSError, ValueError) as error:
        raise ImageProblem(Problem.UNREADABLE, f"{name} cannot be opened: {_reason(error)}.") from error
    if not is_regular:
        raise ImageProblem(Problem.UNREADABLE, f"{name} is not an ordinary file.")
    raise ImageProblem(Problem.UNREADABLE, f"{name} is empty.")


def open_image(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    """The picture in an open file with its header read and no pixel decoded.  ``name`` is for the sentences.

    The format is told by the content, never by the name.  MPO is opened as the JPEG that it begins with.

    Raises:
        ImageProblem: it is no picture that we read, its header is broken, or it has more than ``MAX_PIXELS``.
    """
    start = file.read(32)
    plugin = _plugin_for(start)
    if plugin is None:
        raise ImageProblem(Problem.UNREADABLE, f"{name} is {_what_else(start)}; LocStudio reads {READABLE}.")
    if start[8:12] == b"WEBP":
        _refuse_large(*_webp_size(start), name)  # its plugin asks for the canvas' memory when it opens the file
    file.seek(0)
    try:
        image = plugin(file)
    except DECODER_ERRORS as error:
        raise ImageProblem(Problem.UNREADABLE, f"{name} has a broken header: {_reason(error)}.") from error
    _refuse_large(*image.size, name)
    return image


def is_picture_start(start: bytes) -> bool:
    """Whether a file that begins so is of a format that we read."""
    return _plugin_for(start) is not None


def _plugin_for(start: bytes) -> Callable[[BinaryIO], ImageFile.ImageFile] | None:
    if start[:4] == b"RIFF":
        return WebPImageFile if start[8:12] == b"WEBP" else None
    if start[4:8] == b"ftyp":
        return AvifImageFile if start[8:12] in (b"avif", b"avis", b"mif1", b"msf1") else None
    for magic, plugin in _PLUGINS:
        if start.startswith(magic):
            return plugin
    return None


_PLUGINS: tuple[tuple[bytes, Callable[[BinaryIO], ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),  # not Pillow's factory: that would follow offsets inside MPO files
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II\x2a\x00", TiffImageFile),
    (b"MM\x00\x2a", TiffImageFile),
    (b"II\x2b\x00", TiffImageFile),
    (b"MM\x00\x2b", TiffImageFile),
)

_OTHERS = (
    (b"%pdf", "a PDF document"),
    (b"%!ps", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML file"),
    (b"8bps", "a Photoshop file"),
    (b"simple  =", "a FITS file"),
    (b"pk\x03\x04", "a ZIP archive"),
    (b"\x00\x00\x00\x0cjp  ", "a JPEG 2000 picture"),
)


def _what_else(start: bytes) -> str:
    lowered = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, words in _OTHERS:
        if lowered.startswith(magic):
            return words
    if start[4:8] == b"ftyp":
        return "a video or a HEIC picture"
    text = start.decode("utf-8", "replace").rstrip("\ufffd")  # the last character may be cut in two
    is_text = "\ufffd" not in text and all(c.isprintable() or c in "\t\r\n\ufeff" for c in text)
    return "a text file" if is_text and text else "no picture"


def _webp_size(start: bytes) -> tuple[int, int]:
    kind = start[12:16]
    if kind == b"VP8X" and len(start) >= 30:
        return 1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(start[27:30], "little")
    if kind == b"VP8L" and len(start) >= 25:
        bits = int.from_bytes(start[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(start) >= 30:
        return int.from_bytes(start[26:28], "little") & 0x3FFF, int.from_bytes(start[28:30], "little") & 0x3FFF
    return 1, 1  # the plugin will refuse it


def _refuse_large(width: int, height: int, name: str) -> None:
    if width <= 0 or height <= 0:
        raise ImageProblem(Problem.UNREADABLE, f"{name} has no pixels ({width} x {height}).")
    if width * height > MAX_PIXELS:
        sentence = (
            f"{name} has {width} x {height} = {width * height / 1e6:.0f} megapixels; "
            f"LocStudio opens up to {MAX_PIXELS / 1e6:.0f}."
        )
        raise ImageProblem(Problem.TOO_LARGE, sentence)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        if error.errno == errno.ENAMETOOLONG:
            return "its path is too long"
        return (error.strerror or type(error).__name__).lower()
    words = shown(str(error).strip().rstrip("."), 120)
    return words[:1].lower() + words[1:] if words else type(error).__name__


def with_end_of_image(file: BinaryIO) -> BinaryIO:
    """The whole file followed by JPEG's end mark, so that a truncated one decodes as far as it goes."""
    file.seek(0)
    return io.BytesIO(file.read() + b"\xff\xd9")


def png_chunk(file: IO[bytes], kind: bytes, *, max_chunks: int = 100_000) -> bytes:
    """The content of a PNG's first chunk of this kind, without decoding any; b"" where there is none.

    The file's position stays as it is.
    """
    before = file.tell()
    try:
        file.seek(8)
        for _ in range(max_chunks):
            head = file.read(8)
            if len(head) < 8 or head[4:] == b"IEND":
                break
            length = int.from_bytes(head[:4], "big")
            if head[4:] == kind:
                return file.read(min(length, 1 << 20))
            file.seek(length + 4, os.SEEK_CUR)
        return b""
    finally:
        file.seek(before)

"""Headers and pixels of picture files, upright and in RGB8.

Window, engine and trainer call these functions and nothing else, so that a box means the same pixels to all of them.
Frames after the first are never sought; a truncated file gives what can be decoded of it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from locstudio.domain.geometry import Letterbox
from locstudio.domain.regions import Problem
from locstudio.domain.text import shown
from locstudio.media.files import (
    DECODER_ERRORS,
    MAX_PIXELS,
    ImageProblem,
    open_image,
    open_regular,
    png_chunk,
    with_end_of_image,
)
from locstudio.media.rgb import is_plain, to_rgb8

__all__ = ["MAX_PIXELS", "ImageHeader", "ImageProblem", "decode_rgb", "examine", "read_header"]

_ORIENTATION_TAG = 0x0112
_TRANSPOSES = {
    2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
    3: PillowImage.Transpose.ROTATE_180,
    4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
    5: PillowImage.Transpose.TRANSPOSE,
    6: PillowImage.Transpose.ROTATE_270,
    7: PillowImage.Transpose.TRANSVERSE,
    8: PillowImage.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file says of itself before a pixel is decoded.

    ``width`` and ``height`` are upright pixels; ``format`` is the true one ("JPEG"), whatever the name says;
    ``orientation`` is EXIF's 1 to 8; ``num_frames`` above 1 means that only the first of them is used (2 stands for
    "more" where counting would mean reading on); ``note`` is a sentence on what was ignored, or empty.
    """

    width: int
    height: int
    format: str
    orientation: int = 1
    num_frames: int = 1
    note: str = ""


def read_header(path: Path) -> ImageHeader:
    """The header of a picture file.

    Raises:
        ImageProblem: the file cannot be used; nothing has been decoded.
    """
    with _opened(path) as (_, image):
        return _header_of(image)


def decode_rgb(path: Path, *, max_side: int | None = None) -> NDArray[np.uint8]:
    """The upright picture as (H, W, 3) RGB8, writable and the caller's own.

    With ``max_side`` the long side has at most so many pixels; large JPEGs are then decoded at 1/2, 1/4 or 1/8, which
    is many times faster.  What is smaller stays as it is.  What is missing of a truncated file is grey or black.

    Raises:
        ImageProblem: nothing of it can be decoded.
        ValueError: ``max_side`` is not positive.
    """
    if max_side is not None and max_side <= 0:
        raise ValueError(f"max_side must be positive, not {max_side}")
    return np.array(decode_upright(path, max_side)[0])


def decode_upright(path: Path, max_side: int | None) -> tuple[PillowImage.Image, ImageHeader]:
    """As `decode_rgb`, as Pillow's own picture in mode RGB, with the header that it was read by."""
    with _opened(path) as (file, image):
        header = _header_of(image)
        target = None if max_side is None else _shrunk_size(header, max_side)
        return _load(file, image, header, shown(path.name), target)[0], header


def examine(path: Path) -> tuple[ImageHeader, str]:
    """The header, and a sentence on what is wrong with the pixels or "" for a sound file.

    A file that ends as its format must is taken for sound; only others are decoded in full.

    Raises:
        ImageProblem: the file cannot be used, or nothing of it can be decoded.
    """
    with _opened(path) as (file, image):
        header = _header_of(image)
        if _ends_well(file, header.format):
            return header, ""
        return header, _load(file, image, header, shown(path.name), None)[1]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, ImageFile.ImageFile]]:
    with open_regular(path) as file:
        yield file, open_image(file, shown(path.name))


def _header_of(image: ImageFile.ImageFile) -> ImageHeader:
    notes = []
    try:
        orientation = int(exif_of(image).get(_ORIENTATION_TAG, 1))
    except DECODER_ERRORS:
        orientation = 0
    if not 1 <= orientation <= 8 or not _has_whole_exif(image):
        orientation = orientation if 1 <= orientation <= 8 else 1
        notes.append("Its EXIF data cannot be read and is ignored.")
    num_frames = _num_frames(image)
    if num_frames > 1:
        notes.append("It holds several pictures; the first is used.")
    width, height = image.size
    if orientation >= 5 and not isinstance(image, TiffImageFile):  # that plugin has swapped them already
        width, height = height, width
    return ImageHeader(width, height, image.format or "", orientation, num_frames, " ".join(notes))


def exif_of(image: ImageFile.ImageFile) -> PillowImage.Exif:
    """The EXIF data of an open picture, without decoding it; of hostile data any of ``DECODER_ERRORS`` may come."""
    if not isinstance(image, PngImageFile):
        return image.getexif()
    # WORKAROUND: the PNG plugin's own getexif() decodes the whole picture to look for EXIF data behind it.
    if "exif" not in image.info and image.fp is not None:
        late = png_chunk(image.fp, b"eXIf")
        if late:
            image.info["exif"] = late
    return PillowImage.Image.getexif(image)


def _has_whole_exif(image: ImageFile.ImageFile) -> bool:
    """Whether the first directory of the EXIF data lies within it; True where there is none."""
    exif = image.info.get("exif")
    if not isinstance(exif, bytes) or not exif:
        return True
    exif = exif.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if exif[:2] == b"II" else "big"
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return False
    offset = int.from_bytes(exif[4:8], order)
    num_entries = int.from_bytes(exif[offset : offset + 2], order)
    return offset + 2 + 12 * num_entries <= len(exif)


def _num_frames(image: ImageFile.ImageFile) -> int:
    if image.format == "GIF":
        return 2 if "loop" in image.info else 1
    if image.format == "JPEG":
        return 2 if "mp" in image.info else 1
    if isinstance(image, TiffImageFile):
        return 2 if image.tag_v2.next else 1
    return int(getattr(image, "n_frames", 1))


def _shrunk_size(header: ImageHeader, max_side: int) -> tuple[int, int] | None:
    """Upright size after shrinking, the same as the picture's rectangle in a letterboxed square; None to keep it."""
    if max(header.width, header.height) <= max_side:
        return None
    left, top, right, bottom = Letterbox(header.width, header.height).content(max_side)
    return right - left, bottom - top


def _load(
    file: BinaryIO, image: ImageFile.ImageFile, header: ImageHeader, name: str, target: tuple[int, int] | None
) -> tuple[PillowImage.Image, str]:
    """The upright RGB picture, shrunk to ``target`` (upright) if there is one, and a sentence on damage or ""."""
    stored_target = target
    if target is not None and header.orientation >= 5:
        stored_target = (target[1], target[0])
    box = _draft(image, stored_target)
    damage = ""
    try:
        image.load()
    except DECODER_ERRORS as error:
        damage = f"{name} is damaged: only part of it can be shown."
        image = _as_far_as_possible(file, image, header, name, stored_target, error)
    try:
        if isinstance(image, TiffImageFile):  # loading has turned it upright
            return _to_rgb8_at(image, target, box), damage
        picture = _to_rgb8_at(image, stored_target, box)
    except DECODER_ERRORS as error:
        raise ImageProblem(Problem.UNREADABLE, f"{name} cannot be converted to RGB.") from error
    if header.orientation in _TRANSPOSES:
        picture = picture.transpose(_TRANSPOSES[header.orientation])
    return picture, damage


_Box = tuple[int, int, float, float]


def _draft(image: ImageFile.ImageFile, target: tuple[int, int] | None) -> _Box | None:
    """Let a JPEG decode itself smaller; the exact rectangle of the picture in what it will decode to."""
    if target is None or not isinstance(image, JpegImageFile):
        return None
    drafted = image.draft(None, target)
    return None if drafted is None else drafted[1]


def _as_far_as_possible(
    file: BinaryIO,
    image: ImageFile.ImageFile,
    header: ImageHeader,
    name: str,
    target: tuple[int, int] | None,
    error: BaseException,
) -> ImageFile.ImageFile:
    refusal = ImageProblem(Problem.UNREADABLE, f"{name} is damaged: nothing of it can be decoded.")
    try:
        if isinstance(image, JpegImageFile):
            image = JpegImageFile(with_end_of_image(file))
            _draft(image, target)
        elif isinstance(image, TiffImageFile) and header.orientation != 1:
            raise refusal from error  # its half-loaded state is not yet upright
        else:
            image.tile = []  # what has been decoded so far is there; load nothing more
        image.load()
    except DECODER_ERRORS as second_error:
        raise refusal from second_error
    return image


def _to_rgb8_at(image: PillowImage.Image, target: tuple[int, int] | None, box: _Box | None) -> PillowImage.Image:
    if target is None:
        return to_rgb8(image)
    if is_plain(image):
        profile = image.info.get("icc_profile")
        image = resized(image, target, box)
        image.info["icc_profile"] = profile
        return to_rgb8(image)
    return resized(to_rgb8(image), target, None)


def resized(
    image: PillowImage.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> PillowImage.Image:
    """The one resampling, also of a box alone: antialiased bicubic, after a box filter where that is far larger."""
    return image.resize(size, PillowImage.Resampling.BICUBIC, box=box, reducing_gap=2.0)


def _ends_well(file: BinaryIO, format_name: str) -> bool:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 64))
    tail = file.read()
    if format_name == "JPEG":
        return tail.rstrip(b"\0").endswith(b"\xff\xd9")
    if format_name == "PNG":
        return tail[-12:] == b"\0\0\0\0IEND\xaeB`\x82"
    if format_name == "GIF":
        return tail.rstrip(b"\0").endswith(b";")
    if format_name == "WEBP":
        file.seek(4)
        return int.from_bytes(file.read(4), "little") + 8 <= size
    return False

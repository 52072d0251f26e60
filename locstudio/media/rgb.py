"""The one conversion of any picture to RGB8.

====================  ================================================================================
what comes            what becomes of it
====================  ================================================================================
1, L, RGB, YCbCr, …   as they are, grey repeated
16-bit grey           divided by 257, rounded (16-bit colour arrives as its high bytes)
32-bit grey           clipped to 0 … 65535, then as 16-bit grey
floating point        clipped to 0 … 1 when nothing is above 1, else to 0 … 255; not-a-number is black
palette               its colours
alpha                 laid over white
CMYK                  through its ICC profile, else the plain complement
ICC profile           to sRGB, perceptual; left out when it is sRGB, broken or of another colour space
====================  ================================================================================
"""

import hashlib
import io
from collections import OrderedDict
from threading import Lock

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageCms

_SRGB = ImageCms.createProfile("sRGB")
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}


def is_plain(image: PillowImage.Image) -> bool:
    """Whether the picture may be resized before it is converted: no palette, no alpha, 8 bits."""
    return image.mode in ("RGB", "L", "CMYK", "YCbCr") and "transparency" not in image.info


def to_rgb8(image: PillowImage.Image) -> PillowImage.Image:
    """The picture in mode RGB, after the table above."""
    profile = image.info.get("icc_profile")
    alpha: PillowImage.Image | None = None
    if image.mode.startswith("I"):
        image = _from_integers(image)
    elif image.mode == "F":
        image = _from_floats(image)
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("P", "PA", "LA", "La", "RGBa", "RGBA", "RGBX") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    image = _to_srgb(image, profile if isinstance(profile, bytes) else None)
    if image.mode != "RGB":
        image = image.convert("RGB")
    if alpha is not None and alpha.getextrema() != (255, 255):
        white = PillowImage.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=alpha)
        image = white
    return image


def _from_integers(image: PillowImage.Image) -> PillowImage.Image:
    values = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
    return PillowImage.fromarray(((values + 128) // 257).astype(np.uint8))


def _from_floats(image: PillowImage.Image) -> PillowImage.Image:
    values = np.nan_to_num(np.asarray(image).astype(np.float32), nan=0.0, posinf=255.0, neginf=0.0)
    scale = 255.0 if values.size and values.max() <= 1.0 else 1.0
    return PillowImage.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))


def _to_srgb(image: PillowImage.Image, profile: bytes | None) -> PillowImage.Image:
    transform: ImageCms.ImageCmsTransform | None
    if image.mode == "LAB":
        transform = _lab_transform()
    elif profile is None or image.mode not in _SPACES:
        return image
    else:
        transform = _transforms.find(profile, image.mode)
    if transform is None:
        return image
    try:
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, ValueError, OSError):
        return image
    return converted if converted is not None else image


def _lab_transform() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _SRGB, "LAB", "RGB")


class _Transforms:
    """The transforms of the last few profiles; a collection has few, and building one costs milliseconds."""

    def __init__(self, limit: int = 16) -> None:
        self._limit = limit
        self._lock = Lock()
        self._known: OrderedDict[tuple[bytes, str], ImageCms.ImageCmsTransform | None] = OrderedDict()

    def find(self, profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
        """The transform to sRGB, or None when the profile changes nothing or cannot be used."""
        key = (hashlib.sha256(profile).digest(), mode)
        with self._lock:
            if key not in self._known:
                self._known[key] = _build(profile, mode)
                if len(self._known) > self._limit:
                    self._known.popitem(last=False)
            return self._known[key]


_transforms = _Transforms()


def _build(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        if "srgb" in (source.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None

"""Addresses of pictures in Label Studio, as names of files: nothing is ever fetched.

    /data/local-files/?d=pets/a.jpg       pets/a.jpg
    /data/upload/3/0c8f2f11-a.jpg         a.jpg              the eight signs are Label Studio's own
    s3://bucket/pets/a.jpg                pets/a.jpg         and gs, azure-blob, http, https
    pets/a.jpg                            pets/a.jpg

What comes out is a wish like any other name in a file: only what lies in the folder of images is looked at.
"""

import re
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from locstudio.domain.text import shown
from locstudio.interchange.rows import BadRow

_STORES = frozenset({"s3", "s3s", "gs", "azure-blob", "azure-spi", "http", "https"})
_LOCAL = "/data/local-files/"
_UPLOAD = re.compile(r"/data/upload/(?:\d+/)?(?:[0-9a-f]{8}-)?([^/]+)")
_MAX_ADDRESS = 8192


def file_name_of(address: str) -> str:
    """The name of a picture's file by its address.

    Raises:
        BadRow: the address names no file.
    """
    if len(address) > _MAX_ADDRESS or address.startswith("data:"):
        raise BadRow("its picture is in the task itself, or its address is too long", shown(address, 60))
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise BadRow("its picture has no valid address", shown(address, 60)) from error
    if parts.scheme in _STORES or (not parts.scheme and parts.path.startswith("/data/")):
        if parts.path == _LOCAL:
            wanted = next((part[2:] for part in parts.query.split("&") if part.startswith("d=")), "")
            name = _plain(wanted)
        elif upload := _UPLOAD.fullmatch(parts.path):
            name = _plain(upload[1])
        else:
            name = _plain(parts.path).lstrip("/")
    else:
        name = address
    if not name:
        raise BadRow("the address of its picture names no file", shown(address, 60))
    return name


def address_of(file_name: str) -> str:
    """The address under which Label Studio finds a file of a local storage, and `file_name_of` gives its name back."""
    return f"{_LOCAL}?d={quote(file_name, errors='surrogateescape')}"


def address_in(data: Any) -> str:
    """The address of the picture in a task's data: under ``image``, or else the only text that ends like one.

    Raises:
        BadRow: there is none.
    """
    if not isinstance(data, dict):
        raise BadRow("it has no data")
    if isinstance(data.get("image"), str):
        return str(data["image"])
    texts = [value for value in data.values() if isinstance(value, str)]
    if len(texts) > 1:
        texts = [text for text in texts if re.search(r"\.(jpe?g|png|webp|bmp|gif|tiff?)(\?|$)", text, re.IGNORECASE)]
    if len(texts) != 1:
        raise BadRow("its data names no picture")
    return texts[0]


def _plain(quoted: str) -> str:
    return unquote(quoted, errors="surrogateescape")

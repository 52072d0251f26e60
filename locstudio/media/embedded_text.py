"""What people have written about a picture: inside the file (EXIF, IPTC, XMP) or in a small file beside it.

All of it is a stranger's: sizes are bounded, XML is read by defusedxml alone, and nothing but text comes out.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import msgspec
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from PIL import ImageFile, IptcImagePlugin
from PIL.JpegImagePlugin import JpegImageFile

from locstudio.domain.text import shown
from locstudio.media.decode import exif_of
from locstudio.media.files import DECODER_ERRORS, ImageProblem, open_image, open_regular

MAX_CHARACTERS = 10_000
MAX_TEXTS = 50
_MAX_BYTES = 1 << 20
_DESCRIPTION, _COMMENT = 0x010E, 0x9C9C
_CAPTION_ABSTRACT = (2, 120)
_DC = "{http://purl.org/dc/elements/1.1/}description"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
# What cameras and programs write there by themselves.
_NOBODYS = frozenset(
    {"olympus digital camera", "sony dsc", "digital camera", "default", "untitled", "created with gimp", "screenshot"}
)


@dataclass(frozen=True, slots=True)
class Written:
    """Texts by where they stand ("xmp", "exif", "dog.txt:0"), and a sentence on what was ignored, or nothing."""

    texts: dict[str, str]
    note: str = ""


def embedded_texts(path: Path) -> Written:
    """What a picture file says of itself, each text once; nothing where the file is none or is broken."""
    found: dict[str, str] = {}
    is_whole = True
    try:
        with open_regular(path) as file:
            image = open_image(file, shown(path.name))
            for read in (_xmp, _iptc, _exif):
                try:
                    found |= read(image)
                except (*DECODER_ERRORS, ParseError, DefusedXmlException):
                    is_whole = False
    except ImageProblem as problem:
        return Written({}, str(problem))
    note = "" if is_whole else f"Some of what is written in {shown(path.name)} cannot be read and is ignored."
    texts = {key: one_line(text) for key, text in found.items()}
    return Written(_each_once((key, text) for key, text in texts.items() if text.lower() not in _NOBODYS), note)


def texts_beside(path: Path, inside: Path) -> Written:
    """What the files beside a picture say of it: ``dog.txt`` or ``dog.jpg.txt`` with a caption a line, or JSON.

    JSON is {"caption": …}, {"captions": […]} or a list.  Lines without a word, such as those of YOLO, are no captions.

    Args:
        path: The picture.
        inside: A folder; a link that leads out of it is not followed.
    """
    found: list[tuple[str, str]] = []
    notes = []
    for suffix, read in ((".txt", _lines), (".json", _from_json)):
        for sidecar in dict.fromkeys((path.with_suffix(suffix), path.with_name(path.name + suffix))):
            if not os.path.lexists(sidecar):
                continue
            try:
                texts = read(_content(sidecar, inside))
            except (ImageProblem, OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
                notes.append(f"{shown(sidecar.name)} is ignored: {shown(str(error).rstrip('.'))}.")
                continue
            found += [(f"{shown(sidecar.name)}:{number}", text) for number, text in enumerate(texts)]
    if len(found) > MAX_TEXTS:
        notes.append(f"Of the captions beside {shown(path.name)} the first {MAX_TEXTS} are taken.")
    return Written(_each_once(found), " ".join(notes))


def one_line(text: str) -> str:
    """A text of a stranger as one line of what can be stored and shown; nothing if it has no letter."""
    storable = text[: 2 * MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
    words = "".join(char if char.isprintable() else " " for char in storable).split()
    line = " ".join(words)[:MAX_CHARACTERS]
    return line if any(char.isalpha() for char in line) else ""


def _each_once(texts: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, text in texts:
        line = one_line(text)
        if line and line not in found.values() and len(found) < MAX_TEXTS:
            found[key] = line
    return found


def _exif(image: ImageFile.ImageFile) -> dict[str, str]:
    exif = exif_of(image)
    found = {}
    description, comment = exif.get(_DESCRIPTION), exif.get(_COMMENT)
    if isinstance(description, str):
        found["exif"] = _mended(description)
    if isinstance(comment, tuple):
        comment = bytes(comment)
    if isinstance(comment, bytes):
        found["exif-comment"] = comment[:_MAX_BYTES].decode("utf-16-le", "replace")
    return found


def _mended(text: str) -> str:
    """EXIF's text is ASCII by its standard, Latin-1 by Pillow and UTF-8 by most programs."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _iptc(image: ImageFile.ImageFile) -> dict[str, str]:
    if isinstance(image, JpegImageFile):
        resources = image.info.get("photoshop")
        block = resources.get(0x0404, b"") if isinstance(resources, dict) else b""
        if len(block) > _MAX_BYTES:
            return {}
    fields = IptcImagePlugin.getiptcinfo(image) or {}
    values: Any = fields.get(_CAPTION_ABSTRACT, [])
    texts = [value for value in (values if isinstance(values, list) else [values]) if isinstance(value, bytes)]
    return {f"iptc:{number}" if number else "iptc": _decoded(text) for number, text in enumerate(texts[:MAX_TEXTS])}


def _xmp(image: ImageFile.ImageFile) -> dict[str, str]:
    packet = image.info.get("xmp")
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    if not isinstance(packet, bytes) or not packet or len(packet) > _MAX_BYTES:
        return {}
    root = fromstring(packet.strip(b"\x00 \r\n\t"), forbid_dtd=True)
    return {"xmp": _description(root)}


def _description(root: Element) -> str:
    """``dc:description``, in its default language or else the first that it is written in; nothing without one."""
    for node in root.iter():
        if node.tag == _DC:
            told = {item.get(_LANGUAGE, ""): item.text or "" for item in reversed(list(node.iter(f"{_RDF}li")))}
            return told.get("x-default") or next(iter(reversed(told.values())), "") or (node.text or "")
        if _DC in node.attrib:
            return str(node.attrib[_DC])
    return ""


def _content(sidecar: Path, inside: Path) -> bytes:
    if not sidecar.resolve().is_relative_to(inside.resolve()):
        raise ValueError("it is a link that leads out of the folder")
    with open_regular(sidecar) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError("it is larger than a caption file")
    return content


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeError:
        return content.decode("cp1252", "replace")


def _lines(content: bytes) -> list[str]:
    return [line for line in _decoded(content).splitlines() if one_line(line)]


def _from_json(content: bytes) -> list[str]:
    document = msgspec.json.decode(_decoded(content))
    return [text for text in _texts_of(document) if one_line(text)]


def _texts_of(document: object) -> Iterator[str]:
    if isinstance(document, dict):
        for key in ("caption", "captions"):
            yield from _said(document.get(key))
    elif isinstance(document, list):
        yield from _said(document)


def _said(value: object) -> Iterator[str]:
    """Texts of a text, or of a list of texts and of {"caption": text}."""
    for item in value if isinstance(value, list) else [value]:
        text = item.get("caption") if isinstance(item, dict) else item
        if isinstance(text, str):
            yield text

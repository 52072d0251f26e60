"""Pascal VOC annotations, written image by image into a folder of the devkit's layout."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes
from xml.sax.saxutils import escape, quoteattr

from locstudio.domain.regions import Origin, Region, Review
from locstudio.interchange.annotation_files import FreeNames
from locstudio.interchange.voc import NAMESPACE, plain_name, whole_pixels
from locstudio.interchange.writing import Carries, Contents, Page
from locstudio.interchange.xml_text import xml_text

CARRIES = Carries(
    classless=True,
    phrases=True,
    scores=True,
    reviews=True,
    origins=True,
    sizes=True,
    precision="Boxes stand in whole pixels counted from 1, and beside them exactly, where LocStudio reads them.",
    text=xml_text,
)
_DECIMALS = 6


def write_voc(contents: Contents, target: Path) -> None:
    """Write an export as ``Annotations/*.xml``, and its splits as ``ImageSets/Main/*.txt``."""
    names = {label.id: label.name for label in contents.classes}
    files = FreeNames(".xml")
    splits: dict[str, list[str]] = {}
    os.mkdir(target)
    for page in contents.pages():
        name = files.name_for(page.file_name)
        file = target / "Annotations" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(_lines(page, names)) + "\n", encoding="utf-8")
        if page.image.split and page.image.split.isalnum():
            splits.setdefault(page.image.split, []).append(name.removesuffix(".xml"))
    (target / "Annotations").mkdir(exist_ok=True)
    for split, stems in splits.items():
        file = target / "ImageSets" / "Main" / f"{split}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(os.fsencode(stem) + b"\n" for stem in stems))


def _lines(page: Page, names: dict[int, str]) -> Iterator[str]:
    image = page.image
    yield "<annotation>"
    yield f"  <filename>{escape(xml_text(page.file_name))}</filename>"
    if not page.file_name.isprintable() or page.file_name != page.file_name.strip():
        exact = quote_from_bytes(os.fsencode(page.file_name))
        yield f"  <image xmlns={quoteattr(NAMESPACE)} file={quoteattr(exact)}/>"
    yield f"  <size><width>{image.width}</width><height>{image.height}</height><depth>3</depth></size>"
    yield "  <segmented>0</segmented>"
    for region in page.regions:
        yield from _object(region, image.width, image.height, names.get(region.class_id or 0, ""))
    yield "</annotation>"


def _object(region: Region, width: int, height: int, class_name: str) -> Iterator[str]:
    name = xml_text(class_name).strip()
    x0, y0, x1, y1 = region.box.to_pixels(width, height)
    exact = [round(value, _DECIMALS) for value in (x0, y0, x1, y1)]
    if exact[0] >= exact[2] or exact[1] >= exact[3]:  # smaller than rounding
        exact = [x0, y0, x1, y1]
    xmin, ymin, xmax, ymax = whole_pixels((exact[0], exact[1], exact[2], exact[3]), width, height)
    extras: dict[str, object] = {"id": region.id, "class": name}
    if region.phrase != class_name:
        extras["phrase"] = xml_text(region.phrase)
    if region.score is not None:
        extras["score"] = region.score
    if region.review is not Review.ACCEPTED:
        extras["review"] = region.review
    if region.origin is not Origin.IMPORTED:
        extras["origin"] = region.origin
    extras |= dict(zip(("x0", "y0", "x1", "y1", "width", "height"), [*exact, width, height], strict=True))
    attributes = " ".join(f"{key}={quoteattr(str(value))}" for key, value in extras.items())
    yield "  <object>"
    yield f"    <name>{escape(plain_name(name, xml_text(region.phrase)))}</name>"
    yield "    <pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
    yield (f"    <bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>")
    yield f"    <region xmlns={quoteattr(NAMESPACE)} {attributes}/>"
    yield "  </object>"

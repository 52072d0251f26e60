"""CVAT annotation files ("CVAT for images 1.1"), written image by image.

What CVAT has no place for travels in its free attributes, which the file declares, so that it comes back from there.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from locstudio.domain.regions import Caption, Origin, Region, Review
from locstudio.interchange.fitting import fit_shapes, is_around
from locstudio.interchange.masks import box_of_mask
from locstudio.interchange.run_lengths import runs_of, strokes_of, turned
from locstudio.interchange.writing import Carries, Contents, Fitted, Page
from locstudio.interchange.xml_text import xml_text

NO_CLASS_LABEL = "no class"
CAPTION_LABEL = "caption of the image"


def fit_cvat(page: Page, names: Mapping[int, str]) -> Fitted:
    """As `fit_shapes`; a file name with signs that XML does not know cannot be written."""
    if xml_text(page.file_name) != page.file_name:
        return Fitted(None, ("images with names that XML cannot hold",))
    return fit_shapes(page, names)


CARRIES = Carries(
    ids=True,
    classless=True,
    phrases=True,
    captions=True,
    polygons=True,
    runs=True,
    crowds=True,
    scores=True,
    reviews=True,
    origins=True,
    sizes=True,
    all_classes=True,
    spans=True,
    empty_images=True,
    precision="CVAT keeps phrases, reviews and scores where its labels have the attributes that the file's head lists.",
    text=xml_text,
    fit=fit_cvat,
)


def write_cvat(contents: Contents, target: Path) -> None:
    """Write an export as a CVAT file, and make it durable.

    A polygon goes out as a polygon and run lengths as a mask, without their box, which is the smallest around them.
    """
    names = {label.id: xml_text(label.name).strip() for label in contents.classes}
    without = _free_name(NO_CLASS_LABEL, names.values())
    caption = _free_name(CAPTION_LABEL, [*names.values(), without])
    with open(target, "x", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        file.writelines(_head(names.values(), without, caption))
        for page in contents.pages():
            file.writelines(_image(page, names, without, caption))
        file.write("</annotations>\n")
        file.flush()
        os.fsync(file.fileno())


def _free_name(wanted: str, taken: Iterable[str]) -> str:
    folded = {name.casefold() for name in taken}
    number, name = 1, wanted
    while name.casefold() in folded:
        number += 1
        name = f"{wanted} {number}"
    return name


def _head(names: Iterable[str], without: str, caption: str) -> Iterator[str]:
    reviews = "\n".join(Review)
    origin = _attribute_kind("origin", "select", str(Origin.IMPORTED), "\n".join(Origin))
    attributes = [
        _attribute_kind("phrase"),
        _attribute_kind("review", "select", str(Review.ACCEPTED), reviews),
        origin,
        _attribute_kind("score"),
        _attribute_kind("crowd", "checkbox", "false", "false"),
        *map(_attribute_kind, ("id", "box", "caption", "span")),
    ]
    no_class = _attribute_kind("no class", "checkbox", "true", "true")
    yield "  <meta>\n    <task>\n      <name>LocStudio</name>\n      <mode>annotation</mode>\n      <labels>\n"
    for name in dict.fromkeys(names):
        yield _label(name, "any", attributes)
    yield _label(without, "any", [*attributes, no_class])
    yield _label(caption, "tag", [_attribute_kind("id"), _attribute_kind("caption"), origin])
    yield "      </labels>\n    </task>\n  </meta>\n"


def _label(name: str, kind: str, attributes: Iterable[str]) -> str:
    inner = "".join(attributes)
    return f"        <label><name>{_escaped(name)}</name><type>{kind}</type><attributes>{inner}</attributes></label>\n"


def _attribute_kind(name: str, kind: str = "text", default: str = "", values: str = "") -> str:
    return (
        f"<attribute><name>{name}</name><mutable>False</mutable><input_type>{kind}</input_type>"
        f"<default_value>{default}</default_value><values>{values}</values></attribute>"
    )


def _image(page: Page, names: dict[int, str], without: str, caption_label: str) -> Iterator[str]:
    image = page.image
    subset = f' subset="{image.split}"' if image.split.isascii() and image.split.isalnum() else ""
    name = quoteattr(page.file_name)
    yield f'  <image id="{image.id}" name={name}{subset} width="{image.width}" height="{image.height}">\n'
    for caption in page.captions:
        yield _caption(caption, caption_label)
    for region in page.regions:
        yield _shape(page, region, names.get(region.class_id or 0), without)
    yield "  </image>\n"


def _caption(caption: Caption, label: str) -> str:
    inner = _attribute("id", str(caption.id)) + _attribute("caption", caption.text)
    inner += _attribute("origin", str(caption.origin)) if caption.origin is not Origin.IMPORTED else ""
    return f'    <tag label={quoteattr(label)} source="manual">{inner}</tag>\n'


def _shape(page: Page, region: Region, name: str | None, without: str) -> str:
    attributes = {"id": str(region.id)}
    if region.phrase != name:
        attributes["phrase"] = region.phrase
    if region.review is not Review.ACCEPTED:
        attributes["review"] = str(region.review)
    if region.origin is not Origin.IMPORTED:
        attributes["origin"] = str(region.origin)
    if region.score is not None:
        attributes["score"] = repr(region.score)
    if region.is_crowd:
        attributes["crowd"] = "true"
    corners = region.box.to_pixels(page.image.width, page.image.height)
    if region.mask and not is_around(corners, msgspec.json.decode(region.mask)):
        attributes["box"] = " ".join(map(repr, corners))
    if region.caption_span:
        attributes["caption"] = str(region.caption_id)
        attributes["span"] = f"{region.caption_span[0]}-{region.caption_span[1]}"
    if name is None:
        attributes["no class"] = "true"
    source = "auto" if region.origin is Origin.MODEL else "manual"
    inner = "".join(_attribute(key, text) for key, text in attributes.items())
    tag, place = _place(page, region)
    label = quoteattr(name or without)
    return f'    <{tag} label={label} source="{source}" occluded="0" {place} z_order="0">{inner}</{tag}>\n'


def _place(page: Page, region: Region) -> tuple[str, str]:
    """The element of a region and the attributes that say where it is."""
    segmentation = msgspec.json.decode(region.mask) if region.mask else None
    if isinstance(segmentation, list):
        (polygon,) = segmentation
        corners = zip(polygon[0::2], polygon[1::2], strict=True)
        return "polygon", f'points="{";".join(f"{x!r},{y!r}" for x, y in corners)}"'
    if segmentation:
        return "mask", _mask(segmentation)
    x0, y0, x1, y1 = region.box.to_pixels(page.image.width, page.image.height)
    return "box", f'xtl="{x0!r}" ytl="{y0!r}" xbr="{x1!r}" ybr="{y1!r}"'


def _mask(segmentation: Any) -> str:
    height, _ = segmentation["size"]
    left, top, right, bottom = (int(side) for side in box_of_mask(segmentation))
    lines = turned(strokes_of(segmentation["counts"], height)).moved(-top, -left)
    runs = runs_of(lines, bottom - top, right - left)
    place = f'left="{left}" top="{top}" width="{right - left}" height="{bottom - top}"'
    return f'rle="{", ".join(map(str, runs))}" {place}'


def _attribute(name: str, text: str) -> str:
    return f'<attribute name="{name}">{_escaped(text)}</attribute>'


def _escaped(text: str) -> str:
    return escape(xml_text(text), {"\r": "&#13;"})

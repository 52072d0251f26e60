"""Label Studio's JSON, written task by task.

What a person has accepted is an annotation; what nobody has accepted is a prediction, with its score.  Pictures are
named as Label Studio names those of a local storage: the storage must lie at the folder that the report names.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from locstudio import __version__
from locstudio.domain.regions import Caption, Image, Origin, Region, Review
from locstudio.interchange.fitting import fit_shapes, is_around
from locstudio.interchange.label_studio import OWN
from locstudio.interchange.label_studio_brush import brush_of_runs
from locstudio.interchange.label_studio_paths import address_of
from locstudio.interchange.run_lengths import runs_of, strokes_of, turned
from locstudio.interchange.writing import Carries, Contents, Page

_HOW = {Origin.MODEL: "prediction", Origin.EDITED: "prediction-changed"}
_Object = dict[str, Any]


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
    spans=True,
    empty_images=True,
    precision=(
        "In the labelling interface the picture is called image, with the value $image; boxes, polygons, strokes, "
        "phrases and captions come from rectangle, polygon, brush, phrase and caption."
    ),
    fit=fit_shapes,
)


def write_label_studio(contents: Contents, target: Path) -> None:
    """Write an export as a Label Studio file, and make it durable."""
    names = {label.id: label.name for label in contents.classes}
    with open(target, "x", encoding="ascii") as file:
        file.write("[")
        for number, page in enumerate(contents.pages()):
            file.write((",\n" if number else "\n") + json.dumps(_task(page, names), allow_nan=False))
        file.write("\n]\n")
        file.flush()
        os.fsync(file.fileno())


def _task(page: Page, names: dict[int, str]) -> _Object:
    true = [region for region in page.regions if region.review is Review.ACCEPTED]
    guessed = [region for region in page.regions if region.review is not Review.ACCEPTED]
    sentences = [_caption(caption) for caption in page.captions]
    annotated = [*sentences, *(result for region in true for result in _results(region, page.image, names))]
    predicted = [result for region in guessed for result in _results(region, page.image, names)]
    version = f"LocStudio {__version__}"
    return {
        "id": page.image.id,
        "data": {"image": address_of(page.file_name)},
        "annotations": [{"result": annotated, "was_cancelled": False, "ground_truth": False}] if annotated else [],
        "predictions": [{"model_version": version, "result": predicted}] if predicted else [],
        "meta": {OWN: {"image": page.image.id, "sha256": page.image.sha256}},
    }


def _caption(caption: Caption) -> _Object:
    how = {"id": f"caption {caption.id}", "type": "textarea", "from_name": "caption", "to_name": "image"}
    made_by = {"origin": _HOW.get(caption.origin, "manual"), "meta": {OWN: {"origin": str(caption.origin)}}}
    return {**how, "value": {"text": [caption.text]}, **made_by}


def _results(region: Region, image: Image, names: dict[int, str]) -> Iterator[_Object]:
    """The shape with its label, and its words where they are not the label's."""
    name = names.get(region.class_id or 0)
    kind, value = _shape(region, image)
    common = {
        "id": str(region.id),
        "to_name": "image",
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
        "origin": _HOW.get(region.origin, "manual"),
        "meta": {OWN: _ours(region, image)},
    }
    if region.score is not None:
        common["score"] = region.score
    labels = [] if name is None else [name]
    yield {**common, "type": f"{kind}labels", "from_name": kind, "value": {**value, f"{kind}labels": labels}}
    if region.phrase != name:
        yield {**common, "type": "textarea", "from_name": "phrase", "value": {**value, "text": [region.phrase]}}


def _ours(region: Region, image: Image) -> _Object:
    ours: _Object = {"review": str(region.review), "origin": str(region.origin)}
    if region.is_crowd:
        ours["crowd"] = True
    corners = region.box.to_pixels(image.width, image.height)
    if region.mask and not is_around(corners, msgspec.json.decode(region.mask)):
        ours["box"] = corners
    if region.caption_span:
        ours |= {"caption": region.caption_id, "span": region.caption_span}
    return ours


def _shape(region: Region, image: Image) -> tuple[str, _Object]:
    segmentation = msgspec.json.decode(region.mask) if region.mask else None
    if isinstance(segmentation, list):
        (polygon,) = segmentation
        corners = zip(polygon[0::2], polygon[1::2], strict=True)
        points = [[100 * x / image.width, 100 * y / image.height] for x, y in corners]
        return "polygon", {"points": points, "closed": True}
    if segmentation:
        height, width = segmentation["size"]
        lines = turned(strokes_of(segmentation["counts"], height))
        return "brush", {"format": "rle", "rle": brush_of_runs(runs_of(lines, height, width))}
    x0, y0, x1, y1 = (100 * corner for corner in region.box.as_tuple())
    return "rectangle", {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "rotation": 0}

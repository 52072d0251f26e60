"""Label Studio's JSON export, read as checked values.

    rectangle, ellipse     a box; where it is turned, and for an ellipse, the box around it
    polygon, brush         a mask and the smallest box around it
    textarea               the phrase of its region; without a region a caption of the image
    all else               choices, key points, relations …: left out, with a note

Of several annotations of a task the one that is marked as ground truth counts, else the newest; cancelled ones do not.
A task that does not say how large its picture is can have no brush strokes; all else is a share of the picture.
Predictions are pending regions of a model.  They count while nobody has annotated the task, because who annotates
begins with a copy of them; in a file of our own they always do, since there each region is either the one or the other.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Origin, Review
from locstudio.domain.text import shown
from locstudio.interchange.fitting import own_box
from locstudio.interchange.json_stream import DuplicateKey, JsonRows
from locstudio.interchange.label_studio_paths import address_in, file_name_of
from locstudio.interchange.label_studio_shapes import is_shape, kind_of, shape_of
from locstudio.interchange.masks import BadMask
from locstudio.interchange.report import ImportReport, Outcome, RowNote
from locstudio.interchange.rows import (
    FAR,
    MAX_NAME,
    MAX_TEXT,
    ORIGINS,
    REVIEWS,
    BadRow,
    CaptionRow,
    ClassRow,
    ImageRow,
    Progress,
    RegionRow,
    Tables,
    brief,
    chosen,
    clean,
)

OWN = "locstudio"
"""The key of what is ours, in ``meta`` of tasks and results."""

_ORIGINS = {"prediction": Origin.MODEL, "prediction-changed": Origin.EDITED}
_CAPTION_ID = re.compile(r"caption (\d{1,18})")

_Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Thing:
    """What results of one id say together: a shape with its labels and words, or words alone."""

    id: str
    results: tuple[_Object, ...]
    is_prediction: bool
    score: Any


class LabelStudioFile:
    """An export, read twice from front to back: `tables` first, then `rows`.  What is wrong goes to the report."""

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None = None) -> None:
        self._path = path
        self._report = report
        self._progress = progress
        self._sizes: dict[str, tuple[int, int]] = {}

    def tables(self) -> Tables:
        """Pictures of the tasks, and the labels that their results have.

        Raises:
            BadInput: the file is no list of tasks, or broken JSON.
        """
        tables = Tables()
        num_tasks = 0
        for number, raw in enumerate(JsonRows(self._path, self._progress).array()):
            try:
                task, name = _task_of(raw)
            except BadRow as error:
                self._report.note(RowNote("images", number, "", Outcome.DROPPED, error.reason, error.detail))
                continue
            num_tasks += 1
            size = self._sizes.get(name, (0, 0))
            for result in _all_results(task):
                size = size if size[0] else _size_of(result)
                for label in _labels_of(result)[:1]:
                    tables.classes.setdefault(label, ClassRow(label, label))
            self._sizes[name] = size
            row = tables.images[name].row if name in tables.images else number
            tables.images[name] = ImageRow(row, name, name, *size, is_unit=not size[0])
        if not num_tasks and not self._report.notes:
            raise BadInput(f"{shown(self._path.name)} holds no task; is it an export of Label Studio as JSON?")
        return tables

    def rows(self) -> Iterator[RegionRow | CaptionRow]:
        """Results that are sound in themselves; the captions of a task come before its regions.

        Raises:
            BadInput: the file is broken JSON from here on; rows before that have been given.
        """
        ids: Counter[tuple[str, str]] = Counter()
        row = -1
        for raw in JsonRows(self._path, self._progress).array():
            try:
                task, name = _task_of(raw)
            except BadRow:  # noted with the images
                continue
            found: list[RegionRow | CaptionRow] = []
            for thing in self._things_of(task, row):
                row += 1
                try:
                    found += self._rows_of(row, thing, name)
                except (BadRow, BadMask) as error:
                    detail = error.detail if isinstance(error, BadRow) else ""
                    self._note(row, thing.id, Outcome.DROPPED, str(error), detail)
            if _is_ours(task):  # what stands there in two places has one order
                found.sort(key=lambda value: int(value.external_id) if value.external_id.isdecimal() else 0)
            found.sort(key=lambda value: isinstance(value, RegionRow))
            for value in found:
                kind = type(value).__name__
                ids[kind, value.external_id] += 1
                again = ids[kind, value.external_id]
                yield value if again == 1 else replace(value, external_id=f"{value.external_id}#{again}")

    def _things_of(self, task: _Object, row: int) -> Iterator[_Thing]:
        annotations = [a for a in _objects(task, "annotations") if a.get("was_cancelled") is not True]
        chosen = max(annotations, key=_rank, default=None)
        for annotation in annotations:
            if annotation is not chosen and annotation.get("result"):
                reason = "another annotation of its task counts"
                self._note(row + 1, brief(annotation.get("id")), Outcome.DROPPED, reason)
        if chosen is not None:
            yield from _gathered(chosen, is_prediction=False)
        predictions = _objects(task, "predictions")
        if predictions and (chosen is None or _is_ours(task)):
            yield from _gathered(max(predictions, key=_rank), is_prediction=True)

    def _rows_of(self, row: int, thing: _Thing, name: str) -> list[RegionRow | CaptionRow]:
        shapes = [result for result in thing.results if is_shape(result)]
        texts = [text for result in thing.results for text in _texts_of(result)]
        if not shapes and any(kind_of(result) == "textarea" for result in thing.results):
            return self._captions(row, thing, name, texts)
        if not shapes:
            raise BadRow("it is no region", ", ".join(sorted({kind_of(result)[:40] for result in thing.results})))
        labels = [label for result in thing.results for label in _labels_of(result)]
        if not labels and not texts:
            raise BadRow("it has neither a label nor words")
        if len(set(labels)) > 1:
            self._note(row, thing.id, Outcome.KEPT, "it has several labels, and the first was taken", labels[1])
        size = self._sizes.get(name, (0, 0))
        shape = shape_of(shapes[0], *(size if size[0] else (1, 1)))  # percent of an unknown size are shares
        if shape.note:
            self._note(row, thing.id, Outcome.KEPT, shape.note)
        ours = _ours(shapes[0])
        review, origin = chosen(REVIEWS, ours.get("review")), chosen(ORIGINS, ours.get("origin"))
        score = shapes[0].get("score", thing.score)
        return [
            RegionRow(
                row,
                thing.id or f"{clean(name)}:{row}",
                name,
                labels[0] if labels else None,
                own_box(_numbers(ours.get("box")), shape.box) if shape.mask else shape.box,
                shape.segmentation,
                shape.mask,
                ours.get("crowd") is True,
                float(score) if type(score) in (int, float) and abs(score) < FAR else None,
                " ".join(texts) if texts else None,
                review or (Review.PENDING if thing.is_prediction else None),
                origin or (Origin.MODEL if thing.is_prediction else chosen(_ORIGINS, shapes[0].get("origin"))),
                *_place_in_caption(ours),
            )
        ]

    def _captions(self, row: int, thing: _Thing, name: str, texts: list[str]) -> list[RegionRow | CaptionRow]:
        texts = [text.strip() for text in texts if text.strip()]
        if not texts:
            raise BadRow("its caption is empty")
        ours = _CAPTION_ID.fullmatch(thing.id)
        first = ours[1] if ours else thing.id or f"{clean(name)}:{row}"
        ids = [first, *(f"{first}.{number}" for number in range(2, len(texts) + 1))]
        result = thing.results[0]
        origin = chosen(ORIGINS, _ours(result).get("origin")) or chosen(_ORIGINS, result.get("origin"))
        return [CaptionRow(row, "captions", key, name, text, origin) for key, text in zip(ids, texts, strict=True)]

    def _note(self, row: int, name: str, outcome: Outcome, reason: str, detail: str = "") -> None:
        self._report.note(RowNote("annotations", row, name, outcome, reason, detail))


def _task_of(raw: Any) -> tuple[_Object, str]:
    """A task and the name of its picture."""
    if isinstance(raw, DuplicateKey):
        raise BadRow("one key stands there twice", str(raw))
    if not isinstance(raw, dict):
        raise BadRow("it is no task", type(raw).__name__)
    return raw, file_name_of(address_in(raw.get("data")))


def _objects(parent: _Object, name: str) -> list[_Object]:
    found = parent.get(name)
    return [value for value in found if isinstance(value, dict)] if isinstance(found, list) else []


def _all_results(task: _Object) -> Iterator[_Object]:
    for name in ("annotations", "predictions"):
        for annotation in _objects(task, name):
            yield from _objects(annotation, "result")


def _rank(annotation: _Object) -> tuple[bool, str]:
    """Ground truth before others, then the newest; moments are text that sorts as they follow each other."""
    moment = annotation.get("updated_at") or annotation.get("created_at")
    return annotation.get("ground_truth") is True, moment if isinstance(moment, str) else ""


def _gathered(annotation: _Object, *, is_prediction: bool) -> Iterator[_Thing]:
    """The results of an annotation, those of one id together."""
    by_id: dict[str, list[_Object]] = {}
    for number, result in enumerate(_objects(annotation, "result")):
        key = result.get("id")
        name = clean(str(key)) if isinstance(key, str | int) and len(brief(key)) == len(str(key)) else ""
        by_id.setdefault(name or f" {number}", []).append(result)
    score = annotation.get("score") if is_prediction else None
    for name, results in by_id.items():
        yield _Thing("" if name.startswith(" ") else name, tuple(results), is_prediction, score)


def _labels_of(result: _Object) -> list[str]:
    value = result.get("value")
    found = value.get(result.get("type")) if isinstance(value, dict) and _is_labels(result) else None
    if not isinstance(found, list):
        return []
    labels = [clean(label).strip() for label in found if isinstance(label, str) and len(label) <= MAX_NAME]
    return [label for label in labels if label]


def _is_labels(result: _Object) -> bool:
    kind = result.get("type")
    return isinstance(kind, str) and kind.endswith("labels")


def _texts_of(result: _Object) -> list[str]:
    value = result.get("value")
    found = value.get("text") if isinstance(value, dict) and result.get("type") == "textarea" else None
    texts = found if isinstance(found, list) else [found]
    return [clean(text) for text in texts if isinstance(text, str) and len(text) <= MAX_TEXT]


def _size_of(result: _Object) -> tuple[int, int]:
    sides = [result.get(name) for name in ("original_width", "original_height")]
    width, height = (side if type(side) is int and 0 < side < FAR else 0 for side in sides)
    return (width, height) if width and height else (0, 0)


def _is_ours(task: _Object) -> bool:
    return bool(_ours(task))


def _ours(value: _Object) -> _Object:
    """What LocStudio has put beside a task or a result."""
    meta = value.get("meta")
    ours = meta.get(OWN) if isinstance(meta, dict) else None
    return ours if isinstance(ours, dict) else {}


def _place_in_caption(ours: _Object) -> tuple[str | None, tuple[int, int] | None]:
    caption, span = ours.get("caption"), ours.get("span")
    is_span = isinstance(span, list) and len(span) == 2 and all(type(place) is int for place in span)
    if type(caption) is not int or not is_span or span is None or not 0 <= span[0] < span[1] <= MAX_TEXT:
        return None, None
    return str(caption), (span[0], span[1])


def _numbers(value: Any) -> list[float] | None:
    is_list = isinstance(value, list) and all(type(number) in (int, float) for number in value)
    return value if is_list else None

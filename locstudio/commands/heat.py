"""Commands about heatmaps that a run keeps: heatmap, expected, disagreements.

``heatmap --json`` prints, for an image and a class::

    {"image", "image_id", "run", "checkpoint", "epoch", "num_epochs", "is_stale", "class", "class_id", "score",
     "average", "presence": "positive|negative|unknown", "peak", "peak_at": [x, y] or null, "threshold",
     "boxes": [[x0, y0, x1, y1], ...], "corrections", "trajectory": [...], "out": file or null}

``run``, ``epoch`` and ``num_epochs`` are null where no run has seen the image and the model has looked now, and
``class_id`` where the vocabulary has no such class.  Without a class it prints the same with ``"classes": [{"class",
"class_id", "score", "average", "presence", "peak"}, ...]`` instead of what belongs to one.

``expected --json`` prints::

    {"run", "checkpoint", "epoch", "min_score", "order": "turns|score", "found", "rows": [{"key": "IMAGE:CLASS",
     "image", "image_id", "class", "class_id", "score", "average", "peak", "agreement", "own",
     "box": [x0, y0, x1, y1] or null}, ...]}

and, where something was added or denied, ``"title"`` and ``"changes"`` of the edit, and the rows it was about.
``disagreements --json`` prints ``{"run", "kind", "found", "rows": [{"image", "image_id", "disagreement"}, ...]}``.
Scores, peaks and thresholds are in [0, 1], boxes and places in shares of the image.
"""

import argparse
import io
from pathlib import Path
from typing import Any

from locstudio.commands.opening import checkpoint_folder, class_id_of, image_of, opened, session
from locstudio.commands.output import print_json, say
from locstudio.domain.edits import Edit
from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Image
from locstudio.domain.text import counted, shown
from locstudio.services.checkpoints import active_folder
from locstudio.services.heat.book import ClassHeat, HeatBook, ImageHeat
from locstudio.services.heat.deciding import say_of_many
from locstudio.services.heat.found import found_heat
from locstudio.services.heat.inconsistency import Disagreement, inconsistency
from locstudio.services.heat.known import read_known
from locstudio.services.heat.runs import heat_runs, refuse_unreadable
from locstudio.services.heat.shapes import heat_boxes, peak_of
from locstudio.services.heat.turns import Order
from locstudio.services.heat.worklist import Expected, Worklist
from locstudio.services.heat.worklist import expected as expected_of
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

_ACTOR = "expected"
_SHARE_OF_PEAK = 0.5
_ALL = "all"
_LONG_SIDE = 4096


def heatmap(options: argparse.Namespace) -> int:
    """Say how hot the classes of an image are, and draw one of them over the image.

    A run's memory is looked at where one has seen the image; else, and for ``--checkpoint``, the model looks now.
    """
    if options.out is not None and not options.class_name:
        raise UserError("A picture shows the heat of one class: say which with --class.")
    with opened(options.project, read_only=True) as (project, dataset):
        image = image_of(dataset, options.image)
        heat, num_epochs = _heat_of(options, project, dataset, image)
        if not options.class_name:
            _print_classes(options, image, heat, num_epochs)
            return 0
        row = _row_named(dataset, heat, options.class_name)
        if options.out is not None:
            _write_picture(options, dataset, image, row)
        _print_class(options, image, heat, num_epochs, row)
    return 0


def expected(options: argparse.Namespace) -> int:
    """List classes that are expected and not labelled, or say that they are there, or are not.

    Classes take turns, because answers to all teach the next model more: see ``services.heat.turns``.
    """
    if options.add and options.deny:
        raise UserError("Add and deny in two commands: what is both is neither.")
    keys = options.add or options.deny or []
    with opened(options.project, read_only=not keys) as (project, dataset):
        class_id = class_id_of(dataset, options.class_name) if options.class_name else None
        book = HeatBook.open(project, dataset, options.run or "")
        known = read_known(book.heatmaps, dataset)
        order = Order(options.order)
        found = expected_of(
            book, known, min_score=options.min_score, class_id=class_id, limit=options.limit, order=order
        )
        items = [found.item(row) for row in range(len(found))]
        if not keys:
            _print_worklist(options, book, dataset, found, items, None)
            return 0
        if _ALL not in keys:
            items = [_named(dataset, items, key) for key in keys]
        presence = Presence.POSITIVE if options.add else Presence.NEGATIVE
        pairs = [(item.image_id, item.class_id) for item in items]
        scores = [item.score or None for item in items]
        edit = say_of_many(dataset, pairs, presence, scores=scores, source=book.checkpoint_id)
        if edit.changes:
            dataset.apply(edit, actor=_ACTOR)
        _print_worklist(options, book, dataset, found, items, edit)
    return 0


def disagreements(options: argparse.Namespace) -> int:
    """List images in which heat does not agree with labels or boxes, or not with itself; those with the most first."""
    with opened(options.project, read_only=True) as (project, dataset):
        class_id = class_id_of(dataset, options.class_name) if options.class_name else None
        book = HeatBook.open(project, dataset, options.run or "")
        regions = dataset.region_columns()
        found = inconsistency(book, read_known(book.heatmaps, dataset), regions)
        kind = Disagreement(options.kind)
        least = max(options.min, 1 / 255)
        image_ids = found.image_ids(kind, class_id=class_id, at_least=least)
        values = dict(zip(book.heatmaps.image_ids.tolist(), found.of(kind, class_id).tolist(), strict=True))
        rows = [
            {"image": image.path, "image_id": image.id, "disagreement": round(values[image.id], 5)}
            for image in dataset.images(image_ids[: options.limit].tolist())
        ]
    if options.json:
        print_json({"run": book.run.id, "kind": str(kind), "found": len(image_ids), "rows": rows})
        return 0
    for row in rows:
        say(f"{row['disagreement']:.3f}  {row['image_id']:>7}  {shown(str(row['image']))}")
    if len(image_ids) > len(rows):
        say(f"and {len(image_ids) - len(rows)} more")
    if not rows:
        say("Nothing disagrees so much.")
    return 0


def _heat_of(options: argparse.Namespace, project: Project, dataset: Dataset, image: Image) -> tuple[ImageHeat, int]:
    """The heat of an image, and how many epochs the run has planned; 0 where a model has found it now."""
    must_be_run = bool(options.run or options.epoch)
    if must_be_run and options.checkpoint:
        raise UserError("A run remembers and a checkpoint looks now: say --checkpoint without --run and --epoch.")
    has_run = must_be_run or bool(heat_runs(project))
    if not has_run and not options.checkpoint:
        refuse_unreadable(project)
    if options.checkpoint or not has_run:
        return _found(project, dataset, image, options.checkpoint), 0
    book = HeatBook.open(project, dataset, options.run or "")
    try:
        heat = book.image(image, options.epoch)
    except LookupError as error:
        kept = ", ".join(map(str, book.heatmaps.header.key_epochs)) or "none"
        sentence = f"The run {book.run.id} keeps no heatmaps of epoch {options.epoch}. Its key epochs: {kept}."
        raise BadInput(sentence) from error
    if heat is None and must_be_run:
        raise BadInput(f"The run {book.run.id} has not seen the image {shown(image.path)}.")
    return (heat, book.run.num_epochs) if heat is not None else (_found(project, dataset, image, None), 0)


def _found(project: Project, dataset: Dataset, image: Image, chosen: Path | None) -> ImageHeat:
    """What the multi-label model in use, or another one, finds in the image now."""
    checkpoint = chosen or active_folder(project, dataset, "consistency")
    if not checkpoint.is_dir():
        raise BadInput(f"There is no checkpoint at {shown(str(checkpoint))}.")
    engine = session(project, checkpoint_folder(project, dataset, None))
    engine.set_image(dataset.image_file(image), sha256=image.sha256)
    found = engine.find_heat(checkpoint)
    return found_heat(
        dataset, image, found.class_names, found.scores_L, found.maps_LWW, checkpoint_id=found.checkpoint_id
    )


def _row_named(dataset: Dataset, heat: ImageHeat, name: str) -> ClassHeat:
    """The class of this name or number, be it in the vocabulary or only known to the model.

    Raises:
        BadInput: there is no heat of it.
    """
    row = next((row for row in heat.rows if row.name.casefold() == name.casefold()), None)
    if row is None and (row := heat.of_class(class_id_of(dataset, name))) is None:
        who = f"The run {heat.run_id}" if heat.run_id else f"The checkpoint {heat.checkpoint_id}"
        raise BadInput(f"{who} does not know the class {shown(name)}.")
    return row


def _write_picture(options: argparse.Namespace, dataset: Dataset, image: Image, row: ClassHeat) -> None:
    from PIL import Image as PillowImage

    from locstudio.media.decode import decode_rgb
    from locstudio.services.heat.pictures import heat_picture

    if row.map_WW is None:
        raise BadInput(f"No heatmap of {shown(row.name)} is kept for this image: other classes were hotter.")
    if options.out.exists():
        raise BadInput(f"{shown(str(options.out))} is there already; choose another name.")
    rgb_HV3 = decode_rgb(dataset.image_file(image), max_side=_LONG_SIDE)
    mixed_HV3 = heat_picture(rgb_HV3, row.map_WW, colormap=options.colormap, opacity=options.opacity)
    content = io.BytesIO()
    PillowImage.fromarray(mixed_HV3).save(content, format="PNG")
    with open(options.out, "xb") as file:
        try:
            file.write(content.getbuffer())
            file.flush()
        except OSError:  # half a picture is none
            options.out.unlink(missing_ok=True)
            raise


def _print_class(options: argparse.Namespace, image: Image, heat: ImageHeat, num_epochs: int, row: ClassHeat) -> None:
    peak, peak_at, threshold, boxes = 0.0, None, 0.0, []
    if row.map_WW is not None and row.map_WW.any():
        at, value = peak_of(row.map_WW)
        peak, peak_at = value / 255, [round(place, 5) for place in at]
        threshold = peak * _SHARE_OF_PEAK if options.threshold is None else options.threshold
        boxes = [_corners(box.as_tuple()) for box in heat_boxes(row.map_WW, 255 * threshold)]
    if options.json:
        print_json(
            {
                **_head(image, heat, num_epochs),
                **_row(row),
                "peak": round(peak, 5),
                "peak_at": peak_at,
                "threshold": round(threshold, 5),
                "boxes": boxes,
                "corrections": len(row.corrections),
                "trajectory": [round(score, 5) for score in row.trajectory_E.tolist()],
                "out": None if options.out is None else str(options.out),
            }
        )
        return
    say(f"{shown(row.name)} in {shown(image.path)}: {_words(row)}, peak {peak:.3f}{_staleness(heat)}")
    for box in boxes:
        say(f"  box {','.join(f'{corner:.3f}' for corner in box)}")
    if options.out is not None:
        say(f"Written: {shown(str(options.out))}")


def _print_classes(options: argparse.Namespace, image: Image, heat: ImageHeat, num_epochs: int) -> None:
    if options.json:
        rows = [_row(row) | {"peak": _peak(row)} for row in heat.rows]
        print_json(_head(image, heat, num_epochs) | {"classes": rows})
        return
    when = f"after epoch {heat.epoch} of {num_epochs}" if heat.run_id else f"by {heat.checkpoint_id}"
    say(f"{shown(image.path)} {when}{_staleness(heat)}")
    for row in heat.rows:
        say(f"{row.average:.3f}  {row.presence:8}  {shown(row.name)}")


def _print_worklist(
    options: argparse.Namespace,
    book: HeatBook,
    dataset: Dataset,
    found: Worklist,
    items: list[Expected],
    edit: Edit | None,
) -> None:
    paths = {image.id: image.path for image in dataset.images([item.image_id for item in items])}
    if options.json:
        rows = [_expected_row(book, item, paths.get(item.image_id, "")) for item in items]
        document: dict[str, Any] = {
            "run": book.run.id,
            "checkpoint": book.checkpoint_id,
            "epoch": book.run.epoch,
            "min_score": options.min_score,
            "order": options.order,
            "found": found.num_found,
            "rows": rows,
        }
        print_json(document if edit is None else document | {"title": edit.title, "changes": len(edit.changes)})
        return
    if edit is not None:
        say(f"{edit.title}: {counted(len(edit.changes), 'change')}" if edit.changes else "Nothing to do.")
        return
    for item in items:
        name = shown(book.class_name(item.class_id))
        say(f"{item.score:.3f}  {item.key:>12}  {name:20}  {shown(paths.get(item.image_id, ''))}")
    if found.num_found > len(items):
        say(f"and {found.num_found - len(items)} more")
    if not items:
        say("Nothing is expected that is not labelled.")


def _named(dataset: Dataset, items: list[Expected], key: str) -> Expected:
    """The row of the list with this key; one without a score where it is not in the list.

    Raises:
        BadInput: there is no such image or class.
    """
    image_name, sign, class_name = key.rpartition(":")
    if not sign or not image_name or not class_name:
        raise UserError(f"Say IMAGE:CLASS, as the list does, or {_ALL}, not {shown(key)!r}.")
    image, class_id = image_of(dataset, image_name), class_id_of(dataset, class_name)
    row = next((item for item in items if (item.image_id, item.class_id) == (image.id, class_id)), None)
    if row is not None:
        return row
    return Expected(image.id, class_id, 0.0, 0.0, 0.0, 0.0, 0.0, None)


def _head(image: Image, heat: ImageHeat, num_epochs: int) -> dict[str, Any]:
    return {
        "image": image.path,
        "image_id": image.id,
        "run": heat.run_id or None,
        "checkpoint": heat.checkpoint_id,
        "epoch": heat.epoch if heat.run_id else None,
        "num_epochs": num_epochs if heat.run_id else None,
        "is_stale": heat.is_stale,
    }


def _row(row: ClassHeat) -> dict[str, Any]:
    return {
        "class": row.name,
        "class_id": row.class_id or None,
        "score": round(row.score, 5),
        "average": round(row.average, 5),
        "presence": str(row.presence),
    }


def _expected_row(book: HeatBook, item: Expected, path: str) -> dict[str, Any]:
    return {
        "key": item.key,
        "image": path,
        "image_id": item.image_id,
        "class": book.class_name(item.class_id),
        "class_id": item.class_id,
        "score": round(item.score, 5),
        "average": round(item.average, 5),
        "peak": round(item.peak, 5),
        "agreement": round(item.agreement, 5),
        "own": round(item.own, 5),
        "box": None if item.box is None else _corners(item.box.as_tuple()),
    }


def _peak(row: ClassHeat) -> float:
    return 0.0 if row.map_WW is None else round(float(row.map_WW.max()) / 255, 5)


def _corners(corners: tuple[float, ...]) -> list[float]:
    return [round(corner, 5) for corner in corners]


def _words(row: ClassHeat) -> str:
    said = {
        Presence.POSITIVE: "labelled as there",
        Presence.NEGATIVE: "labelled as not there",
        Presence.UNKNOWN: "not labelled",
    }[row.presence]
    return f"score {row.score:.3f}, average {row.average:.3f}, {said}"


def _staleness(heat: ImageHeat) -> str:
    return " (stale: the image's file is another one than the run has seen)" if heat.is_stale else ""

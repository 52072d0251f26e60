"""The command about which expert looks at which image: route.

Experts are counted from 1, as everywhere that a person sees them.  ``route --image I --json`` asks the model now and
prints::

    {"image", "image_id", "run": null, "checkpoint", "name", "routing", "layers": [...],
     "box": [x0, y0, x1, y1] or null, "expert", "expert_name", "margin", "mismatch": true, false or null,
     "is_stale": false,
     "routers": [{"layers": [...], "probabilities": [...], "experts": [...]}, ...],
     "classes": [{"class", "score"}, ...], "what_if": [{"expert", "classes": [...]}, ...] or null}

``mismatch`` is null where nothing is known of what the image shows.  A router of tokens gives the share of the tokens
that each expert took in place of probabilities.  With ``--run`` it prints what that run has found of the image, where
``what_if`` is null and ``classes`` has the likeliest alone.

Without an image, ``route --json`` routes the collection by a run, and prints what it found; with ``--run`` what that
run has found, without asking again::

    {"run", "checkpoint", "name", "routing", "epoch", "num_epochs", "num_images", "num_mismatched", "num_missing",
     "experts": [{"expert", "name", "num_images", "share", "superclass", "mean_margin", "num_mismatched",
                  "num_unlabelled", "top1", "state": "dead|rare|overloaded|" , "top_classes": [{"class", "num_images"},
                  ...]}, ...]}

where what is not known is null.  ``--expert``, ``--mismatch``, ``--max-margin`` and ``--order`` list images of the
newest routing, or that of ``--run``::

    {"run", "checkpoint", "found", "rows": [{"image", "image_id", "expert", "expert_name", "margin", "mismatch",
     "class", "score", "truth", "superclass", "held_out"}, ...]}
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from locstudio.commands.opening import checkpoint_folder, image_of, opened, session, unit_box
from locstudio.commands.output import print_json, say
from locstudio.commands.runs import INTERRUPTED
from locstudio.commands.waiting import tell, wait_for
from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.domain.text import counted, shown
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.services.routing.book import NO_ONE, RoutingBook
from locstudio.services.routing.experts import ExpertSummary, summaries
from locstudio.services.routing.found import FoundRouting, classes_known_in, found_by_engine, found_in_table, is_stale
from locstudio.services.routing.wishes import RoutingsOf, RoutingWish
from locstudio.services.starting import start_route
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

_NEWEST = "newest"
_SHOWN_CLASSES = 5


def route(options: argparse.Namespace) -> int:
    """Say which expert looks at an image, or at which images each expert looks."""
    wish = RoutingWish(
        experts=frozenset(expert - 1 for expert in options.expert or ()),
        has_mismatch=options.mismatch,
        max_margin=options.max_margin,
        order=options.order or "",
    )
    _refuse_contradictions(options, wish)
    if options.image is not None:
        return _route_image(options)
    if wish:
        return _list_images(options, wish)
    return _summarise(options)


def _refuse_contradictions(options: argparse.Namespace, wish: RoutingWish) -> None:
    if options.image is None and options.box is not None:
        raise UserError("A box lies in one image: say which with --image.")
    if options.image is not None and wish:
        raise UserError("--expert, --mismatch, --max-margin and --order are about the list of images, not about one.")
    if options.run and options.checkpoint:
        raise UserError("A run has found something and a checkpoint looks now: say --run or --checkpoint.")
    if options.run and options.box:
        raise UserError("A run has looked at whole images: say --box without --run.")
    if wish and options.checkpoint:
        raise UserError("The list is of what a run has found: locstudio route PROJECT --checkpoint DIR, then the list.")


def _book(options: argparse.Namespace, project: Project, dataset: Dataset) -> RoutingBook:
    return RoutingBook.open(project, dataset, "" if options.run in (None, _NEWEST) else options.run)


# One image


def _route_image(options: argparse.Namespace) -> int:
    with opened(options.project, read_only=True) as (project, dataset):
        image = image_of(dataset, options.image)
        box = None
        if options.box is not None:
            box = unit_box(options.box, image.width, image.height)
        if options.run:
            book = _book(options, project, dataset)
            row = book.row_of(image.id)
            if row < 0:
                raise BadInput(f"The run {book.run.id} has not routed the image {shown(image.path)}.")
            found = found_in_table(book.table, row, book.expert_names, book.class_homes.tolist())
            document = _image_document(dataset, image, found, box) | {
                "run": book.run.id,
                "is_stale": is_stale(book.table, row, image),
            }
        else:
            document = _image_document(dataset, image, _asked(options, project, dataset, image, box), box)
    if options.json:
        print_json(document)
    else:
        _say_image(document)
    return 0


def _asked(
    options: argparse.Namespace, project: Project, dataset: Dataset, image: Image, box: UnitBox | None
) -> FoundRouting:
    """What the model with experts in use, or another one, says of the image now."""
    folder: Path = checkpoint_folder(project, dataset, options.checkpoint, "vmoe")
    engine = session(project, checkpoint_folder(project, dataset, None))
    engine.set_image(dataset.image_file(image), sha256=image.sha256)
    return found_by_engine(engine.find_routing(folder, box), checkpoint_info(folder))


def _image_document(dataset: Dataset, image: Image, found: FoundRouting, box: UnitBox | None) -> dict[str, Any]:
    known = classes_known_in(dataset, image)
    layers = list(found.layers)
    is_shared = len(found.probabilities_RE) == 1
    return {
        "image": image.path,
        "image_id": image.id,
        "run": None,
        "checkpoint": found.checkpoint_id,
        "name": found.name,
        "routing": found.routing,
        "layers": layers,
        "box": None if box is None else [round(corner, 5) for corner in box.as_tuple()],
        "expert": found.expert + 1,
        "expert_name": found.expert_names[found.expert],
        "margin": round(found.margin, 5),
        "mismatch": found.is_mismatched(known) if found.homes_of(known) else None,
        "is_stale": False,
        "routers": [
            {
                "layers": layers if is_shared else [layers[place]],
                "probabilities": [round(probability, 5) for probability in of_router],
                "experts": [expert + 1 for expert in found.experts_R[place]],
            }
            for place, of_router in enumerate(found.probabilities_RE)
        ],
        "classes": _classes(found.classes),
        "what_if": [
            {"expert": expert + 1, "expert_name": found.expert_names[expert], "classes": _classes(classes)}
            for expert, classes in enumerate(found.what_if_E)
        ]
        or None,
    }


def _classes(classes: tuple[tuple[str, float], ...]) -> list[dict[str, Any]]:
    return [{"class": name, "score": round(score, 5)} for name, score in classes]


def _say_image(document: dict[str, Any]) -> None:
    where = f" of {document['run']}" if document["run"] else f" by {document['name'] or document['checkpoint']}"
    stale = ", of an earlier file" if document["is_stale"] else ""
    say(f"{shown(document['image'])}: expert {shown(document['expert_name'])}, margin {document['margin']:.3f}{stale}")
    if document["mismatch"]:
        say("  What it is known to show belongs to another expert.")
    for router in document["routers"]:
        layers = f"layer{'s' if len(router['layers']) > 1 else ''} {' and '.join(map(str, router['layers']))}"
        shares = "  ".join(f"{number} {share:.3f}" for number, share in enumerate(router["probabilities"], 1))
        say(f"  {layers}{where}: {shares}")
    for row in document["classes"][:_SHOWN_CLASSES]:
        say(f"  {row['score']:.3f}  {shown(row['class'])}")
    for row in document["what_if"] or ():
        likeliest = ", ".join(f"{shown(each['class'])} {each['score']:.3f}" for each in row["classes"][:1])
        say(f"  had expert {shown(row['expert_name'])} taken it: {likeliest}")


# The collection


def _summarise(options: argparse.Namespace) -> int:
    if options.run:
        with opened(options.project, read_only=True) as (project, dataset):
            document = _summary(_book(options, project, dataset))
    else:
        with opened(options.project) as (project, dataset):
            named = checkpoint_folder(project, dataset, options.checkpoint, "vmoe") if options.checkpoint else None
            folder = start_route(project, dataset, named, device=options.device)
        tell(f"The run is {folder.id}.")
        # The run has a snapshot of its own: until it is over, a window may have the project.
        if not wait_for(folder, "Routing"):
            return INTERRUPTED
        with opened(options.project, read_only=True) as (_, dataset):
            document = _summary(RoutingBook.of_folder(folder, dataset))
    if options.json:
        print_json(document)
        return 0
    say(f"{counted(document['num_images'], 'image')} by {document['name']}, {document['num_mismatched']} mismatched")
    for row in document["experts"]:
        tops = ", ".join(f"{shown(top['class'])} {top['num_images']}" for top in row["top_classes"][:_SHOWN_CLASSES])
        margin = "" if row["mean_margin"] is None else f"margin {row['mean_margin']:.2f}"
        say(f"{shown(row['name']):24} {row['share']:6.1%}  {margin:12} {row['state']:10}  {tops}".rstrip())
    if document["num_missing"]:
        say(f"{counted(document['num_missing'], 'image')} not routed: new since, or not readable.")
    return 0


def _summary(book: RoutingBook) -> dict[str, Any]:
    header = book.table.header
    return {
        "run": book.run.id,
        "checkpoint": header.checkpoint_id,
        "name": header.name,
        "routing": header.routing,
        "epoch": header.epoch or None,
        "num_epochs": header.num_epochs or None,
        "num_images": book.num_images,
        "num_mismatched": int((book.mismatch_N & ~book.is_stale_N).sum()),
        "num_missing": len(book.missing_ids()),
        "experts": [_expert_row(book, each) for each in summaries(book)],
    }


def _expert_row(book: RoutingBook, each: ExpertSummary) -> dict[str, Any]:
    states = {"dead": each.is_dead, "rare": each.is_rare, "overloaded": each.is_overloaded}
    return {
        "expert": each.expert + 1,
        "name": each.name,
        "num_images": each.num_images,
        "share": round(each.share, 5),
        "superclass": None if each.superclass is None else book.group_names[each.superclass],
        "mean_margin": _known(each.mean_margin),
        "num_mismatched": each.num_mismatched,
        "num_unlabelled": each.num_unlabelled,
        "top1": _known(each.top1),
        "state": next((state for state, is_so in states.items() if is_so), ""),
        "top_classes": [
            {"class": book.table.header.class_names[place], "num_images": count} for place, count in each.top_classes
        ],
    }


def _list_images(options: argparse.Namespace, wish: RoutingWish) -> int:
    with opened(options.project, read_only=True) as (project, dataset):
        book = _book(options, project, dataset)
        if wish.experts and max(wish.experts) >= book.num_experts:
            raise UserError(f"There is no expert {max(wish.experts) + 1}: {book.run.id} has {book.num_experts}.")
        rows = _rows_that_meet(book, wish)
        images = dataset.images(book.table.image_ids[rows[: options.limit]].tolist())
        at = {int(book.table.image_ids[row]): int(row) for row in rows[: options.limit]}
        document: dict[str, Any] = {
            "run": book.run.id,
            "checkpoint": book.run.checkpoint_id,
            "found": len(rows),
            "rows": [_image_row(book, at[image.id], image) for image in images],
        }
    if options.json:
        print_json(document)
        return 0
    for row in document["rows"]:
        mark = "mismatch" if row["mismatch"] else ""
        said = f"{shown(row['class'] or '')} {row['score']:.2f}"
        say(f"{row['margin']:.3f}  {shown(row['expert_name']):20} {mark:9} {said:28} {shown(row['image'])}")
    if len(rows) > len(document["rows"]):
        say(f"and {len(rows) - len(document['rows'])} more")
    if not len(rows):
        say("There is no such image.")
    return 0


def _rows_that_meet(book: RoutingBook, wish: RoutingWish) -> np.ndarray:
    """Rows of the table, in the wish's order, without files that are others by now or cannot be looked at."""
    rows = np.flatnonzero(~book.is_stale_N & book.is_shown_N)
    found = RoutingsOf(book.experts_N[rows], book.margins_N[rows], book.mismatch_N[rows], book.other_N[rows])
    order = found.ordered(wish.order)
    return rows[order[found.meets(wish)[order]]]


def _image_row(book: RoutingBook, row: int, image: Image) -> dict[str, Any]:
    header, table = book.table.header, book.table
    truth, predicted, group = int(book.truth_N[row]), int(table.predicted[row]), int(book.groups_N[row])
    expert = int(book.experts_N[row])
    return {
        "image": image.path,
        "image_id": image.id,
        "expert": expert + 1,
        "expert_name": book.expert_names[expert],
        "margin": round(float(book.margins_N[row]), 5),
        "mismatch": bool(book.mismatch_N[row]),
        "class": header.class_names[predicted] if predicted != NO_ONE else None,
        "score": round(float(table.scores[row]), 5),
        "truth": header.class_names[truth] if truth != NO_ONE else None,
        "superclass": book.group_names[group] if group != NO_ONE else None,
        "held_out": bool(table.held_out[row]),
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 5)

"""``python -m trainer.bundle.detector --data DIR --checkpoint FOLDER``: the proposal head of ``cloc-lite``, and rivals.

Three seeds are trained on coco_train and measured on coco_dev, beside the head that ``--before`` has, boxes slid over
the image, and boxes of selective search where a file of them is given; the table is ``proposals.md`` beside the
checkpoint.  ``--ship`` puts the first seed's weights into the checkpoint.  All other weights are left bit by bit as they
are.
"""
# ruff: noqa: E501 - the rows of a Markdown table cannot be broken

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.models.checkpoint import load_checkpoint, save_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.models.config import DetectionConfig
from locstudio.models.point_head import PointHead
from trainer.bundle.card import arms_with_proposals, with_proposals
from trainer.bundle.features import SceneSet, dev_set, encoded
from trainer.bundle.photos import coco_class_names, coco_photos
from trainer.bundle.proposal_measuring import listed, proposals_measured, sliding, sliding_boxes
from trainer.bundle.proposals import fit_proposals
from trainer.bundle.scenes import Scene, composed, flipped, plain, zoomed

SEEDS = (0, 1, 2)
NUM_ZOOMS = 3
DETECTION = DetectionConfig(nothing=0.25, share_weight=2.03, objectness_weight=2.033, bias=1.456)
"""Fitted to every fifth photo of coco_train, proposals and Prompter of a head and a model that had not seen them."""

_COLUMNS = (
    ("recall_24", "recall@24"),
    ("recall_100", "recall@100"),
    ("ar100", "AR@100"),
    ("ap50", "class-name AP50"),
    ("ground_hit50", "grounding hit@0.5"),
    ("propose_ms", "CPU ms an image"),
)
_TABLE = """## Proposals

Recall is the share of the 793 true boxes of coco_dev that one of so many proposals overlaps by a half; AR@100 that of 100
averaged over overlaps of 0.5 to 0.95; class-name AP50 is of detections by the 80 names, one name a box; grounding finds each class
by its name, the best of these boxes and the pointed box.  Milliseconds are of proposing alone, on one thread, tokens at
hand, on a busy machine.

| proposals | {titles} |
| --- |{rule}
{rows}

- **sliding**: {num_sliding} boxes of five sizes and three shapes, ranked by how surely the Prompter names one
- **selective search**: OpenCV 5's, fast mode, the first 100 in its own order; its time is of the photo at 384 px
- **anchors**: the head that was shipped before, 15 anchors a token
- **points**: four grids, the finest twice as fine as the tokens (mean +- standard deviation of three seeds; shipped is the first)

Made by `python -m trainer.bundle.detector --data DIR --checkpoint FOLDER --before OLD --ship`.  Learnt from the 294 photos of
coco_train, plain, flipped, three zooms each, and four on a square.  The number of steps, the shape of the head, the
overlap of 0.6 above which a box is dropped, and how likeness and objectness become a score were chosen on every fifth
photo of coco_train, by a head and a Prompter that had not seen them.  coco_dev was read three times: for that head, for the
seeds after their first 700 steps, and after the 400 that were then added.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer.bundle.detector", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the development data")
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FOLDER", help="cloc-lite")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkpoint with the head to compare with")
    parser.add_argument("--selective-search", type=Path, metavar="NPZ", help="boxes of the square frame by photo")
    parser.add_argument("--ship", action="store_true", help="put the first seed's head into the checkpoint")
    parser.add_argument("--scratch", type=Path, required=True, help="where features and heads are kept between calls")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)
    model = with_points(load_checkpoint(options.checkpoint))
    dev, names = dev_set(model, options.data, options.scratch, _say), coco_class_names(options.data)
    results: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        head = options.scratch / f"points-{seed}.pt"
        if not head.exists():
            _train(model, options.data, options.scratch, head, seed)
        take_head(model, head)
        results.setdefault("points", []).append(_kept(options.scratch, f"points-{seed}", model, dev, names))
    if options.before:
        before = load_checkpoint(options.before)
        results["anchors"] = [_kept(options.scratch, "anchors", before, dev, names)]
    results["sliding"] = [_kept(options.scratch, "sliding", model, dev, names, sliding(model, names))]
    if options.selective_search:
        known = np.load(options.selective_search)
        proposing = listed(lambda name: known[name], dev)
        found = _kept(options.scratch, "selective search", model, dev, names, proposing)
        results["selective search"] = [found | {"propose_ms": float(known["ms"])}]
    text = proposal_table(results)
    if options.ship:
        take_head(model, options.scratch / f"points-{SEEDS[0]}.pt")
        _ship(model, options.checkpoint, results["points"][0])
    (options.checkpoint / "proposals.md").write_text(text, encoding="utf-8")
    return 0


def with_points(model: Cloc) -> Cloc:
    """The same model with a fresh head of points, and scores fitted to it."""
    config = msgspec.structs.replace(model.config, proposals="points", detection=DETECTION)
    made = Cloc(config, model.towers)
    others = {key: value for key, value in model.state_dict().items() if not key.startswith("proposals.")}
    made.load_state_dict(made.state_dict() | others)
    return made.requires_grad_(False).eval()


def take_head(model: Cloc, path: Path) -> None:
    """Give the model a head as its checkpoint will have it: in half precision."""
    state = torch.load(path, weights_only=True)
    model.proposals.load_state_dict({key: value.half().float() for key, value in state.items()})


def proposal_scenes(model: Cloc, data: Path, folder: Path) -> SceneSet:
    """coco_train plain, flipped and zoomed, then four photos on a square, every photo twice."""

    def made() -> Iterator[tuple[NDArray[np.uint8], Scene]]:
        random, side, photos = np.random.default_rng(101), model.input_px, list(coco_photos(data, "train"))
        for photo in photos:
            yield plain(photo, side)
            yield plain(photo, side, is_flipped=True)
            for _ in range(NUM_ZOOMS):
                yield zoomed(photo, side, random)
        order = random.permutation(len(photos))
        for start in range(0, len(order) - 3, 2):
            square, scene = composed([photos[row] for row in order[start : start + 4]], side, random)
            yield flipped(square, scene) if random.random() < 0.5 else (square, scene)

    return encoded(model, made(), folder / "proposal-training", _say)


def proposal_table(results: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """The table of ``proposals.md``: mean and spread over seeds, a dash where nothing was measured."""
    rows = []
    for name in ("sliding", "selective search", "anchors", "points"):
        if runs := results.get(name):
            cells = [
                _cell([run[key] for run in runs if key in run], 1 if key.endswith("_ms") else 3) for key, _ in _COLUMNS
            ]
            rows.append(f"| **{name}** | " + " | ".join(cells) + " |")
    return _TABLE.format(
        titles=" | ".join(title for _, title in _COLUMNS),
        rule=" --- |" * len(_COLUMNS),
        rows="\n".join(rows),
        num_sliding=f"{len(sliding_boxes()):,}",
    )


def _cell(values: Sequence[float], digits: int) -> str:
    if not values:
        return "-"
    spread = f" +- {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


def _train(model: Cloc, data: Path, scratch: Path, path: Path, seed: int) -> None:
    scenes = proposal_scenes(model, data, scratch)
    torch.manual_seed(seed)
    model.proposals = PointHead(width=model.config.token_width, grid=model.proposals.grid)
    fit_proposals(model, scenes, range(len(scenes.scenes)), seed=seed, say=_say)
    torch.save(model.proposals.state_dict(), path)


def _kept(scratch: Path, name: str, *arguments: object) -> dict[str, float]:
    """What was measured, now or by an earlier call."""
    path = scratch / f"{name.replace(' ', '-')}.json"
    if not path.exists():
        measures = proposals_measured(*arguments)  # type: ignore[arg-type]  # passed on as they come
        _say(f"{name}: {measures}")
        path.write_text(json.dumps(measures))
    found: dict[str, float] = json.loads(path.read_text())
    return found


def _ship(model: Cloc, folder: Path, measures: Mapping[str, float]) -> None:
    arms = (folder / "arms.md").read_text(encoding="utf-8")
    kept = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    metrics = kept | {
        "proposal_recall_24": measures["recall_24"],
        "proposal_recall_100": measures["recall_100"],
        "proposal_ar100": measures["ar100"],
        "class_ap50": measures["ap50"],
        "ground_hit50": measures["ground_hit50"],
        "ground_mean_iou": measures["ground_mean_iou"],
    }
    card = with_proposals((folder / "card.md").read_text(encoding="utf-8"), metrics)
    identity = save_checkpoint(model, folder, card=card, metrics=metrics)
    (folder / "arms.md").write_text(arms_with_proposals(arms), encoding="utf-8")
    _say(f"{folder}: {identity}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

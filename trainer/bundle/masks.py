"""``python -m trainer.bundle.masks --data DIR --out FOLDER``: the bundled mask head, measured and shipped if it wins.

It reads the tokens of cloc-lite as they are, so it is made after ``python -m trainer.bundle``, and again whenever that
has made other tokens.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.jobs.assets import assets_folder, bundled_checkpoint
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.models.mask_head import MaskConfig
from locstudio.models.mask_segmenter import HeadSegmenter, MaskModel, save_mask_model, tokens_sha256
from trainer.bundle.mask_card import mask_card
from trainer.bundle.mask_fitting import MaskSchedule, fit_masks
from trainer.bundle.mask_measuring import SIZES, MaskScores, measured
from trainer.bundle.mask_scenes import MaskScenes, coco_mask_photos, composed_mask_photos, encoded_masks, scenes_of

SEEDS = (0, 1, 2)
NUM_ZOOMS = 2
NUM_COMPOSED = 133
HELD_OUT_PHOTOS = 44
"""Last photos of coco_train, on which choices were made; the head that is shipped learns from them too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer.bundle.masks", description="Make the bundled mask head masks-lite."
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the development data")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the checkpoint folder to write")
    parser.add_argument("--seed", type=int, help="train with this seed only, and write no checkpoint")
    parser.add_argument("--steps", type=int, default=MaskSchedule().num_steps, help="steps of training")
    parser.add_argument("--held-out", action="store_true", help="train without the last photos, measure on them")
    parser.add_argument("--scratch", type=Path, help="where features and weights are kept between calls")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)
    scratch = options.scratch or options.out.with_name(options.out.name + ".scratch")
    cloc = load_checkpoint(bundled_checkpoint())
    dev, photos, composed = _scenes(cloc, options.data, scratch)
    schedule = MaskSchedule(num_steps=options.steps)
    first_of_photo = 1 + NUM_ZOOMS
    rows = np.arange(len(photos.scenes))
    if options.held_out:
        known = len(rows) - HELD_OUT_PHOTOS * first_of_photo
        segmenter = _trained(cloc, photos, rows[:known], composed, schedule, options.seed or 0, scratch / "held-out")
        _tell(measured(segmenter, photos, rows[known::first_of_photo]))
        return 0
    seeds = SEEDS if options.seed is None else (options.seed,)
    found = {}
    for seed in seeds:
        segmenter = _trained(cloc, photos, rows, composed, schedule, seed, scratch / "whole")
        found[seed] = measured(segmenter, dev, np.arange(len(dev.scenes))), segmenter.model
        _tell(found[seed][0])
    if options.seed is not None:
        return 0
    return _ship([scores for scores, _ in found.values()], found[SEEDS[0]][1], schedule, options.out)


def _scenes(cloc: Cloc, data: Path, scratch: Path) -> tuple[MaskScenes, MaskScenes, MaskScenes]:
    side, random = cloc.input_px, np.random.default_rng(5)
    dev = scenes_of(coco_mask_photos(data, "dev"), side, 0, random)
    photos = scenes_of(coco_mask_photos(data, "train"), side, NUM_ZOOMS, random)
    composed = islice(scenes_of(composed_mask_photos(assets_folder() / "demo"), side, 1, random), NUM_COMPOSED)
    made = (("dev", dev), ("coco", photos), ("composed", composed))
    first, second, third = (encoded_masks(cloc, scenes, scratch / name, _say) for name, scenes in made)
    return first, second, third


def _trained(
    cloc: Cloc,
    photos: MaskScenes,
    rows: NDArray[np.int64],
    composed: MaskScenes,
    schedule: MaskSchedule,
    seed: int,
    folder: Path,
) -> HeadSegmenter:
    """The head of a seed with the map that makes its tokens; read where an earlier call has kept it."""
    tower = cloc.config.tower
    sha256 = tokens_sha256(cloc.reduce, tower)
    config = MaskConfig(name="masks-lite", tower=tower, token_width=cloc.config.token_width, tokens_sha256=sha256)
    path = folder / f"{schedule.num_steps}-{seed}.pt"
    if not path.exists():
        head = fit_masks(config, photos, rows, composed, schedule, seed=seed, say=_say)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(head.state_dict(), path)
    model = MaskModel(config)
    model.head.load_state_dict(torch.load(path, weights_only=True))
    model.reduce.load_state_dict(cloc.reduce.state_dict())
    return HeadSegmenter(model.eval().requires_grad_(False), cloc.id, cloc.towers)


def _ship(scores: list[MaskScores], model: MaskModel, schedule: MaskSchedule, folder: Path) -> int:
    """Write the first seed's head if every seed beats the plain box and the inscribed ellipse."""
    worst = min(one.mean("mask") for one in scores)
    best_rival = max(scores[0].mean("box"), scores[0].mean("ellipse"))
    if worst <= best_rival:
        _say(f"not shipped: {worst:.3f} does not beat {best_rival:.3f}")
        return 1
    metrics = {f"overlap_{size}": scores[0].mean("mask", size) for size in SIZES}
    metrics |= {"overlap_click": scores[0].mean("click"), "overlap_box_and_click": scores[0].mean("box and click")}
    metrics |= {"overlap_plain_box": scores[0].mean("box"), "overlap_ellipse": scores[0].mean("ellipse")}
    identity = save_mask_model(model, folder, card=mask_card(scores, schedule), metrics=metrics)
    _say(f"shipped: {identity}")
    return 0


def _tell(scores: MaskScores) -> None:
    for rival in scores.overlaps:
        _say(f"{rival:14s}" + "".join(f"{size} {scores.mean(rival, size):.3f}  " for size in SIZES))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

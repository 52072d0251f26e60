"""``python -m trainer.bundle.multilabel --data DIR --out FOLDER``: the claims about heatmaps, and ``consistency-lite``.

Every arm is trained with three seeds on coco_train and mosaics of it, and measured on coco_dev; the tables are
``claims.md`` in the checkpoint's folder, and the first seed of the arm ``shipped`` is the checkpoint.  It reads the
tokens of cloc-lite as they are, so it is made after ``python -m trainer.bundle``, and again whenever that has made
other tokens.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.jobs.assets import bundled_checkpoint
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.models.consistency import Consistency, fit_reduction
from locstudio.models.consistency_files import lite_classifier, new_consistency, save_consistency
from locstudio.models.detector import detect
from trainer.bundle.multilabel_arms import ARMS, PSEUDO_SCORE, ClassArm, run_arm
from trainer.bundle.multilabel_card import claims_table, classes_card
from trainer.bundle.multilabel_fitting import Material, heat_cost, material
from trainer.bundle.multilabel_scenes import (
    NUM_CLASSES,
    LabelledSet,
    dev_scenes,
    encoded_scenes,
    object_scenes,
    training_scenes,
)
from trainer.bundle.multilabel_story import tell
from trainer.bundle.photos import coco_class_names

SEEDS = (0, 1, 2)
SHIPPED = "shipped"
WIDTH = 192
_TOKENS_A_PHOTO = 96
_TOKENS_AN_OBJECT = 48

Results = dict[str, list[dict[str, object]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    cloc: Cloc
    classes: tuple[str, ...]
    reduction: tuple[torch.Tensor, torch.Tensor]
    training: Material
    test: Material
    pseudo_SL: NDArray[np.float32]
    scratch: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m trainer.bundle.multilabel", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the development data")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the checkpoint folder to write")
    parser.add_argument("--arm", nargs="+", choices=sorted(ARMS), help="train these alone, and write nothing")
    parser.add_argument("--seed", type=int, nargs="+", default=SEEDS, help="these seeds alone (default: 0, 1 and 2)")
    parser.add_argument("--scratch", type=Path, help="where tokens and results are kept between calls")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)
    bench = _bench(options.data, options.scratch or options.out.with_name(options.out.name + ".scratch"))
    results: Results = {}
    for name in options.arm or ARMS:
        for seed in options.seed:
            results.setdefault(name, []).append(_kept(bench, name, seed))
    if not options.arm:
        _ship(bench, results, [_story(bench, seed) for seed in SEEDS], options.out)
    return 0


def _bench(data: Path, scratch: Path) -> _Bench:
    cloc = load_checkpoint(bundled_checkpoint())
    side = cloc.input_px
    training = encoded_scenes(cloc, training_scenes(data, side), scratch / "train.f16", _say)
    objects = encoded_scenes(cloc, object_scenes(data, side), scratch / "objects.f16", _say)
    test = encoded_scenes(cloc, dev_scenes(data, side), scratch / "dev.f16", _say)
    reduction = _reduction(training, objects)
    classes = coco_class_names(data)
    frozen = _new(cloc, classes, reduction, ARMS["an"], 0)
    return _Bench(
        cloc=cloc,
        classes=classes,
        reduction=reduction,
        training=material(frozen, training),
        test=material(frozen, test),
        pseudo_SL=_pseudo(cloc, training, classes, scratch / "pseudo-train.npy"),
        scratch=scratch,
    )


def _reduction(training: LabelledSet, objects: LabelledSet) -> tuple[torch.Tensor, torch.Tensor]:
    """Principal components of tokens of the photos (not of the mosaics) and of photos of one thing each."""
    random = np.random.default_rng(0)
    parts = []
    for known, count in ((training, _TOKENS_A_PHOTO), (objects, _TOKENS_AN_OBJECT)):
        for scene, tokens_ND in zip(known.scenes, known.tokens_SND, strict=True):
            if not scene.is_mosaic:
                parts.append(tokens_ND[1 + random.choice(len(tokens_ND) - 1, count, replace=False)])
    return fit_reduction(torch.from_numpy(np.concatenate(parts).astype(np.float32)), WIDTH)


def _new(
    cloc: Cloc, classes: tuple[str, ...], reduction: tuple[torch.Tensor, torch.Tensor], arm: ClassArm, seed: int
) -> Consistency:
    torch.manual_seed(seed)
    config = lite_classifier(cloc, name="consistency-lite", classes=classes, width=WIDTH)
    config = msgspec.structs.replace(config, boost=arm.boost, dropout=arm.dropout)
    return new_consistency(config, cloc=cloc, reduction=reduction)


@torch.inference_mode()
def _pseudo(cloc: Cloc, known: LabelledSet, classes: tuple[str, ...], path: Path) -> NDArray[np.float32]:
    """The best score of each class (S, L) among what the region model finds in each scene."""
    if not path.exists():
        text_LD = cloc.embed_texts(list(classes))
        scores_SL = np.zeros((len(known.scenes), NUM_CLASSES), np.float32)
        for row, tokens_ND in enumerate(known.tokens_SND):
            found = detect(cloc, cloc.prepare(torch.from_numpy(np.array(tokens_ND))), text_LD)
            np.maximum.at(scores_SL[row], found.phrase_P.numpy(), found.score_P.numpy())
        np.save(path, scores_SL)
    pseudo_SL: NDArray[np.float32] = np.load(path)
    is_found_SL = pseudo_SL >= PSEUDO_SCORE
    right = (is_found_SL & known.present_SL).sum()
    _say(
        f"pseudo-labels: {is_found_SL.sum(axis=1).mean():.2f} an image, {right / is_found_SL.sum():.3f} of them right, "
        f"{right / known.present_SL.sum():.3f} of what is there"
    )
    return pseudo_SL


def _kept(bench: _Bench, name: str, seed: int) -> dict[str, object]:
    """What was measured, now or by an earlier call; the weights of what is shipped lie beside it."""
    path = bench.scratch / "arms" / f"{name}-{seed}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        arm, begun = ARMS[name], time.process_time()
        model = _new(bench.cloc, bench.classes, bench.reduction, arm, seed)
        found = run_arm(
            arm,
            model,
            bench.training,
            bench.test,
            seed,
            pseudo_SL=bench.pseudo_SL,
            say=lambda line: _say(f"{name}, seed {seed}, {line}"),
        )
        found["cpu_s"] = time.process_time() - begun
        if name == SHIPPED:
            torch.save(model.state_dict(), path.with_suffix(".pt"))
        path.write_text(json.dumps(found))
    known: dict[str, object] = json.loads(path.read_text())
    return known


def _story(bench: _Bench, seed: int) -> dict[str, float]:
    path = bench.scratch / f"story-{seed}.json"
    if not path.exists():
        photos = bench.training.of(np.flatnonzero([not scene.is_mosaic for scene in bench.training.scenes]))
        num_expected = int(np.ceil(photos.present_SL.sum(axis=1).mean()))

        def new() -> Consistency:
            return _new(bench.cloc, bench.classes, bench.reduction, ARMS["en_scl"], seed)

        path.write_text(json.dumps(tell(new, photos, bench.test, num_expected, seed)))
    known: dict[str, float] = json.loads(path.read_text())
    return known


def _ship(bench: _Bench, results: Results, stories: Sequence[dict[str, float]], folder: Path) -> None:
    arm = ARMS[SHIPPED]
    model = _new(bench.cloc, bench.classes, bench.reduction, arm, SEEDS[0])
    state = torch.load(bench.scratch / "arms" / f"{SHIPPED}-{SEEDS[0]}.pt", weights_only=True)
    model.load_state_dict(state)
    first = results[SHIPPED][0]
    metrics = {name: float(str(first[name])) for name in ("map", "pointing", "overlap")}
    card = classes_card(results, arm.training, heat_cost(model.eval(), bench.test))
    identity = save_consistency(model, folder, card=card, metrics=metrics)
    (folder / "claims.md").write_text(claims_table(results, stories), encoding="utf-8")
    _say(f"{folder}: {identity}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

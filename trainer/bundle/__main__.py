"""``python -m trainer.bundle --data DIR --out FOLDER``: features, every arm, measures, table, card, weights."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from locstudio.models.checkpoint import save_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.models.config import ClocConfig
from locstudio.models.towers import Towers, build_towers, lite_config
from trainer.bundle import measuring
from trainer.bundle.arms import ARMS, Arm, Schedule, fit
from trainer.bundle.card import card, folds_table, table
from trainer.bundle.detector import DETECTION
from trainer.bundle.features import (
    Amount,
    SceneSet,
    colour_set,
    crop_states,
    dev_set,
    fit_reduction,
    joined,
    plain_scenes,
    training_set,
)
from trainer.bundle.folds import compared, pooled_scores
from trainer.bundle.held_out import demo_colours, dev_colours, dev_mosaics, mosaics_of_dev
from trainer.bundle.photos import coco_class_names
from trainer.bundle.proposals import ROUNDS, fit_proposals
from trainer.bundle.sampling import batches
from trainer.bundle.teacher import teach
from trainer.recipes.cloc import ClocStep

DIM = 384
TOKEN_WIDTH = 384
SEEDS = (0, 1, 2)
SHIPPED = "prompter"
RIVAL = "roi_align"


@dataclass(frozen=True, slots=True)
class Bench:
    """What all arms share: data, towers, scenes, scratch folder."""

    data: Path
    scratch: Path
    towers: Towers
    amount: Amount
    training: SceneSet
    dev: SceneSet
    mosaics: SceneSet
    reduction: dict[str, torch.Tensor]
    share_of_steps: float
    text_features: dict[str, torch.Tensor]
    proposed: measuring.Proposed


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer.bundle", description="Make the bundled checkpoint cloc-lite."
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the development data")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the checkpoint folder to write")
    parser.add_argument(
        "--arm", nargs="+", choices=sorted(ARMS), help="these arms only; the table takes the others as they were"
    )
    parser.add_argument("--seed", type=int, help="one seed only (default: 0, 1 and 2)")
    parser.add_argument("--measure", action="store_true", help="train nothing, measure the weights that were kept")
    parser.add_argument("--folds", nargs=2, metavar="ARM", help="also compare two arms on unseen folds of coco_train")
    parser.add_argument("--ship", action="store_true", help="write the checkpoint too, though not all arms are run")
    parser.add_argument("--quick", action="store_true", help="a twentieth of everything, to see that it runs")
    parser.add_argument("--scratch", type=Path, help="where features and results are kept between calls")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)
    scratch = options.scratch or options.out.with_name(options.out.name + ".scratch")
    bench = _prepare(options.data, scratch, is_quick=options.quick)
    all_seeds = SEEDS[:1] if options.quick else SEEDS
    seeds = all_seeds if options.seed is None else (options.seed,)
    for name in options.arm or list(ARMS):
        for seed in seeds:
            if not options.measure:
                _run(bench, name, seed)
            _measure(bench, name, seed)
    if options.folds:
        _compare_on_folds(bench, *options.folds)
    if options.ship or options.arm is None:
        _ship(bench, options.out, seed=seeds[0])
    elif options.out.is_dir():
        (options.out / "arms.md").write_text(_tables(bench), encoding="utf-8")
    return 0


def _prepare(data: Path, scratch: Path, *, is_quick: bool) -> Bench:
    scratch.mkdir(parents=True, exist_ok=True)
    amount = Amount(num_zooms=1, per_caltech_class=1, per_tiny_class=1, num_photos=20) if is_quick else Amount()
    torch.manual_seed(0)
    towers = build_towers(lite_config())
    towers.requires_grad_(False)
    model = Cloc(_config(ARMS[SHIPPED]), towers).eval()
    path = scratch / "reduction.pt"
    if not path.exists():
        _say("principal components of the tower's features")
        fit_reduction(model, data, amount)
        torch.save(model.reduce.state_dict(), path)
    reduction = torch.load(path, weights_only=True)
    model.reduce.load_state_dict(reduction)
    training = training_set(model, data, amount, scratch, _say)
    dev = dev_set(model, data, scratch, _say)
    mosaics = dev_mosaics(model, data, scratch, _say)
    share = 0.05 if is_quick else 1.0
    path = scratch / "proposals.pt"
    if not path.exists():
        rows = range(len(training.scenes))
        rounds = [replace(one, num_steps=max(2, round(one.num_steps * share))) for one in ROUNDS]
        fit_proposals(model, training, rows, rounds=rounds, seed=0, say=_say)
        torch.save(model.proposals.state_dict(), path)
    return Bench(data, scratch, towers, amount, training, dev, mosaics, reduction, share, _known_texts(scratch), {})


def _known_texts(scratch: Path) -> dict[str, torch.Tensor]:
    """What the frozen text tower has said in earlier calls."""
    path = scratch / "texts.pt"
    if not path.exists():
        return {}
    kept = torch.load(path, weights_only=True)
    return dict(zip(kept["texts"], kept["features"], strict=True))


def _keep_texts(bench: Bench) -> None:
    path = bench.scratch / "texts.pt"
    kept = {"texts": list(bench.text_features), "features": torch.stack(list(bench.text_features.values()))}
    torch.save(kept, path.with_suffix(".partial"))
    path.with_suffix(".partial").replace(path)


def _config(arm: Arm) -> ClocConfig:
    return ClocConfig(
        name="cloc-lite",
        tower=lite_config(),
        prompter=arm.prompter,
        proposals="points",
        detection=DETECTION,
        dim=DIM,
        token_width=TOKEN_WIDTH,
    )


def _fresh(bench: Bench, arm: Arm, seed: int) -> Cloc:
    torch.manual_seed(seed)
    model = Cloc(_config(arm), bench.towers)
    model.reduce.load_state_dict(bench.reduction)
    model.proposals.load_state_dict(torch.load(bench.scratch / "proposals.pt", weights_only=True))
    model.reduce.requires_grad_(False)
    model.proposals.requires_grad_(False)
    model.text_project.requires_grad_(not arm.is_text_fixed)
    return model.eval()


def _run(bench: Bench, name: str, seed: int) -> None:
    """Train one arm with one seed; its weights are kept in the scratch folder."""
    arm = ARMS[name]
    model = _fresh(bench, arm, seed)
    _say(f"{name}, seed {seed}")
    training = _training_of(bench, arm, model)
    _train(bench, arm, model, training, range(len(training.scenes)), seed)
    torch.save(model.state_dict(), bench.scratch / f"{name}-{seed}.pt")
    _keep_texts(bench)


def _training_of(bench: Bench, arm: Arm, model: Cloc) -> SceneSet:
    if not arm.has_colours:
        return bench.training
    return joined(bench.training, colour_set(model, bench.data, bench.amount, bench.scratch, _say))


def _train(bench: Bench, arm: Arm, model: Cloc, training: SceneSet, rows: Sequence[int], seed: int) -> None:
    num_steps = max(2, round(arm.num_steps * bench.share_of_steps))
    teacher = None
    if arm.has_teacher:
        of_photos = [row for row in rows if row < len(bench.training.scenes)]
        teacher = teach(model, bench.training, _crops(bench, model, "train"), of_photos, seed=seed)
    made = batches(
        training,
        rows,
        arm.sampling,
        num_steps=num_steps,
        seed=seed,
        crops=_crops(bench, model, "train") if arm.prompter.extractor == "crop" else None,
        teacher=teacher,
    )
    step = ClocStep(model, arm.step, bench.text_features)
    fit(model, step, made, Schedule(), num_steps=num_steps, say=_say)


def _measure(bench: Bench, name: str, seed: int) -> None:
    """Measure the weights of one arm and seed; what was found is kept beside them."""
    model = _fresh(bench, ARMS[name], seed)
    state = torch.load(bench.scratch / f"{name}-{seed}.pt", weights_only=True)
    own = {f"proposals.{key}": value for key, value in model.proposals.state_dict().items()}
    model.load_state_dict(state | own)
    names = coco_class_names(bench.data)
    is_crop, has_grounding = ARMS[name].prompter.extractor == "crop", ARMS[name].step.has_grounding
    measures: dict[str, float] = {}
    for prefix, scenes, split in (("", bench.dev, "dev"), ("mosaic_", bench.mosaics, "dev-mosaics")):
        rows = range(len(scenes.scenes))
        found = measuring.naming(model, scenes, rows, names, _crops(bench, model, split) if is_crop else None)
        if not is_crop and has_grounding:
            pointed = measuring.pointing(model, scenes, rows, names)
            found |= {f"point_{key}": value for key, value in pointed.items()}
        if not is_crop:
            grounded = measuring.grounding(model, scenes, rows, names, bench.proposed)
            found |= {f"ground_{key}": value for key, value in grounded.items()}
        measures |= {prefix + key: value for key, value in found.items()}
    measures |= measuring.retrieval(model, bench.dev, range(len(bench.dev.scenes)))
    if not is_crop:
        tinted = dev_colours(model, bench.data, bench.scratch, _say)
        measures["tint_colour"] = measuring.colours(model, tinted, bench.text_features)
        demo = demo_colours(model, bench.scratch, _say)
        measures["demo_colour"] = measuring.colours(model, demo, bench.text_features)
        measures["box_ms"] = measuring.box_cost(model, bench.dev, 0)
    _say(f"{name}, seed {seed}: {measures}")
    (bench.scratch / f"{name}-{seed}.json").write_text(json.dumps(measures))


def _compare_on_folds(bench: Bench, one: str, other: str) -> None:
    names = coco_class_names(bench.data)
    found = {}
    for name in (one, other):
        path = bench.scratch / f"folds-{name}.pt"
        if not path.exists():
            arm = ARMS[name]

            def train(rows: list[int], seed: int, arm: Arm = arm) -> Cloc:
                model = _fresh(bench, arm, seed)
                training = _training_of(bench, arm, model)
                further = range(len(bench.training.scenes), len(training.scenes))
                _train(bench, arm, model, training, [*rows, *further], seed)
                return model

            torch.save(pooled_scores(train, bench.training, names), path)
        found[name] = torch.load(path, weights_only=True)
    scores = compared(found[one][0], found[other][0], found[one][1])
    _say(f"folds, {one} against {other}: {scores}")
    (bench.scratch / f"folds-{one}-{other}.json").write_text(
        json.dumps({"one": one, "other": other, "num_boxes": len(found[one][1]), "scores": scores})
    )


def _crops(bench: Bench, model: Cloc, split: str) -> dict[int, measuring.States]:
    side = model.input_px
    made = (
        mosaics_of_dev(bench.data, side)
        if split == "dev-mosaics"
        else plain_scenes(bench.data, split, side, bench.amount)
    )
    return crop_states(model, made, bench.scratch / f"crops-{split}.pickle", _say)


def _ship(bench: Bench, folder: Path, *, seed: int) -> None:
    """Write the checkpoint of one seed, with the proposal head of all arms, its card and the table."""
    model = _fresh(bench, ARMS[SHIPPED], seed)
    own = {f"proposals.{key}": value for key, value in model.proposals.state_dict().items()}
    model.load_state_dict(torch.load(bench.scratch / f"{SHIPPED}-{seed}.pt", weights_only=True) | own)
    measures = json.loads((bench.scratch / f"{SHIPPED}-{seed}.json").read_text())
    measures |= measuring.proposal_recall(model, bench.dev, range(len(bench.dev.scenes)))
    rows_of_table = _tables(bench)
    num_classes = len({one for scene in bench.dev.scenes for one in scene.class_index})
    text = card(measures, rows_of_table, width=TOKEN_WIDTH, num_classes=num_classes)
    identity = save_checkpoint(model, folder, card=text, metrics=measures)
    (folder / "arms.md").write_text(rows_of_table, encoding="utf-8")
    _say(f"{folder}: {identity}, {measures}")


def _tables(bench: Bench) -> str:
    results = {
        name: [json.loads(found.read_text()) for found in sorted(bench.scratch.glob(f"{name}-?.json"))] for name in ARMS
    }
    on_folds = [json.loads(path.read_text()) for path in sorted(bench.scratch.glob("folds-*.json"))]
    return table(results) + "".join(folds_table(**one) for one in on_folds)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

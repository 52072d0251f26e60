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
from trainer.bundle.features import Amount, SceneSet, crop_states, dev_set, fit_reduction, training_set
from trainer.bundle.folds import compared, pooled_scores
from trainer.bundle.photos import coco_class_names
from trainer.bundle.proposals import fit_proposals
from trainer.bundle.sampling import batches
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
    reduction: dict[str, torch.Tensor]
    share_of_steps: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer.bundle", description="Make the bundled checkpoint cloc-lite."
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the development data")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the checkpoint folder to write")
    parser.add_argument("--arm", choices=sorted(ARMS), help="one arm only; the table takes the others as they were")
    parser.add_argument("--seed", type=int, help="one seed only (default: 0, 1 and 2)")
    parser.add_argument("--folds", action="store_true", help="also compare with RoIAlign on folds of coco_train")
    parser.add_argument("--quick", action="store_true", help="a twentieth of everything, to see that it runs")
    parser.add_argument("--scratch", type=Path, help="where features and results are kept between calls")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)
    scratch = options.scratch or options.out.with_name(options.out.name + ".scratch")
    bench = _prepare(options.data, scratch, is_quick=options.quick)
    all_seeds = SEEDS[:1] if options.quick else SEEDS
    seeds = all_seeds if options.seed is None else (options.seed,)
    for name in [options.arm] if options.arm else list(ARMS):
        for seed in seeds:
            _run(bench, name, seed)
    if options.folds:
        _compare_on_folds(bench)
    if options.arm in (None, SHIPPED):
        _ship(bench, options.out, seed=seeds[0])
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
    return Bench(data, scratch, towers, amount, training, dev, reduction, 0.05 if is_quick else 1.0)


def _config(arm: Arm) -> ClocConfig:
    return ClocConfig(name="cloc-lite", tower=lite_config(), prompter=arm.prompter, dim=DIM, token_width=TOKEN_WIDTH)


def _fresh(bench: Bench, arm: Arm, seed: int) -> Cloc:
    torch.manual_seed(seed)
    model = Cloc(_config(arm), bench.towers)
    model.reduce.load_state_dict(bench.reduction)
    model.reduce.requires_grad_(False)
    model.proposals.requires_grad_(False)
    return model.eval()


def _run(bench: Bench, name: str, seed: int) -> None:
    """Train and measure one arm with one seed; its weights and measures are kept in the scratch folder."""
    arm = ARMS[name]
    arm = replace(arm, num_steps=max(2, round(arm.num_steps * bench.share_of_steps)))
    model = _fresh(bench, arm, seed)
    _say(f"{name}, seed {seed}")
    crops = {split: _crops(bench, model, split) for split in ("train", "dev")} if name == "crop" else {}
    made = batches(
        bench.training,
        range(len(bench.training.scenes)),
        arm.sampling,
        num_steps=arm.num_steps,
        seed=seed,
        crops=crops.get("train"),
    )
    fit(model, ClocStep(model, arm.step), made, Schedule(), num_steps=arm.num_steps, say=_say)
    names = coco_class_names(bench.data)
    rows = range(len(bench.dev.scenes))
    measures = measuring.naming(model, bench.dev, rows, names, crops.get("dev"))
    measures |= measuring.retrieval(model, bench.dev, rows)
    if name not in ("crop", "no_grounding"):
        measures |= {f"point_{key}": value for key, value in measuring.pointing(model, bench.dev, rows, names).items()}
    if name != "crop":
        measures["box_ms"] = measuring.box_cost(model, bench.dev, 0)
    _say(f"{name}, seed {seed}: {measures}")
    torch.save(model.state_dict(), bench.scratch / f"{name}-{seed}.pt")
    (bench.scratch / f"{name}-{seed}.json").write_text(json.dumps(measures))


def _compare_on_folds(bench: Bench) -> None:
    names = coco_class_names(bench.data)
    found = {}
    for name in (SHIPPED, RIVAL):
        arm = ARMS[name]

        def train(rows: list[int], seed: int, arm: Arm = arm) -> Cloc:
            model = _fresh(bench, arm, seed)
            num_steps = max(2, round(arm.num_steps * bench.share_of_steps))
            made = batches(bench.training, rows, arm.sampling, num_steps=num_steps, seed=seed)
            fit(model, ClocStep(model, arm.step), made, Schedule(), num_steps=num_steps, say=_say)
            return model

        found[name] = pooled_scores(train, bench.training, names)
    scores = compared(found[SHIPPED][0], found[RIVAL][0], found[SHIPPED][1])
    _say(f"folds: {scores}")
    (bench.scratch / "folds.json").write_text(json.dumps({"num_boxes": len(found[SHIPPED][1]), "scores": scores}))


def _crops(bench: Bench, model: Cloc, split: str) -> dict[int, measuring.States]:
    return crop_states(model, bench.data, split, bench.amount, bench.scratch, _say)


def _ship(bench: Bench, folder: Path, *, seed: int) -> None:
    """Add the proposal head to the Prompter of one seed, measure the whole, write the checkpoint and the table."""
    model = _fresh(bench, ARMS[SHIPPED], seed)
    model.load_state_dict(torch.load(bench.scratch / f"{SHIPPED}-{seed}.pt", weights_only=True))
    path = bench.scratch / "proposals.pt"
    if not path.exists():
        num_steps = max(2, round(400 * bench.share_of_steps))
        rows = range(len(bench.training.scenes))
        fit_proposals(model, bench.training, rows, num_steps=num_steps, batch_size=6, seed=0, say=_say)
        torch.save(model.proposals.state_dict(), path)
    model.proposals.load_state_dict(torch.load(path, weights_only=True))
    names, rows = coco_class_names(bench.data), range(len(bench.dev.scenes))
    measures = json.loads((bench.scratch / f"{SHIPPED}-{seed}.json").read_text())
    measures |= measuring.proposal_recall(model, bench.dev, rows)
    measures |= {f"ground_{key}": value for key, value in measuring.grounding(model, bench.dev, rows, names).items()}
    results = {
        name: [json.loads(found.read_text()) for found in sorted(bench.scratch.glob(f"{name}-?.json"))] for name in ARMS
    }
    rows_of_table = table(results)
    on_folds = bench.scratch / "folds.json"
    if on_folds.exists():
        rows_of_table += folds_table(**json.loads(on_folds.read_text()))
    num_classes = len({one for scene in bench.dev.scenes for one in scene.class_index})
    text = card(measures, rows_of_table, width=TOKEN_WIDTH, num_classes=num_classes)
    identity = save_checkpoint(model, folder, card=text, metrics=measures)
    (folder / "arms.md").write_text(rows_of_table, encoding="utf-8")
    _say(f"{folder}: {identity}, {measures}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

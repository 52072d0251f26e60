"""``python -m trainer.bundle.experts --data DIR --out FOLDER``: the claims about experts, and ``vmoe-lite``.

Tiny-ImageNet, 200 classes.  Tables ``main`` and ``more`` learn from its pixels alone, from scratch; ``cells`` and
``sweep`` learn from the cells of the frozen packaged tower, and the first seed of the ``upcycled`` arm on cells is the
checkpoint.  Every finished run is a line of ``results.jsonl`` in the scratch folder, so a second call goes on where the
first one ended; ``--budget`` bounds a call, and what it did not reach is named in the tables.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import new_vmoe, save_vmoe
from locstudio.models.mobile_vmoe_macs import macs
from trainer.bundle.experts_arms import CELLS_COMPONENTS, SEEDS, TABLES, Arm, Table, config_of
from trainer.bundle.experts_card import claims_table, experts_card
from trainer.bundle.experts_fitting import begin_larger, confusion, fit, latency_ms, worth
from trainer.bundle.experts_names import group_names
from trainer.bundle.experts_photos import (
    CELLS_A_CLASS,
    CELLS_HELD_OUT,
    CELLS_TESTED,
    NUM_HELD_OUT,
    Components,
    Source,
    class_names,
    components_of,
    fit_components,
    hierarchy_groups,
    last_of_each,
    tower_cells,
    training_photos,
    validation_photos,
)
from trainer.clusters import names_of_groups, superclasses_of

SHIPPED = ("cells", "upcycled", SEEDS[0])
_MOST_OF_A_SHARE = 1.5
"""No cluster has more than this times an equal share of the classes, and none less than half of one."""
_STEM_STD = 0.05

Groups = tuple[tuple[str, ...], tuple[int, ...]]
Run = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Photos of one kind: to learn from, to measure confusion on, and to test on."""

    training: Source
    held_out: Source
    test: Source
    components: Components | None = None


@dataclass(slots=True, eq=False)
class Bench:
    """The data and what has been measured; photos are read when the first run wants them."""

    data: Path
    scratch: Path
    tables: dict[str, Table]
    classes: tuple[str, ...]
    runs: list[Run] = field(default_factory=list)
    _stages: dict[str, Stage] = field(default_factory=dict)

    def stage(self, stem: str) -> Stage:
        """Photos for a stem, read once."""
        if stem not in self._stages:
            self._stages[stem] = _pixel_stage(self.data) if stem == "pixels" else _cell_stage(self.data, self.scratch)
        return self._stages[stem]

    def find(self, table: str, arm: str, seed: int) -> Run | None:
        """A run that is finished already, of this table's number of passes."""
        passes = self.tables[table].num_passes
        same = [
            run
            for run in self.runs
            if (run["table"], run["arm"], run["seed"], run["num_passes"]) == (table, arm, seed, passes)
        ]
        return same[-1] if same else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m trainer.bundle.experts", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the development data")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the checkpoint folder to write")
    parser.add_argument("--scratch", type=Path, help="where cells, weights and results are kept between calls")
    parser.add_argument("--table", nargs="+", choices=sorted(TABLES), help="these tables alone, and write nothing")
    parser.add_argument("--arm", nargs="+", help="of them these arms alone")
    parser.add_argument("--seed", type=int, nargs="+", default=SEEDS, help="these seeds alone (default: 0, 1 and 2)")
    parser.add_argument("--budget", type=float, metavar="MINUTES", help="begin no run after so many minutes")
    parser.add_argument("--scale", type=float, default=1.0, help="times the passes of every table")
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)
    scratch = options.scratch or options.out.with_name(options.out.name + ".scratch")
    (scratch / "weights").mkdir(parents=True, exist_ok=True)
    tables = {
        name: replace(table, num_passes=round(options.scale * table.num_passes)) for name, table in TABLES.items()
    }
    bench = Bench(options.data, scratch, tables, class_names(options.data))
    lines = scratch / "results.jsonl"
    if lines.exists():
        bench.runs = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    ends = time.monotonic() + 60 * (options.budget or float("inf"))
    for name in options.table or TABLES:
        for seed in options.seed:
            for arm in TABLES[name].arms:
                if (options.arm and arm not in options.arm) or bench.find(name, arm, seed) or time.monotonic() > ends:
                    continue
                run = run_arm(bench, name, arm, seed)
                bench.runs.append(run)
                with lines.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(run) + "\n")
    if not options.table:
        ship(bench, options.out)
    return 0


def run_arm(bench: Bench, table_name: str, arm_name: str, seed: int) -> Run:
    """Train and measure one arm; its weights and, of a dense one, its confusion stay in the scratch folder."""
    table = bench.tables[table_name]
    arm, stage = table.arms[arm_name], bench.stage(table.stem)
    groups = _groups(bench, table_name, arm, seed)
    config = config_of(table, arm, bench.classes, groups)
    torch.manual_seed(seed)
    model = new_vmoe(config, dense=_dense(bench, table_name, seed) if arm.goes_on else None)
    if not arm.goes_on:
        begin_larger(model)
    if stage.components is not None:
        _read_components(model, stage.components, keeps=arm.goes_on)
    cpu_s = fit(model, arm, table, stage.training, groups[1], seed)
    if arm_name == "dense":
        np.save(_confusion_path(bench, table_name, seed), confusion(model, stage.held_out))
    found: Run = {"table": table_name, "arm": arm_name, "seed": seed, "num_passes": table.num_passes, "cpu_s": cpu_s}
    found |= worth(model, arm, stage.training, stage.test, groups[1])
    found |= {
        "ms_1": latency_ms(model, stage.test, 1, 40),
        "ms_64": latency_ms(model, stage.test, 64, 8),
        "group_of": list(groups[1]),
    }
    if stage.components is not None:
        _read_cells(model, stage.components)
    cost = macs(config)
    found |= {
        "macs": cost.total,
        "router_macs": cost.router,
        "params": cost.params,
        "active_params": cost.active_params,
    }
    torch.save(model.state_dict(), weights_of(bench.scratch, table_name, arm_name, seed))
    measures = ", ".join(f"{key} {value:.4g}" for key, value in found.items() if isinstance(value, float))
    say(f"{table_name} {arm_name} {seed}: {measures}")
    return found


def ship(bench: Bench, folder: Path) -> None:
    """Write the checkpoint, ``SHIPPED``, and all tables.

    Raises:
        ValueError: that run is not finished yet.
    """
    run = bench.find(*SHIPPED)
    if run is None:
        raise ValueError("what is shipped has not been trained yet: call again, with a larger --budget")
    names, group_of = group_names(run["group_of"], bench.classes), tuple(run["group_of"])
    table = bench.tables[SHIPPED[0]]
    model = MobileVmoe(config_of(table, table.arms[SHIPPED[1]], bench.classes, (names, group_of)))
    model.load_state_dict(torch.load(weights_of(bench.scratch, *SHIPPED), weights_only=True))
    metrics = {name: float(run[name]) for name in ("top1", "top5", "router_accuracy", "oracle_route_top1")}
    members = [
        [name for name, one in zip(bench.classes, group_of, strict=True) if one == at] for at in range(len(names))
    ]
    card = experts_card(bench.runs, bench.tables, list(zip(names, members, strict=True)))
    identity = save_vmoe(model.eval(), folder, card=card, metrics=metrics)
    (folder / "claims.md").write_text(claims_table(bench.runs, bench.tables), encoding="utf-8")
    say(f"{folder}: {identity}")


def weights_of(scratch: Path, table: str, arm: str, seed: int) -> Path:
    """Where the weights of a finished run lie."""
    return scratch / "weights" / f"{table}-{arm}-{seed}.pt"


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


def _pixel_stage(data: Path) -> Stage:
    photos, test = training_photos(data), validation_photos(data)
    is_held_S = last_of_each(photos.labels_S.numpy(), NUM_HELD_OUT)
    return Stage(photos.part(np.flatnonzero(~is_held_S)), photos.part(np.flatnonzero(is_held_S)), test)


def _cell_stage(data: Path, scratch: Path) -> Stage:
    photos, test = training_photos(data, CELLS_A_CLASS), validation_photos(data, CELLS_TESTED)
    cells_SNC = tower_cells(photos, scratch / "train_cells.npy", say)
    test_SNC = tower_cells(test, scratch / "val_cells.npy", say)
    components = fit_components(cells_SNC, CELLS_COMPONENTS)
    known = components_of(cells_SNC, photos.labels_S, components)
    is_held_S = last_of_each(photos.labels_S.numpy(), CELLS_HELD_OUT)
    return Stage(
        known.part(np.flatnonzero(~is_held_S)),
        known.part(np.flatnonzero(is_held_S)),
        components_of(test_SNC, test.labels_S, components),
        components,
    )


def _confusion_path(bench: Bench, table: str, seed: int) -> Path:
    return bench.scratch / f"confusion-{table}-{seed}-{bench.tables[table].num_passes}.npy"


def _groups(bench: Bench, table_name: str, arm: Arm, seed: int) -> Groups:
    """Superclasses of the seed's dense twin, or of WordNet; none for arms that have no use for them."""
    if arm.routing not in ("superclass", "oracle") and not arm.teaches_superclass:
        return (), ()
    counts_LL = np.load(_confusion_path(bench, bench.tables[table_name].twin or table_name, seed))
    most = math.ceil(_MOST_OF_A_SHARE * len(bench.classes) / arm.num_experts)
    if arm.groups == "hierarchy":
        group_of = hierarchy_groups(bench.data, arm.num_experts, most)
    else:
        least = len(bench.classes) // (2 * arm.num_experts)
        group_of = superclasses_of(counts_LL, arm.num_experts, most, min_size=least).tolist()
    return tuple(names_of_groups(counts_LL, group_of, bench.classes)), tuple(group_of)


def _dense(bench: Bench, table_name: str, seed: int) -> MobileVmoe:
    """The trained dense twin that an arm goes on from."""
    table = bench.tables[table_name]
    twin = MobileVmoe(config_of(table, table.arms["dense"], bench.classes, ((), ())))
    twin.load_state_dict(torch.load(weights_of(bench.scratch, table_name, "dense", seed), weights_only=True))
    return twin


def _read_components(model: MobileVmoe, components: Components, *, keeps: bool = False) -> None:
    """Let a model read components instead of cells, the same and quicker; a new one, or one that has learnt."""
    linear = nn.Linear(len(components.weight_FC), model.config.width)
    nn.init.trunc_normal_(linear.weight, std=_STEM_STD)
    nn.init.zeros_(linear.bias)
    if keeps:
        whole = cast(nn.Linear, cast(nn.Sequential, model.stem)[1])
        with torch.no_grad():
            # The components are orthogonal, of one length.
            linear.weight.copy_(whole.weight @ components.weight_FC.T / components.weight_FC[0].square().sum())
            linear.bias.copy_(whole.bias - linear.weight @ components.shift_F)
    model.stem = linear


def _read_cells(model: MobileVmoe, components: Components) -> None:
    """Fold the map to components into the stem."""
    linear = model.stem
    assert isinstance(linear, nn.Linear)
    whole = nn.Linear(model.config.stem_width, model.config.width)
    with torch.no_grad():
        whole.weight.copy_(linear.weight @ components.weight_FC)
        whole.bias.copy_(linear.bias + linear.weight @ components.shift_F)
    model.stem = nn.Sequential(nn.LayerNorm(model.config.stem_width), whole).eval()


if __name__ == "__main__":
    sys.exit(main())

"""The model card of ``vmoe-lite`` and the tables of the claims about experts."""
# ruff: noqa: E501 - the rows of a Markdown table cannot be broken

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from trainer.bundle.experts_arms import BALANCE_WEIGHT, ROUTER_WEIGHT, SEEDS, TABLES, Arm, Table
from trainer.bundle.experts_fitting import LABEL_SMOOTHING, WEIGHT_DECAY
from trainer.bundle.experts_photos import (
    CELLS_A_CLASS,
    CELLS_HELD_OUT,
    CELLS_TESTED,
    MAX_SHIFT,
    NUM_HELD_OUT,
    NUM_TESTED,
)

Run = Mapping[str, Any]
Runs = Mapping[str, Sequence[Run]]
"""Runs of one table by arm, in the order of the seeds."""

_CLAIMS = {
    "main": "superclass>dense superclass>image superclass>random image>dense random>dense oracle>superclass",
    "cells": "superclass>dense superclass>image superclass>random image>dense random>dense "
    "upcycled>superclass upcycled>dense_on",
    "sweep": "superclass>dense superclass>e2 superclass>e5 superclass>e20 superclass>l1 superclass>l4 k2>superclass "
    "superclass>hierarchy token>superclass superclass>paper_gates shared>superclass taught>dense "
    "superclass>taught wide>superclass",
    "scratch": "superclass>dense superclass>e2 superclass>e5 superclass>e20 superclass>l1 superclass>l4 k2>superclass "
    "superclass>image taught>dense superclass>taught",
    "more": "hierarchy>taught token>hierarchy renormalised>taught wide>renormalised",
}
_COLUMNS: tuple[tuple[str, Callable[[Sequence[Run]], str]], ...] = (
    ("top-1 %", lambda runs: _percent(runs, "top1")),
    ("top-5 %", lambda runs: _percent(runs, "top5")),
    ("top-1 of train %", lambda runs: _percent(runs, "train_top1")),
    ("router finds superclass %", lambda runs: _percent(runs, "router_accuracy")),
    ("top-1 by the true expert %", lambda runs: _percent(runs, "oracle_route_top1")),
    ("entropy of load", lambda runs: _mean(runs, "entropy", 2)),
    ("dead experts", lambda runs: " / ".join(f"{run['num_dead']}" for run in runs if "num_dead" in run) or "-"),
    ("MACs, millions", lambda runs: _mean(runs, "macs", 2, 1e-6)),
    (
        "parameters / active, thousands",
        lambda runs: f"{_mean(runs, 'params', 0, 1e-3)} / {_mean(runs, 'active_params', 0, 1e-3)}",
    ),
    ("ms, batch 1 / 64", lambda runs: f"{_mean(runs, 'ms_1', 2)} / {_mean(runs, 'ms_64', 1)}"),
)


def claims_table(runs: Sequence[Run], tables: Mapping[str, Table] = TABLES) -> str:
    """``claims.md``: every table, differences seed by seed, and what holds of what was claimed."""
    parts = [_of_table(name, table, _by_arm(runs, name, table)) for name, table in tables.items()]
    return _TEMPLATE.format(
        tables="\n\n".join(parts),
        router_weight=ROUTER_WEIGHT,
        balance_weight=BALANCE_WEIGHT,
        smoothing=LABEL_SMOOTHING,
        decay=WEIGHT_DECAY,
        shift=MAX_SHIFT,
        held_out=NUM_HELD_OUT,
        photos=200 * (225 - NUM_HELD_OUT),
        confused=200 * NUM_HELD_OUT,
        tested=f"{NUM_TESTED:,}",
        cells=200 * (CELLS_A_CLASS - CELLS_HELD_OUT),
        cells_confused=200 * CELLS_HELD_OUT,
        cells_tested=CELLS_TESTED,
    )


def experts_card(
    runs: Sequence[Run], tables: Mapping[str, Table], superclasses: Sequence[tuple[str, Sequence[str]]]
) -> str:
    """The card in Markdown; ``superclasses`` are names with the classes of each."""
    by_arm = _by_arm(runs, "cells", tables["cells"])
    shipped = by_arm["upcycled"][0]
    return _CARD.format(
        top1=f"{100 * shipped['top1']:.1f}",
        top5=f"{100 * shipped['top5']:.1f}",
        router=f"{100 * shipped['router_accuracy']:.1f}",
        by_truth=f"{100 * shipped['oracle_route_top1']:.1f}",
        params=f"{shipped['params'] / 1e6:.2f}",
        active=f"{shipped['active_params'] / 1e6:.2f}",
        ms_1=f"{shipped['ms_1']:.1f}",
        rows="\n".join(
            f"| {tables['cells'].arms[name].title} | {_percent(found, 'top1')} | {_seeds(found)} |"
            for name, found in by_arm.items()
            if found
        ),
        verdict=_sentence(by_arm),
        superclasses="\n".join(
            f"| {place + 1} | {name} | {len(classes)} | {', '.join(classes)} |"
            for place, (name, classes) in enumerate(superclasses)
        ),
        photos=200 * (CELLS_A_CLASS - CELLS_HELD_OUT),
        confused=200 * CELLS_HELD_OUT,
        tested=CELLS_TESTED,
        passes=f"{tables['cells'].num_passes:,}",
        batch=tables["cells"].batch_size,
        rate=tables["cells"].learning_rate,
        cpu_s=f"{shipped['cpu_s']:.0f}",
    )


def docstring_table(runs: Sequence[Run], tables: Mapping[str, Table] = TABLES, name: str = "main") -> str:
    """The rows of one table in plain text, for a docstring."""
    lines = []
    for arm, found in _by_arm(runs, name, tables[name]).items():
        if found:
            lines.append(f"    {tables[name].arms[arm].title:<58} {_percent(found, 'top1'):>12}   {_seeds(found)}")
    return "\n".join(lines)


def _by_arm(runs: Sequence[Run], name: str, table: Table) -> dict[str, list[Run]]:
    own = [run for run in runs if run["table"] == name and run["num_passes"] == table.num_passes]
    own.sort(key=lambda run: run["seed"])
    return {arm: [run for run in own if run["arm"] == arm] for arm in table.arms}


def _of_table(name: str, table: Table, by_arm: Mapping[str, Sequence[Run]]) -> str:
    done = {arm: runs for arm, runs in by_arm.items() if runs}
    if not done:
        titles = "; ".join(arm.title for arm in table.arms.values())
        return f"## {table.title}\n\nNot begun within the budget: {titles}."
    missing = [
        f"{table.arms[arm].title} ({len(runs)} of {len(SEEDS)} seeds)"
        for arm, runs in by_arm.items()
        if len(runs) < len(SEEDS)
    ]
    head = "| arm | " + " | ".join(title for title, _ in _COLUMNS) + " |\n" + "| --- " * (len(_COLUMNS) + 1) + "|"
    rows = [
        f"| {_title(table.arms[arm])} | " + " | ".join(column(runs) for _, column in _COLUMNS) + " |"
        for arm, runs in done.items()
    ]
    seeds = [
        f"| {_title(table.arms[arm])} | {_seeds(runs)} | {_gaps(runs, done.get('dense', ()))} |"
        for arm, runs in done.items()
    ]
    pairs = [pair.split(">") for pair in _CLAIMS[name].split()]
    claims = [_verdict(table, done, one, other) for one, other in pairs if one in done and other in done]
    cpu_s = sum(run["cpu_s"] for runs in done.values() for run in runs)
    count = sum(len(runs) for runs in done.values())
    about = (
        f"{table.num_passes:,} photos shown to each arm, batch {table.batch_size}, AdamW at {table.learning_rate}"
        + (f", mixup {table.mixup}" if table.mixup else ", no mixup")
        + "".join(f", {name} {value}" for name, value in table.changes.items())
        + f".  {count} runs, {cpu_s / 60:.0f} CPU minutes of training."
    )
    parts = [f"## {table.title}", about, head + "\n" + "\n".join(rows), "Top-1 seed by seed, and points above dense:"]
    parts.append("| arm | seeds 0 / 1 / 2 | above dense |\n| --- | --- | --- |\n" + "\n".join(seeds))
    if claims:
        parts.append(
            "| claim | in this regime | mean (seeds 0 / 1 / 2), points | noise |\n| --- | --- | --- | --- |\n"
            + "\n".join(claims)
        )
    if missing:
        parts.append("Not finished within the budget: " + "; ".join(missing) + ".")
    return "\n\n".join(parts)


def _title(arm: Arm) -> str:
    return arm.title + (" (computes more)" if arm.costs_more else "")


def _verdict(table: Table, done: Runs, one: str, other: str) -> str:
    """Whether an arm is above another one, in how many seeds, by how much, and whether chance could do that."""
    gaps = _paired(done[one], done[other])
    count = sum(gap > 0 for gap in gaps)
    word = "holds" if count == len(gaps) else "does not hold" if count == 0 else "undecided"
    noise = _noise(table, done[other], len(gaps))
    chance = ", inside the noise" if abs(fmean(gaps)) < noise else ""
    signs = " / ".join(f"{gap:+.2f}" for gap in gaps)
    return (
        f"| {_short(table, one)} above {_short(table, other)} | **{word}**, {count} of {len(gaps)} seeds{chance} "
        f"| {fmean(gaps):+.2f} ({signs}) | {noise:.2f} |"
    )


def _short(table: Table, name: str) -> str:
    return table.arms[name].title.split(":")[0].split(" (")[0]


def _noise(table: Table, runs: Sequence[Run], num_seeds: int) -> float:
    """Two standard errors of a difference of means, in points, as if the arms had been tested on different photos."""
    share = fmean(run["top1"] for run in runs)
    num_photos = CELLS_TESTED if table.stem == "cells" else NUM_TESTED
    return 200 * math.sqrt(2 * share * (1 - share) / (num_photos * num_seeds))


def _sentence(by_arm: Runs) -> str:
    """How the shipped arm stands to each control, in words."""
    parts = []
    for name in ("dense_on", "dense", "superclass", "image"):
        gaps = _paired(by_arm["upcycled"], by_arm.get(name, ()))
        if gaps:
            count = sum(gap > 0 for gap in gaps)
            title = TABLES["cells"].arms[name].title
            parts.append(f'{fmean(gaps):+.1f} points against "{title}" (above it in {count} of {len(gaps)} seeds)')
    return "; ".join(parts)


def _paired(one: Sequence[Run], other: Sequence[Run]) -> list[float]:
    """Differences of top-1 in points, of the seeds that both have."""
    theirs = {run["seed"]: run["top1"] for run in other}
    return [100 * (run["top1"] - theirs[run["seed"]]) for run in one if run["seed"] in theirs]


def _gaps(runs: Sequence[Run], dense: Sequence[Run]) -> str:
    gaps = _paired(runs, dense)
    return f"{fmean(gaps):+.2f} ({' / '.join(f'{gap:+.2f}' for gap in gaps)})" if gaps else "-"


def _seeds(runs: Sequence[Run]) -> str:
    return " / ".join(f"{100 * run['top1']:.2f}" for run in runs)


def _percent(runs: Sequence[Run], key: str) -> str:
    return _mean(runs, key, 1 if key != "top1" else 2, 100.0, spreads=True)


def _mean(runs: Sequence[Run], key: str, digits: int, factor: float = 1.0, *, spreads: bool = False) -> str:
    values = [factor * float(run[key]) for run in runs if key in run]
    if not values:
        return "-"
    spread = f" ± {stdev(values):.{digits}f}" if spreads and len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


_TEMPLATE = """# What experts are worth here

Mobile V-MoE (arXiv:2309.04354): dense layers, one router for each image, then layers of experts that share its decision; experts
are taught superclasses, which are what a dense twin confuses.  The paper claims +2.4 to +4.7 points of top-1 over the dense twin at
equal inference FLOPs at small sizes, and +0.85 over a router that is trained end to end; a router of tokens is better still there.

Made by `python -m trainer.bundle.experts --data DIR --out assets/checkpoints/vmoe-lite`.  No GPU was lent, so all of it is what one
core of a busy two-core machine allowed in an hour and a half; the paper trains for 300 epochs of ImageNet.  **Read the tables as what
they are: very short trainings, in which an expert sees a tenth of little.**  `--scale 50` runs the same tables fifty times as long.

Tiny-ImageNet, 200 classes, two regimes:

- *From scratch*, 64 px, nothing pretrained: {photos:,} photos to learn from, the last {held_out} of each class ({confused:,}) held out for the confusion of
  the dense twin, all {tested} validation photos to test on.  A linear patch of 16 px makes 16 tokens of width 48, 5 layers, MLPs of 4
  times the width: too little capacity for 200 classes.  Photos are shifted by up to {shift} px and mirrored.
- *On the frozen tower's cells* (EfficientNet-Lite2, which has seen ImageNet, so these numbers say nothing about learning from
  scratch): 7 x 7 cells of photos enlarged to 224 px, {cells:,} photos to learn from, {cells_confused:,} for the confusion, {cells_tested:,} of the validation photos to
  test on; width 96, 4 layers (5 in the sweep), MLPs of twice the width, dropout 0.1.  In most steps 16 of the 49 cells are seen.
  The accuracies are high enough here to tell arms apart that have learnt something, so the sweep is on cells; from scratch it has one epoch.

Everywhere: label smoothing {smoothing}, weight decay {decay}, warm-up of 8 %, half a cosine.  Superclasses are clusters of the confusion graph of
the dense arm of the same table and seed (of the first table in all tables from scratch), of 0.5 to 1.5 times an equal share of the classes (`trainer.clusters`).  The router's cross-entropy has weight
{router_weight}; end-to-end routers have losses of importance and load, {balance_weight} each, and noise.  From scratch gates are the router's probabilities as in the paper, unless
said otherwise; on cells those of superclasses sum to one.  Within a table every arm sees the same photos in the same order and views.
*Noise*, in the tables of claims, is two standard errors of such a difference, of test photos alone and as if each arm had other ones, so on the safe side;
a claim whose mean is smaller is *inside the noise*, whatever the signs of its seeds.

History: from scratch, stem, learning rate, mixup and first weights were chosen by about a dozen short runs of *dense* networks alone (40,000 to 164,000 photos
shown), looked at on the same test photos: a stem of convolutions as it was then got 1.4 to 3.9 % after 40,000 and, with the first settings, 5.1 % after 164,000; linear patches
4.1 to 4.3 % after 40,000.  Arms with experts ran before their tables only in tries of some seconds (up to 6,000 photos).  The table from scratch was begun three times:
first with that stem (the 5.1 %, one dense run, not in the table), then with 164,000 photos (given up before a run had ended, for want of time), then as it stands.
On cells nothing was tuned, but which arm is shipped was chosen by the table.

Columns: *router finds superclass*: its likeliest expert is the one of the true class's superclass; *by the true expert*: the
same model, had every photo been computed by that expert (its own gate kept), so the difference to top-1 is what wrong routes cost;
*entropy of load*: of the shares of test photos that the experts took, 1 is even; *dead*: experts that took less than a tenth of an
equal share, seed by seed; *MACs* and *active* are of one photo; milliseconds are CPU time, one thread, medians on a busy machine, and as
noisy as that.  The oracle is told the answer's superclass at test time: a bound, and no rival.

{tables}

## Data and terms

Tiny-ImageNet: photos belong to their authors; for non-commercial research and teaching.  WordNet 3.0 (names, hierarchy): "WordNet
3.0 Copyright 2006 by Princeton University. All rights reserved.", free use with this notice.
"""

_CARD = """# vmoe-lite

Names which of 200 classes an image shows (those of Tiny-ImageNet, by their first name in WordNet), and says which of 10 experts it asked:
a Mobile V-MoE (arXiv:2309.04354) with one router for each image.  It reads the packaged tower (EfficientNet-Lite2, ImageNet weights,
224 px, averaged to 7 x 7 cells), then 4 transformer layers of width 96; the last two have 10 experts each, one superclass an expert.
{params} million weights, of which an image needs {active} million, and {ms_1} ms beside the tower's (CPU, one thread, batch 1, a busy machine).
This folder holds what was trained here, in half precision; the tower is not in it.

Made by `python -m trainer.bundle.experts --data DIR --out assets/checkpoints/vmoe-lite` on a CPU.

## What it does, measured on {tested:,} validation photos of Tiny-ImageNet

Never trained on.  Photos are 64 px, enlarged to 224.

| | |
| --- | --- |
| right class (top-1) | {top1} % |
| among the first five | {top5} % |
| the router finds the superclass | {router} % |
| right class, had the true superclass's expert computed | {by_truth} % |

**Are the experts worth it?**  Three seeds, equal multiply-adds, {passes} photos shown to each arm; to the two that go on from the dense twin as many
again:

| | top-1 %, mean ± standard deviation | seeds 0 / 1 / 2 |
| --- | --- | --- |
{rows}

The shipped arm, upcycled, is {verdict}.  So on features this good experts gain nothing over a dense model that is trained as long.  It is shipped
because its routes have names that a person can read and edit.  The tables from scratch, with all controls, are in `claims.md`.

## Superclasses

Clusters of what its dense twin confuses on held-out photos, named by hand after the kinds of things in them.

| expert | name | classes | |
| --- | --- | --- | --- |
{superclasses}

## Training

A dense twin first, then experts that begin as copies of its MLPs: {passes} photos shown to each of the two ({photos:,} different ones), batch {batch}, AdamW at {rate}, mixup 0.2 with superclass targets mixed alike, label
smoothing 0.1, cross-entropy of classes + 0.3 times that of the router; in most steps 16 of the 49 cells are seen; {cpu_s} CPU s for the experts.  {confused:,} more photos were held out
for the confusion.  Gates sum to one (with one expert: the gate is 1), so the model begins as its twin, and no expert is dimmed by a router in doubt.

## Limits

- It knows these 200 classes and nothing else: an image of something else gets the likeliest of them, with a score that may be high.
- The tower was trained on ImageNet's 1,000 classes, these 200 among them, and on the very photos that were shown here at 64 px.
- One class an image.  Of a scene with many things it names one.
- Superclasses of a short training's confusion have odd members; move them (Experts page, superclasses) and train again.

## Data and terms

Weights only; no photo is shipped.

| data | use | terms |
| --- | --- | --- |
| Tiny-ImageNet-200 | {photos:,} + {confused:,} photos with their class | from ImageNet: photos belong to their authors; for non-commercial research and teaching |
| WordNet 3.0 | names of the classes | free use with the notice "WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved." |
| EfficientNet-Lite2 weights (trained on ImageNet) | frozen tower, not in this folder | the package states none; published as EfficientNet-Lite under Apache-2.0 |

Because of the terms of the photos, use these weights for research, teaching and trying the studio; for a product, train
on your own data.
"""

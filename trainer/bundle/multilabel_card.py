"""The model card of the multi-label classifier and the tables of its claims."""
# ruff: noqa: E501 - the rows of a Markdown table cannot be broken

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from locstudio.jobs.configs import ConsistencyTraining
from trainer.bundle.multilabel_arms import ARMS, SWEEP, SWEPT, TRAINING, swept
from trainer.bundle.multilabel_story import NUM_ASKED

Results = Mapping[str, Sequence[Mapping[str, Any]]]

_COLUMNS = (
    ("map", "mAP"),
    ("train_map", "mAP of train, true labels"),
    ("told_map", "mAP of train, told labels"),
    ("num_predicted", "classes said an image"),
    ("recovered", "recovered"),
    ("pointing", "pointing"),
    ("overlap", "overlap"),
)
_OVER_EPOCHS = (
    ("map", "mAP of coco_dev"),
    ("pointing", "pointing, coco_dev"),
    ("overlap", "overlap, coco_dev"),
    ("told_pointing", "pointing of memory, told class"),
    ("hidden_pointing", "pointing of memory, hidden classes"),
    ("hidden_overlap", "overlap of memory, hidden classes"),
    ("recovered", "recovered"),
)
_CLAIMS = (
    ("en", "an"),
    ("en_cl", "en"),
    ("en_scl", "en_cl"),
    ("full", "en_scl"),
    ("en_scl", "ls"),
    ("en_scl", "em"),
    ("en_scl", "ll_r"),
    ("en_scl", "an_scl"),
    ("an_boost", "an"),
    ("en_scl_boost", "en_scl"),
    ("en_scl_pseudo", "en_scl"),
    ("full_scl", "full"),
    ("en_scl_zeros", "en_scl"),
)
_FOLLOWED = ("an", "en_cl", "en_scl", "en_scl_zeros")


def claims_table(results: Results, stories: Sequence[Mapping[str, float]]) -> str:
    """``claims.md``: arms, gaps seed by seed, crop strengths, epochs, and what holds of what was claimed."""
    named = [name for name in ARMS if name in results and ARMS[name].title]
    epochs = sorted((int(epoch) for epoch in results["an"][0]["epochs"]), key=int)
    head = "| " + " | ".join(title for _, title in _COLUMNS)
    return _TEMPLATE.format(
        num_seeds=len(results["an"]),
        epochs=TRAINING.num_epochs,
        batch=TRAINING.batch_size,
        rate=TRAINING.learning_rate,
        momentum=TRAINING.momentum,
        beta=TRAINING.beta,
        warmup=TRAINING.num_warmup_epochs,
        ramp=TRAINING.num_ramp_epochs,
        scale=TRAINING.min_scale,
        num_expected=results["an"][0]["num_expected"],
        head=f"| arm {head} |\n|{' --- |' * (len(_COLUMNS) + 1)}",
        arms="\n".join(_row(ARMS[name].title, results[name], _COLUMNS) for name in named),
        gaps=_gaps(results),
        verdicts="\n".join(_verdict(results, one, other) for one, other in _CLAIMS),
        pointing_rises=_rise(results, "hidden_pointing"),
        recovery_rises=_rise(results, "recovered"),
        sweep=_sweep(results),
        epoch_tables="\n\n".join(_over_epochs(name, results[name], epochs) for name in _FOLLOWED),
        worklist=_worklist(results),
        num_asked=NUM_ASKED,
        story=_story(stories),
        story_100=_cell(stories, "right_100"),
        story_200=_cell(stories, "right_200"),
    )


def classes_card(results: Results, training: ConsistencyTraining, heat_ms: float) -> str:
    """The card in Markdown."""
    runs = results["shipped"]
    first = runs[0]
    return _CARD.format(
        map=_cell(runs, "map"),
        pointing=_cell(runs, "pointing"),
        overlap=_cell(runs, "overlap"),
        first_map=f"{first['map']:.3f}",
        said=_cell(runs, "num_predicted", 2),
        full=_cell(results["full"], "map"),
        full_scl=_cell(results["full_scl"], "map"),
        full_scl_pointing=_cell(results["full_scl"], "pointing"),
        full_scl_overlap=_cell(results["full_scl"], "overlap"),
        heat_ms=f"{heat_ms:.1f}",
        num_epochs=training.num_epochs,
        batch=training.batch_size,
        rate=training.learning_rate,
        cpu_s=f"{fmean(run['cpu_s'] for run in runs):.0f}",
    )


def _row(title: str, runs: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> str:
    cells = [_cell(runs, key, 1 if key == "num_predicted" else 3) for key, _ in columns]
    return f"| {title} | " + " | ".join(cells) + " |"


def _gaps(results: Results) -> str:
    """How much each arm of single positives is above AN, seed by seed."""
    rows = []
    for name in ARMS:
        if name in ("an", "full", "full_scl", "shipped") or not ARMS[name].title or name not in results:
            continue
        gaps = [run["map"] - base["map"] for run, base in zip(results[name], results["an"], strict=False)]
        signs = " / ".join(f"{100 * gap:+.1f}" for gap in gaps)
        rows.append(f"| {ARMS[name].title} | {signs} | {100 * fmean(gaps):+.1f} |")
    return "\n".join(rows)


def _verdict(results: Results, one: str, other: str) -> str:
    """Whether an arm is above another one, in how many seeds, by how much."""
    gaps = [first["map"] - second["map"] for first, second in zip(results[one], results[other], strict=False)]
    count = sum(gap > 0 for gap in gaps)
    word = "holds" if count == len(gaps) else "does not hold" if count == 0 else "undecided"
    return (
        f"| {_short(one)} above {_short(other)} | **{word}**, {count} of {len(gaps)} seeds "
        f"| {100 * fmean(gaps):+.1f} ({' / '.join(f'{100 * gap:+.1f}' for gap in gaps)}) |"
    )


def _short(name: str) -> str:
    return ARMS[name].title.split(":")[0]


def _rise(results: Results, key: str) -> str:
    """A measure of EN + SCL after the first epochs that are told, and after the last."""
    epochs = sorted((int(epoch) for epoch in results["en_scl"][0]["epochs"]), key=int)
    ends = [_cell([run["epochs"][str(at)] for run in results["en_scl"]], key) for at in (epochs[1], epochs[-1])]
    return f"{ends[0]} after epoch {epochs[1]}, {ends[1]} after epoch {epochs[-1]}"


def _sweep(results: Results) -> str:
    lines = []
    for scale in SWEEP:
        runs = {name: results.get(swept(name, scale), ()) for name in SWEPT}
        gaps = [one["map"] - other["map"] for one, other in zip(runs["en_scl"], runs["en_cl"], strict=False)]
        cells = [_cell(runs[name], "map") for name in SWEPT]
        seeds = " / ".join(f"{100 * gap:+.1f}" for gap in gaps)
        mean = f"{100 * fmean(gaps):+.1f}" if gaps else "-"
        lines.append(f"| {scale} | " + " | ".join(cells) + f" | {seeds} | {mean} |")
    return "\n".join(lines)


def _over_epochs(name: str, runs: Sequence[Mapping[str, Any]], epochs: Sequence[int]) -> str:
    lines = [
        f"**{ARMS[name].title}**",
        "",
        "| after epoch | " + " | ".join(title for _, title in _OVER_EPOCHS) + " |",
        "| --- |" + " --- |" * len(_OVER_EPOCHS),
    ]
    for epoch in epochs:
        at = [run["epochs"][str(epoch)] for run in runs]
        lines.append(f"| {epoch} | " + " | ".join(_cell(at, key, spreads=False) for key, _ in _OVER_EPOCHS) + " |")
    return "\n".join(lines)


def _worklist(results: Results) -> str:
    rows = []
    for name in ("an", "en", "en_cl", "en_scl", "en_scl_boost"):
        if name in results:
            rows.append(_row(ARMS[name].title, results[name], (("expected_100", ""), ("expected_200", ""))))
    return "\n".join(rows)


def _story(stories: Sequence[Mapping[str, float]]) -> str:
    before = " / ".join(f"{story['before']:.3f}" for story in stories)
    rows = [f"| nothing: one label a photo | | {before} | {_cell(stories, 'before')} |"]
    for name, title in (
        ("by_class", "the surest of each class, turn by turn"),
        ("surest", "the surest rows"),
        ("random", "pairs at random"),
    ):
        seeds = " / ".join(f"{story[name]:.3f}" for story in stories)
        rows.append(f"| {title} | {_cell(stories, f'{name}_right', 2)} | {seeds} | {_cell(stories, name)} |")
    return "\n".join(rows)


def _cell(runs: Sequence[Mapping[str, Any]], key: str, digits: int = 3, *, spreads: bool = True) -> str:
    values = [float(run[key]) for run in runs if key in run]
    if not values:
        return "-"
    spread = f" ± {stdev(values):.{digits}f}" if spreads and len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


_TEMPLATE = """# What heatmaps that remember are worth here

Single positives of real photos: 294 photos of coco_train and 294 mosaics of four of them each (every photo is in four),
80 classes, of each image one class that is there drawn at random (numpy's RandomState, 1200 + seed), all else not known.
An image shows 6.8 classes on average, so on average 5.8 are missing.  Measured on the 100 photos of coco_dev with all their
labels: mAP over the 74 classes that occur, as scikit-learn has it.  All arms: tokens of cloc-lite (frozen), the same neck
and head, {epochs} epochs, batch {batch}, AdamW at {rate}, {num_seeds} seeds (mean ± standard deviation), views of {scale} to 1 of
the area, half of them mirrored.  EN expects K = {num_expected} classes an image (the true mean, rounded up, as in the protocol) after
{warmup} epochs of AN; consistency ramps up over {ramp}; momentum {momentum}, weight {beta} unless said.

Settings were chosen on two folds of coco_train (photos and their mosaics held out), never on coco_dev: the weight of
consistency (1, 3, 6: 0.358, 0.377, 0.388 for EN + CL; 0.390, 0.415, 0.423 for EN + SCL, whose scores at 6 are all below one half),
the score of pseudo-labels, dropout and weights of what is shipped.  The learning rate was chosen so that AN learns missing labels
by heart: on a fold, one seed, weight 1, it is AN 0.361, EN 0.390, EN + CL 0.382, EN + SCL 0.415, all labels 0.509; at half of
it AN 0.423, EN 0.397, EN + CL 0.433, EN + SCL 0.469, all labels 0.544.  coco_dev was read by the runs below, and once before, for a
first version of the checkpoint.

{head}
{arms}

- *mAP of train*: over-fitting.  Where the told labels are near 1 and the true ones fall behind, the missing labels were learnt
  as absent.
- *classes said an image*: scores above one half on coco_dev, which shows 3.3.
- *recovered*: of the classes that are there and were not told, the share among the K with the highest running averages, on
  the training images.
- *pointing*: the hottest cell (14 x 14) of a class that is there touches one of its boxes; *overlap*: what is hotter than half
  of the peak against the union of the boxes, intersection over union.  Both on coco_dev.

## Points of mAP above AN, seed by seed

| arm | seeds 0 / 1 / 2 | mean |
| --- | --- | --- |
{gaps}

## What holds

Differences in points of mAP, seed by seed:

| claim | in this regime | mean (seeds 0 / 1 / 2) |
| --- | --- | --- |
{verdicts}

- Pointing of the memory (EN + SCL, classes that were never told): {pointing_rises}.
- Hidden classes among the expected ones: {recovery_rises}.
- cloc-lite, whose finds are the pseudo-labels, has learnt from the boxes of these same photos.  Its finds are
  nearly as good on photos that it has not seen: with the score that is taken, 0.91 of them are right on coco_train and 0.82 on
  coco_dev, 0.42 of what is there on both.  Still that arm knows more than the others, and is no rival of theirs.

## Strength of crops

Smallest share of the area that a view shows; mAP on coco_dev.  The claim of the paper is that SCL gains over CL as crops
get stronger.

| smallest share | AN | EN + CL | EN + SCL | SCL - CL, seed by seed, points | mean |
| --- | --- | --- | --- | --- | --- |
{sweep}

AN does not get worse with stronger crops here, but better: where photos are few, a crop is augmentation before it is label
noise.  The gap between SCL and CL is wider with crops than without, widest at half of the area; it does not grow steadily.

## Over epochs

{epoch_tables}

Memory of epoch 0 is what it begins with: ones for the told class, as in the public re-implementation, zeros else.  At the border of
an image, which few views show, the ones stay for long, and the hottest cell of a told class lies there ("pointing of memory,
told class"); a memory that begins with zeros points as well for told as for hidden classes, and costs a point of precision or less.  So the
studio's own runs begin with no heat.

## The worklist "expected, but not labelled"

Of the first 100 and 200 classes that are most expected and not told, over the 588 training images, the share that is
really there.

| arm | first 100 | first 200 |
| --- | --- | --- |
{worklist}

## A story: ten minutes with the worklist

294 photos of coco_train, one label each, EN + SCL, 30 epochs at 0.003; then {num_asked} rows of the worklist are answered as a
person would, added or denied, and a new model is trained the same way.  Of the first 100 and 200 rows of the list
{story_100} and {story_200} were really missing.  mAP on coco_dev:

| answered | really missing | seeds 0 / 1 / 2 | mean |
| --- | --- | --- | --- |
{story}
"""

_CARD = """# consistency-lite

A multi-label classifier with heatmaps for the 80 classes of COCO: a map of each class over the image (14 x 14), and a score
for each class.  It reads the tokens of cloc-lite (EfficientNet-Lite2, ImageNet weights, 512 px, 32 x 32 tokens), so an image
that CLOC has seen costs it {heat_ms} CPU ms more (one thread, measured on a busy machine).  This folder holds what was
trained or fitted here, in half precision: cloc-lite's linear map to tokens (a copy), the reduction to 192 channels, neck and
head.

Made by `python -m trainer.bundle.multilabel --data DIR --out assets/checkpoints/consistency-lite` on a CPU.

## What it does, measured on coco_dev

100 photos of COCO val2017 with all their labels, 74 of the 80 classes occur; never trained on, and no setting was chosen on it.
Mean ± standard deviation over three seeds; the first is shipped (mAP {first_map}).

| | mAP | pointing | overlap |
| --- | --- | --- | --- |
| **shipped** | {map} | {pointing} | {overlap} |
| all labels + SCL, nothing painted, shorter | {full_scl} | {full_scl_pointing} | {full_scl_overlap} |
| all labels, plain cross-entropy, shorter | {full} | | |

Pointing: the hottest cell of a class that is there touches one of its boxes.  Overlap: what is hotter than half of the peak
against the union of its boxes, intersection over union.  It says {said} classes an image with a score above one half, where
3.3 are there: its scores are low rather than high, use the order.

What the memory of heatmaps is worth when few labels are known is in `claims.md`.

## Training

The step of the studio's own runs (`trainer.consistency_step`): cross-entropy of all 80 classes, spatial consistency with
running-average heatmaps, and the boxes of coco_train painted on the heatmaps as a person would correct them.
{num_epochs} epochs, batch {batch}, AdamW at {rate}, dropout 0.3, {cpu_s} CPU s a seed.

## Limits

- It learned from 294 photos and mosaics of them: rare classes are poor, and small things are missed by maps of 14 x 14.
- The running averages that worklist and heatmaps show are of a run on *your* images; this checkpoint is where such a run
  begins, and what is shown where there is none.

## Data and terms

Weights only; no photo or annotation is shipped.

| data | use | terms |
| --- | --- | --- |
| COCO 2017: 294 photos of train2017 with boxes | labels, boxes | annotations CC BY 4.0 (COCO Consortium); photos under their Flickr terms, mostly non-commercial |
| ImageNet samples (250 photos) | the reduction of tokens, without labels | photos belong to their authors; for non-commercial research and teaching |
| EfficientNet-Lite2 weights (trained on ImageNet) | frozen tower, not in this folder | the package states none; published as EfficientNet-Lite under Apache-2.0 |
| cloc-lite | its linear map to tokens | see its card |

Because of the terms of the photos, use these weights for research, teaching and trying the studio; for a product, train
on your own data.
"""

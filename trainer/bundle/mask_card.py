"""The model card of the mask head: origin, terms, numbers."""

from collections.abc import Sequence

import numpy as np

from trainer.bundle.mask_fitting import MaskSchedule
from trainer.bundle.mask_measuring import RIVALS, SIZES, MaskScores

_NAMES = {
    "mask": "mask head, from the box",
    "box": "the plain box",
    "ellipse": "the ellipse inscribed in it",
    "click": "mask head, from one click",
    "box and click": "mask head, from box and click",
}


def mask_card(scores: Sequence[MaskScores], schedule: MaskSchedule) -> str:
    """The card in Markdown."""
    first = scores[0]
    expected, reached = np.array(first.expected), np.array(first.overlaps["mask"])
    likeness = float(np.corrcoef(expected, reached)[0, 1])
    is_sure = expected >= np.median(expected)
    return f"""# masks-lite

A small promptable mask head: Segment Anything's own prompt encoder and mask decoder (package segment-anything 1.0,
Apache-2.0), 128 wide, two layers, in the frame of a window around the box.  It reads the tokens of cloc-lite and the
maps of its tower at stride 4 and 8; three convolutions that see the pixels refine the mask.  A point without a box is
looked for in windows of four sizes, and the window in which the head expects most overlap wins.

Its file holds the linear map of the tower's features to tokens too, so that it makes its own tokens where a project's
model has others.  The tower itself is the packaged EfficientNet-Lite2 (ImageNet weights).

## Overlap with true masks

Mean intersection over union on coco_dev, {first.count("all")} regions with polygons, in the pixels of the photos (384
on the long side).  Sizes are COCO's, of photos of 640 px: small below 32 x 32, large from 96 x 96.
{_seeds(len(scores))}

{_table(scores)}

The overlap that the head expects of itself correlates with the one it reaches at {likeness:.2f}; the half of which it
expects more reaches {reached[is_sure].mean():.3f}, the other {reached[~is_sure].mean():.3f}.

Command: `python -m trainer.bundle.masks --data DIR --out assets/checkpoints/masks-lite`.

## Training

{schedule.num_steps} steps of AdamW on one CPU thread, {schedule.num_scenes} scenes with up to
{schedule.per_scene} prompts each: boxes (65 %, most of them jittered), one to three points (20 %), both (15 %).
Focal and dice loss as in Segment Anything (arXiv:2304.02643), and the squared error of the expected overlap.
Choices were made without the last 44 photos of coco_train, on these: after 400 steps overlap there was 0.628 where
the ellipse has 0.640, with training still improving, so it was made twice as long; the head has seen these photos too.

## Data and terms

- 294 photos of COCO train2017 with 2,266 outlines, whole and zoomed: annotations CC BY 4.0, photos under Flickr's
  terms, most of them non-commercial.  None of the photos is shipped.
- Scenes of the demo composed of cut-outs, with exact masks: see assets/demo/LICENCES.md.

## What it is not

It knows few shapes: thin and branching things (a bicycle, a fork, legs of a chair) come out as blobs, and of two things
in one box it may take both.  A click alone tells it too little of how large the thing is (see the table): draw a box
first, and click inside it or beside it where the mask is wrong.  For clicks alone, and for fine outlines, choose a
checkpoint of Segment Anything.
"""


def _seeds(count: int) -> str:
    if count == 1:
        return "One seed, which is shipped."
    return f"Mean over {count} seeds, with their standard deviation; the first seed is shipped."


def _table(scores: Sequence[MaskScores]) -> str:
    lines = ["| | " + " | ".join(f"{size} ({scores[0].count(size)})" for size in SIZES) + " |", "|---" * 5 + "|"]
    for rival in RIVALS:
        cells = []
        for size in SIZES:
            values = np.array([one.mean(rival, size) for one in scores])
            spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 and rival not in ("box", "ellipse") else ""
            cells.append(f"{values.mean():.3f}{spread}")
        lines.append(f"| {_NAMES[rival]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)

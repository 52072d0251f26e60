"""The comparison that counts: Prompter against RoIAlign on photos that no setting was chosen on.

coco_train is cut into five by every fifth photo.  Settings were looked at on fold 0 (and on coco_dev); folds 1 to 4 are
each named by a model trained without them, and their boxes are pooled.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from locstudio.models.cloc import Cloc
from trainer.bundle.features import SceneSet
from trainer.bundle.measuring import naming_scores, prepared_scene

NUM_FOLDS = 5
UNSEEN = (1, 2, 3, 4)
_RESAMPLES = 400


def fold_rows(scenes: SceneSet, fold: int) -> tuple[list[int], list[int]]:
    """Rows to train on, and the plain scene of every photo held out; mosaics are always trained on."""
    sources = sorted({scene.source for scene in scenes.scenes if scene.is_exhaustive})
    held = set(sources[fold::NUM_FOLDS])
    training = [row for row, scene in enumerate(scenes.scenes) if scene.source not in held]
    first: dict[str, int] = {}
    for row, scene in enumerate(scenes.scenes):
        if scene.source in held:
            first.setdefault(scene.source, row)
    return training, sorted(first.values())


def pooled_scores(
    train: Callable[[list[int], int], Cloc], scenes: SceneSet, names: tuple[str, ...]
) -> tuple[Tensor, Tensor]:
    """Scores (N, Q) and classes (N,) of every box of the unseen folds; ``train`` takes rows and a seed."""
    scores: list[Tensor] = []
    truth: list[int] = []
    for fold in UNSEEN:
        training, held = fold_rows(scenes, fold)
        model = train(training, fold)
        with torch.inference_mode():
            text_QD = model.embed_texts(list(names))
            for row in held:
                scene = scenes.scenes[row]
                if scene.class_index:
                    boxes = torch.from_numpy(scene.boxes_R4)
                    scores.append(model.embed_boxes(prepared_scene(model, scenes, row), boxes) @ text_QD.T)
                    truth += scene.class_index
    return torch.cat(scores), torch.tensor(truth)


def compared(one_NQ: Tensor, other_NQ: Tensor, truth_N: Tensor) -> dict[str, tuple[float, float, float, float, float]]:
    """For each measure: the first arm's, the second's; median and 95 % limits of the difference, resampling boxes."""
    random = np.random.default_rng(0)
    drawn = [torch.from_numpy(random.integers(0, len(truth_N), len(truth_N))) for _ in range(_RESAMPLES)]
    pairs = [
        (naming_scores(one_NQ[rows], truth_N[rows]), naming_scores(other_NQ[rows], truth_N[rows])) for rows in drawn
    ]
    one, other = naming_scores(one_NQ, truth_N), naming_scores(other_NQ, truth_N)
    found = {}
    for key in one:
        low, middle, high = np.percentile([first[key] - second[key] for first, second in pairs], [2.5, 50, 97.5])
        found[key] = (one[key], other[key], float(middle), float(low), float(high))
    return found

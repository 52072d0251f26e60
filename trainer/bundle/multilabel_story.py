"""What a person's quarter of an hour with the worklist is worth: labels before and after, same training, new model.

Axes: S = scenes, L = classes, P = pairs of scene and class.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.models.consistency import Consistency
from trainer.bundle.multilabel_arms import TRAINING
from trainer.bundle.multilabel_fitting import Material, PlainMemory, fit_classes, looked_at
from trainer.bundle.multilabel_measuring import mean_precision
from trainer.bundle.multilabel_scenes import single_positives

STORY = msgspec.structs.replace(
    TRAINING, loss="en", memory="maps", learning_rate=3e-3, num_epochs=30, starts_with_label=False
)
NUM_ASKED = 200


def tell(
    new: Callable[[], Consistency], photos: Material, test: Material, num_expected: int, seed: int
) -> dict[str, float]:
    """Train on one label a photo, answer the first rows of the worklist as a person would, and train again.

    Returns:
        Shares of the first 100 and 200 rows that were really missing; mAP before, after the first 200 were answered,
        and after as many answers to pairs at random, of which ``random_right`` were missing.

    Args:
        new: A new model, every time the same.
        photos: What the project holds.
        test: What is measured on.
        num_expected: K of EN.
        seed: Of labels, order and views.
    """
    told_SL = single_positives(photos.present_SL, seed)
    memory, before = _trained(new(), photos, test, told_SL, num_expected, seed)
    listed_P = worklist(memory, told_SL)
    is_right_P = photos.present_SL.ravel()[listed_P]
    _, after = _trained(new(), photos, test, _answered(told_SL, photos, listed_P[:NUM_ASKED]), num_expected, seed)
    drawn_P = np.random.default_rng(seed).permutation(listed_P)[:NUM_ASKED]
    _, at_random = _trained(new(), photos, test, _answered(told_SL, photos, drawn_P), num_expected, seed)
    return {
        "right_100": float(is_right_P[:100].mean()),
        "right_200": float(is_right_P[:200].mean()),
        "before": before,
        "after": after,
        "random": at_random,
        "random_right": float(photos.present_SL.ravel()[drawn_P].mean()),
    }


def worklist(memory: PlainMemory, told_SL: NDArray[np.int8]) -> NDArray[np.int64]:
    """Pairs that nothing was told of, the surest first: the root of running-average score and peak of the heatmap."""
    peaks_SL = memory.maps_SLWW.max(axis=(2, 3))
    sure_P = np.sqrt(memory.averages_SL * peaks_SL).ravel()
    asked_P = np.flatnonzero(told_SL.ravel() == -1)
    return asked_P[np.argsort(-sure_P[asked_P], kind="stable")]


def _trained(
    model: Consistency, photos: Material, test: Material, told_SL: NDArray[np.int8], num_expected: int, seed: int
) -> tuple[PlainMemory, float]:
    memory = fit_classes(model, photos, told_SL, STORY, num_expected=num_expected, seed=seed)
    scores_SL, _ = looked_at(model, test)
    return memory, mean_precision(scores_SL, test.present_SL)


def _answered(told_SL: NDArray[np.int8], photos: Material, asked_P: NDArray[np.int64]) -> NDArray[np.int8]:
    """The labels with what is really there added, and what is not denied."""
    answered_P = told_SL.ravel().copy()
    answered_P[asked_P] = photos.present_SL.ravel()[asked_P]
    return answered_P.reshape(told_SL.shape)

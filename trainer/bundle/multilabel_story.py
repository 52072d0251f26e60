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
NUM_ASKED = 600
"""Answers of a person, about ten minutes by keys; class by class, since the surest rows are mostly of few classes."""


def tell(
    new: Callable[[], Consistency], photos: Material, test: Material, num_expected: int, seed: int
) -> dict[str, float]:
    """Train on one label a photo, answer the first rows of the worklist as a person would, and train again.

    Args:
        new: A new model, every time the same.
        photos: What the project holds.
        test: What is measured on.
        num_expected: K of EN.
        seed: Of labels, order and views.

    Returns:
        mAP before, and after ``NUM_ASKED`` answers: to the surest rows, to the surest of each class turn by turn, and
        to pairs at random; the share of each that was really missing, and of the first 100 and 200 rows.
    """
    told_SL = single_positives(photos.present_SL, seed)
    memory, before = _trained(new(), photos, test, told_SL, num_expected, seed)
    listed_P, is_there_P = worklist(memory, told_SL), photos.present_SL.ravel()
    asked_P = turn_by_turn(listed_P, told_SL.shape[1])[:NUM_ASKED]
    drawn_P = np.random.default_rng(seed).permutation(listed_P)[:NUM_ASKED]
    found = {"before": before}
    for name, chosen_P in (("surest", listed_P[:NUM_ASKED]), ("by_class", asked_P), ("random", drawn_P)):
        _, found[name] = _trained(new(), photos, test, _answered(told_SL, photos, chosen_P), num_expected, seed)
        found[f"{name}_right"] = float(is_there_P[chosen_P].mean())
    return found | {f"right_{limit}": float(is_there_P[listed_P[:limit]].mean()) for limit in (100, 200)}


def turn_by_turn(listed_P: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """The same rows, first the surest of each class, then the second of each."""
    class_P = listed_P % num_classes
    place_P = np.zeros(len(listed_P), np.int64)
    for one in range(num_classes):
        own = np.flatnonzero(class_P == one)
        place_P[own] = np.arange(len(own))
    return listed_P[np.argsort(place_P, kind="stable")]


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

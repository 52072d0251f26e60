"""The arms that are compared: same scenes, epochs and optimiser; what is told and what is asked differ.

Axes: S = scenes, L = classes, W = side of a heatmap.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.jobs.configs import ConsistencyTraining
from locstudio.models.consistency import Consistency
from trainer.bundle.multilabel_fitting import Material, PlainMemory, fit_classes, looked_at
from trainer.bundle.multilabel_measuring import (
    coverage_of,
    expected_precision,
    localisation,
    mean_precision,
    recovered,
)
from trainer.bundle.multilabel_scenes import single_positives
from trainer.consistency_step import Painted

TRAINING = ConsistencyTraining(
    num_epochs=20, batch_size=16, learning_rate=6e-3, beta=3.0, min_scale=0.25, num_warmup_epochs=3, num_ramp_epochs=3
)
"""A regime that learns missing labels by heart; at half the learning rate it learns less of them (`claims.md`)."""
SWEEP = (1.0, 0.5, 0.25, 0.08)
SWEPT = ("an", "en_cl", "en_scl")
PSEUDO_SCORE = 0.2
"""Nine of ten of what cloc-lite finds in coco_train with this score are right there."""
WORKLIST = (100, 200)
_EVERY = 5
_DROPOUT = 0.3

Told = Literal["single", "pseudo", "full", "boxes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassArm:
    """One row of the comparison.

    ``told``: one class of each image drawn by the seed; that and what our region model finds; all classes; all classes
    with their boxes painted on the heatmaps.
    """

    title: str
    told: Told = "single"
    changes: dict[str, object] = field(default_factory=dict)
    boost: float = 1.0
    dropout: float = 0.0

    @property
    def training(self) -> ConsistencyTraining:
        """How it is trained."""
        return msgspec.structs.replace(TRAINING, **self.changes)


def _arms() -> dict[str, ClassArm]:
    plain: dict[str, object] = {"loss": "an", "memory": "none"}
    spatial: dict[str, object] = {"loss": "en", "memory": "maps"}
    found = {
        "full": ClassArm(title="all labels, plain cross-entropy: the bound", told="full", changes=plain),
        "an": ClassArm(title="AN: what is not told is not there", changes=plain),
        "ls": ClassArm(title="LS: AN with label smoothing 0.1", changes={**plain, "loss": "ls"}),
        "em": ClassArm(title="EM: entropy maximisation, alpha 0.1", changes={**plain, "loss": "em"}),
        "ll_r": ClassArm(title="LL-R: large-loss rejection", changes={**plain, "loss": "ll_r"}),
        "en": ClassArm(title="EN: expected negatives of the running scores", changes={**plain, "loss": "en"}),
        "en_cl": ClassArm(title="EN + CL", changes={"loss": "en", "memory": "scores"}),
        "en_scl": ClassArm(title="EN + SCL", changes=spatial),
        "en_scl_zeros": ClassArm(
            title="EN + SCL, memory begins with zeros", changes={**spatial, "starts_with_label": False}
        ),
        "an_scl": ClassArm(title="AN + SCL, without expected negatives", changes={"loss": "an", "memory": "maps"}),
        "an_boost": ClassArm(title="AN + BoostLU, 5", changes=plain, boost=5.0),
        "en_scl_boost": ClassArm(title="EN + SCL + BoostLU, 5", changes=spatial, boost=5.0),
        "en_scl_pseudo": ClassArm(
            title=f"EN + SCL + what cloc-lite finds with a score of {PSEUDO_SCORE}", told="pseudo", changes=spatial
        ),
        "full_scl": ClassArm(
            title="all labels + SCL of weight 1", told="full", changes={"loss": "an", "memory": "maps", "beta": 1.0}
        ),
        "shipped": ClassArm(
            title="all labels + SCL, boxes painted on the heatmaps, dropout 0.3: what is shipped",
            told="boxes",
            changes={"loss": "an", "memory": "maps", "beta": 1.0, "learning_rate": 3e-3, "num_epochs": 30},
            dropout=_DROPOUT,
        ),
    }
    for name in SWEPT:
        for scale in SWEEP:
            if scale != TRAINING.min_scale:
                arm = found[name]
                found[swept(name, scale)] = ClassArm(title="", changes={**arm.changes, "min_scale": scale})
    return found


def swept(name: str, scale: float) -> str:
    """The name of an arm at another crop strength."""
    return name if scale == TRAINING.min_scale else f"{name}-{scale}"


ARMS = _arms()


def run_arm(
    arm: ClassArm,
    model: Consistency,
    training: Material,
    test: Material,
    seed: int,
    *,
    pseudo_SL: NDArray[np.float32],
    say: Callable[[str], None],
) -> dict[str, object]:
    """Train and measure; nothing is chosen by what is measured on the test scenes.

    Args:
        arm: What is told and asked.
        model: New, with neck and head of this seed.
        training: Scenes to learn from.
        test: Scenes to measure on.
        seed: Of labels, order and views.
        pseudo_SL: The best score of each class among what the region model finds in a training scene.
        say: Progress.

    Returns:
        The last measures by name, and under ``epochs`` those along the way.
    """
    present_SL = training.present_SL
    told_SL, weight_SL = _told(arm, training, pseudo_SL, seed)
    num_expected = int(np.ceil(present_SL.sum(axis=1).mean()))
    single_SL = single_positives(present_SL, seed)
    epochs: dict[str, dict[str, float]] = {}

    def after_epoch(epoch: int, memory: PlainMemory) -> None:
        if epoch % _EVERY and epoch != arm.training.num_epochs:
            return
        found = _measured(model, test)
        found |= _remembered(training, memory, single_SL, num_expected)
        scores_SL, _ = looked_at(model, training)
        found["train_map"] = mean_precision(scores_SL, present_SL)
        found["told_map"] = mean_precision(scores_SL, single_SL == 1)
        found |= {
            f"expected_{limit}": share
            for limit, share in expected_precision(memory.averages_SL, single_SL, present_SL, WORKLIST).items()
        }
        epochs[str(epoch)] = found
        say(f"epoch {epoch}: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))

    fit_classes(
        model,
        training,
        told_SL,
        arm.training,
        num_expected=num_expected,
        seed=seed,
        after_epoch=after_epoch,
        weight_SL=weight_SL,
        painted=painted_boxes(training, arm.training.grid) if arm.told == "boxes" else None,
    )
    return {**epochs[str(arm.training.num_epochs)], "num_expected": num_expected, "epochs": epochs}


def painted_boxes(known: Material, grid: int) -> Painted:
    """The boxes of every class that is there, as if a person had painted each whole heatmap, half precision."""
    value_SLWW = torch.zeros((*known.present_SL.shape, grid, grid), dtype=torch.float16)
    weight_SLWW = torch.zeros_like(value_SLWW)
    for row, scene in enumerate(known.scenes):
        for one in sorted(set(scene.class_index)):
            value_SLWW[row, one] = torch.from_numpy(coverage_of(scene, one, grid))
            weight_SLWW[row, one] = 1.0
    return Painted(value_SLWW, weight_SLWW)


def _told(
    arm: ClassArm, training: Material, pseudo_SL: NDArray[np.float32], seed: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    present_SL = training.present_SL
    weight_SL = np.ones(present_SL.shape, np.float32)
    if arm.told in ("full", "boxes"):
        return present_SL.astype(np.int8), weight_SL
    told_SL = single_positives(present_SL, seed)
    if arm.told == "pseudo":
        is_found_SL = (pseudo_SL >= PSEUDO_SCORE) & (told_SL != 1)
        told_SL[is_found_SL] = 1
        weight_SL[is_found_SL] = arm.training.machine_weight
    return told_SL, weight_SL


def _measured(model: Consistency, test: Material) -> dict[str, float]:
    scores_SL, maps_SLWW = looked_at(model, test)
    pointing, overlap = localisation(test.scenes, maps_SLWW, test.present_SL)
    return {
        "map": mean_precision(scores_SL, test.present_SL),
        "pointing": pointing,
        "overlap": overlap,
        "num_predicted": float((scores_SL > 0.5).sum(axis=1).mean()),
    }


def _remembered(
    training: Material, memory: PlainMemory, single_SL: NDArray[np.int8], num_expected: int
) -> dict[str, float]:
    """How good the running averages are: where the heat is, and what of the hidden classes is expected."""
    found: dict[str, float] = {}
    is_hidden_SL = training.present_SL & (single_SL != 1)
    for name, wanted_SL in (("told", single_SL == 1), ("hidden", is_hidden_SL)):
        pointing, overlap = localisation(training.scenes, memory.maps_SLWW, wanted_SL)
        found |= {f"{name}_pointing": pointing, f"{name}_overlap": overlap}
    found["recovered"] = recovered(memory.averages_SL, single_SL, training.present_SL, num_expected)
    return found

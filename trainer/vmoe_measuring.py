"""What a Mobile V-MoE says of images, which experts look at them, and how good that is.

Axes: N = images, L = classes, E = experts, R = routers, k = experts that compute.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.models import moe_choosing
from locstudio.models.mobile_vmoe import MobileVmoe
from trainer.images import batched
from trainer.label_reading import Ints
from trainer.recipes.class_lesson import ClassImage
from trainer.vmoe_inputs import VmoeInputs

BATCH = 64
BEST_METRIC = "top1"
NUM_BEST = 5
DEAD_SHARE = 0.1
"""An expert is dead that takes less than this share of what it would take if all took the same."""
MAX_LOADS = 20
"""With more experts their loads are in the routing table alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Routes:
    """What was said of some images, in order."""

    scores_NL: NDArray[np.float32]
    router_NRE: NDArray[np.float32]
    experts_NRk: NDArray[np.int64]

    @property
    def predicted_N(self) -> Ints:
        """The likeliest class of each."""
        return self.scores_NL.argmax(axis=1)

    @property
    def load_RE(self) -> NDArray[np.float64]:
        """The share of the images that each expert took first; of a router of tokens, of the tokens."""
        if not len(self.router_NRE):
            return np.zeros(self.router_NRE.shape[1:])
        if self.router_NRE.shape[1] > 1:
            return self.router_NRE.astype(np.float64).mean(axis=0)
        first_N = self.experts_NRk[:, 0, 0]
        return np.bincount(first_N, minlength=self.router_NRE.shape[2])[None] / len(first_N)

    @property
    def margin(self) -> float:
        """The mean of an image's largest probability minus its second, over routers too."""
        if not self.router_NRE.size:
            return 0.0
        if self.router_NRE.shape[2] < 2:
            return 1.0
        top = np.partition(self.router_NRE, -2, axis=2)
        return float((top[:, :, -1] - top[:, :, -2]).mean())


@torch.no_grad()
def routes_of(
    model: MobileVmoe,
    inputs: VmoeInputs,
    files: Sequence[ClassImage],
    *,
    superclass_N: NDArray[np.integer] | None = None,
    alive: Callable[[], object] = lambda: None,
) -> Routes:
    """Ask a model about images, as it is; its mode of training is as before afterwards.

    Args:
        model: The model.
        inputs: What it takes of images.
        files: The images.
        superclass_N: The true superclass of each, -1 where it is not known, for an oracle; None for none.
        alive: Called between batches.
    """
    config = model.config
    num_routers = 0 if not config.num_moe_layers else config.num_moe_layers if config.routing == "token" else 1
    num_experts = config.num_experts if num_routers else 0
    scores = [np.zeros((0, len(config.classes)), np.float32)]
    routers = [np.zeros((0, num_routers, num_experts), np.float32)]
    experts = [np.zeros((0, num_routers, config.num_active if num_routers else 0), np.int64)]
    was_training = model.training
    model.eval()
    try:
        for rows in batched(range(len(files)), BATCH):
            batch = [files[row] for row in rows]
            routed = model(
                inputs.batch(batch).to(model.device).float(),
                superclass_B=None if superclass_N is None else _tensor(superclass_N[rows], model.device),
                seed_B=_tensor(np.array([seed_of(file) for file in batch]), model.device),
            )
            scores.append(routed.logits_BL.float().softmax(dim=1).cpu().numpy())
            if num_routers:
                routers.append(routed.router_BRE.float().cpu().numpy())
                experts.append(routed.experts_BRk.cpu().numpy())
            alive()
    finally:
        model.train(was_training)
    return Routes(np.concatenate(scores), np.concatenate(routers), np.concatenate(experts))


def joined_routes(parts: Sequence[Routes]) -> Routes:
    """Several parts as one."""
    return Routes(
        np.concatenate([part.scores_NL for part in parts]),
        np.concatenate([part.router_NRE for part in parts]),
        np.concatenate([part.experts_NRk for part in parts]),
    )


def truth_of(share_NL: NDArray[np.float32]) -> NDArray[np.int32]:
    """Which class takes most of each image, by position; -1 where it shows none."""
    return np.where(share_NL.any(axis=1), share_NL.argmax(axis=1), -1).astype(np.int32)


def seed_of(file: ClassImage) -> int:
    """Of what a router by chance draws an image's expert: the same for the same content."""
    return moe_choosing.seed_of(file.image.sha256 or str(file.image.id))


def measure_routes(
    routes: Routes, target_NL: NDArray[np.float32], group_L: NDArray[np.integer] | None, *, names_experts: bool
) -> dict[str, float]:
    """Metrics of what was said of images whose classes are known; empty where there are none.

    Args:
        routes: What was said.
        target_NL: What each image shows, shares of classes.
        group_L: The superclass of each class, -1 for none; None where there are no superclasses.
        names_experts: Expert and superclass of one number belong together.

    Returns:
        ``top1``, ``top5``: an image counts as right where one of its classes is the likeliest, among the five
        likeliest.  ``superclass_top1``: where the likeliest class is of a superclass that it shows.
        ``router_accuracy``: where its expert is.  ``margin``: how much likelier its expert was than the next.
        ``dead_experts``: how many took hardly any image.  ``expert_1``, ``expert_2``, ...: the share of the images that
        each took.
    """
    if not len(target_NL):
        return {}
    shown_NL = target_NL > 0
    at_N = np.arange(len(shown_NL))
    found = {BEST_METRIC: float(shown_NL[at_N, routes.predicted_N].mean())}
    if shown_NL.shape[1] > NUM_BEST:
        best_N5 = np.argpartition(-routes.scores_NL, NUM_BEST - 1, axis=1)[:, :NUM_BEST]
        found["top5"] = float(np.take_along_axis(shown_NL, best_N5, axis=1).any(axis=1).mean())
    if group_L is not None:
        num_groups = int(group_L.max(initial=-1)) + 1
        shown_NG = shown_NL.astype(np.int64) @ (group_L[:, None] == np.arange(num_groups)) > 0
        predicted_N = group_L[routes.predicted_N]
        found["superclass_top1"] = float((shown_NG[at_N, predicted_N] & (predicted_N >= 0)).mean())
        if names_experts and routes.router_NRE.size:
            found["router_accuracy"] = float(shown_NG[at_N, routes.experts_NRk[:, 0, 0]].mean())
    if routes.router_NRE.size:
        load_E = routes.load_RE.mean(axis=0)
        found["margin"] = routes.margin
        found["dead_experts"] = float((load_E * len(load_E) < DEAD_SHARE).sum())
        if len(load_E) <= MAX_LOADS:
            found |= {f"expert_{number}": float(share) for number, share in enumerate(load_E, start=1)}
    return found


def confusion_of(scores_NL: NDArray[np.float32], target_NL: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of the images of each class (row) were taken for each (column), by probabilities, (L, L)."""
    return (target_NL.astype(np.float64).T @ scores_NL.astype(np.float64)).astype(np.float32)


def _tensor(values: NDArray[np.integer], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(device)

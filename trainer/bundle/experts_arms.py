"""What is compared: tables of arms.  Inside a table everything is alike but what an arm changes: photos, passes, order,
optimiser, seeds; every arm of a table without ``costs_more`` computes the same number of multiply-adds for an image,
its router's few aside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from locstudio.jobs.vmoe_config import VmoeConfig

SEEDS = (0, 1, 2)
NUM_EXPERTS = 10
NUM_MOE_LAYERS = 2
CELLS_COMPONENTS = 256
ROUTER_WEIGHT = 0.3
BALANCE_WEIGHT = 0.005

Groups = Literal["clusters", "hierarchy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row of a table.

    Attributes:
        title: What a reader is told.
        routing: Of the model; see ``VmoeConfig``.
        changes: Other fields of its configuration.
        groups: Where superclasses come from: clusters of the dense twin's confusion, or WordNet.
        teaches_superclass: A dense model is told superclasses too, by a linear map behind the layer where a router
            would be: what the second loss alone is worth.
        costs_more: It computes more than the dense twin.
        goes_on: It begins with the trained dense arm of its table and seed, experts as copies of its MLPs, and is shown
            as many photos again.
    """

    title: str
    routing: Literal["dense", "superclass", "image", "token", "random", "oracle"] = "superclass"
    changes: Mapping[str, Any] = field(default_factory=dict)
    groups: Groups = "clusters"
    teaches_superclass: bool = False
    costs_more: bool = False
    goes_on: bool = False

    @property
    def num_experts(self) -> int:
        """E, also of a dense model that is told superclasses."""
        return int(self.changes.get("num_experts", NUM_EXPERTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Arms that are compared with each other.

    Attributes:
        title: What a reader is told.
        stem: ``pixels``, learnt from scratch; or ``cells`` of the frozen tower.
        num_passes: Photos shown while training, each time one is shown.
        mixup: Of the distribution of mixed pairs; 0 for none, as where a model is too small to learn by heart.
        num_tokens: Cells of a photo that a model sees in most steps, drawn anew for each; 0 for all of them.
        twin: The table whose dense arm of the same seed says what is confused; empty for this one.
        changes: Fields of the configuration that every arm has otherwise than the other tables of its stem.
        arms: By name; ``dense`` comes first.
    """

    title: str
    stem: Literal["pixels", "cells"] = "pixels"
    num_passes: int
    learning_rate: float
    batch_size: int = 128
    mixup: float = 0.0
    num_tokens: int = 0
    twin: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    arms: Mapping[str, Arm]


_RENORMALISED = {"renormalises": True}

TABLES: dict[str, Table] = {
    "main": Table(
        title="From scratch, equal inference FLOPs",
        num_passes=123_000,
        learning_rate=2e-3,
        arms={
            "dense": Arm(title="dense", routing="dense"),
            "superclass": Arm(title="superclass per image (the paper's)"),
            "image": Arm(title="end-to-end per image", routing="image"),
            "random": Arm(title="random expert for each image", routing="random"),
            "oracle": Arm(title="oracle: the true superclass is told at test time", routing="oracle"),
        },
    ),
    "cells": Table(
        title="On the frozen tower's cells: what is shipped",
        stem="cells",
        num_passes=40_000,
        learning_rate=1.5e-3,
        batch_size=64,
        mixup=0.2,
        num_tokens=16,
        arms={
            "dense": Arm(title="dense", routing="dense"),
            "superclass": Arm(title="superclass per image", changes=_RENORMALISED),
            "image": Arm(title="end-to-end per image", routing="image"),
            "random": Arm(title="random expert for each image", routing="random"),
            "upcycled": Arm(title="upcycled from the dense twin, trained on", changes=_RENORMALISED, goes_on=True),
            "dense_on": Arm(title="the dense twin, trained on as long", routing="dense", goes_on=True),
        },
    ),
    "sweep": Table(
        title="On the frozen tower's cells: how many experts, layers and choices, and beyond the paper",
        stem="cells",
        num_passes=16_000,
        learning_rate=1.5e-3,
        batch_size=64,
        mixup=0.2,
        num_tokens=16,
        changes={"depth": 5},
        arms={
            "dense": Arm(title="dense", routing="dense"),
            "superclass": Arm(title="superclass, E 10, L 2, k 1", changes=_RENORMALISED),
            "e2": Arm(title="E 2", changes={**_RENORMALISED, "num_experts": 2}),
            "e5": Arm(title="E 5", changes={**_RENORMALISED, "num_experts": 5}),
            "e20": Arm(title="E 20", changes={**_RENORMALISED, "num_experts": 20}),
            "l1": Arm(title="L 1", changes={**_RENORMALISED, "num_moe_layers": 1}),
            "l4": Arm(title="L 4", changes={**_RENORMALISED, "num_moe_layers": 4}),
            "k2": Arm(title="k 2", changes={**_RENORMALISED, "num_active": 2}, costs_more=True),
            "hierarchy": Arm(title="superclasses of WordNet", changes=_RENORMALISED, groups="hierarchy"),
            "token": Arm(title="end-to-end per token (V-MoE)", routing="token"),
            "paper_gates": Arm(title="gates as in the paper: the router's probabilities"),
            "shared": Arm(
                title="a shared expert beside the others",
                changes={**_RENORMALISED, "has_shared_expert": True},
                costs_more=True,
            ),
            "taught": Arm(title="dense, told superclasses by a second loss", routing="dense", teaches_superclass=True),
            "wide": Arm(
                title="dense with as many parameters (the upper control)",
                routing="dense",
                changes={"width": 144},
                costs_more=True,
            ),
        },
    ),
    "scratch": Table(
        title="From scratch: how many experts, layers and choices, one epoch",
        num_passes=41_000,
        twin="main",
        learning_rate=2e-3,
        arms={
            "dense": Arm(title="dense", routing="dense"),
            "superclass": Arm(title="superclass, E 10, L 2, k 1"),
            "e2": Arm(title="E 2", changes={"num_experts": 2}),
            "e5": Arm(title="E 5", changes={"num_experts": 5}),
            "e20": Arm(title="E 20", changes={"num_experts": 20}),
            "l1": Arm(title="L 1", changes={"num_moe_layers": 1}),
            "l4": Arm(title="L 4", changes={"num_moe_layers": 4}),
            "k2": Arm(title="k 2", changes={"num_active": 2}, costs_more=True),
            "image": Arm(title="end-to-end per image", routing="image"),
            "taught": Arm(title="dense, told superclasses by a second loss", routing="dense", teaches_superclass=True),
        },
    ),
    "more": Table(
        title="From scratch, beyond the main table",
        num_passes=123_000,
        twin="main",
        learning_rate=2e-3,
        arms={
            "hierarchy": Arm(title="superclasses of WordNet", groups="hierarchy"),
            "token": Arm(title="end-to-end per token (V-MoE)", routing="token"),
            "taught": Arm(title="dense, told superclasses by a second loss", routing="dense", teaches_superclass=True),
            "renormalised": Arm(title="superclass, gates that sum to one", changes=_RENORMALISED),
            "wide": Arm(
                title="dense with as many parameters (the upper control)",
                routing="dense",
                changes={"width": 88, "heads": 4},
                costs_more=True,
            ),
        },
    ),
}


def config_of(
    table: Table, arm: Arm, classes: tuple[str, ...], groups: tuple[tuple[str, ...], tuple[int, ...]]
) -> VmoeConfig:
    """The model of an arm; ``groups`` are the names of its superclasses and the superclass of each class."""
    if table.stem == "pixels":
        config = VmoeConfig(
            name="tiny", classes=classes, stem="patch", input_px=64, grid=4, patch=16, width=48, depth=5, heads=2
        )
    else:
        config = VmoeConfig(
            name="vmoe-lite",
            classes=classes,
            stem_width=1752,
            width=96,
            depth=4,
            heads=4,
            mlp_ratio=2.0,
            dropout=0.1,
        )
    config = msgspec.structs.replace(config, **table.changes)
    if arm.routing == "dense":
        changes = {name: value for name, value in arm.changes.items() if name != "num_experts"}
        return msgspec.structs.replace(config, routing="dense", num_experts=1, num_moe_layers=0, **changes)
    has_groups = arm.routing in ("superclass", "oracle")
    return msgspec.structs.replace(
        config,
        routing=arm.routing,
        superclasses=groups[0] if has_groups else (),
        superclass_of=groups[1] if has_groups else (),
        **{"num_experts": NUM_EXPERTS, "num_moe_layers": NUM_MOE_LAYERS, **arm.changes},
    )

"""What a run is asked to do.  One frozen struct per kind of run; the trainer's recipe of the same kind reads it."""

from typing import Literal

import msgspec

Preset = Literal["quick", "standard"]


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run's configuration.

    ``checkpoint`` is the folder of the checkpoint that the run starts from or evaluates.  ``image_roots`` maps the
    snapshot's root ids to folders of this machine, as they were when the run was made.
    """

    kind: Literal["cloc", "embed", "evaluate"]
    checkpoint: str
    seed: int = 0
    device: str = "auto"
    num_threads: int = 0
    parent_run: str = ""
    cloc: "ClocTraining | None" = None
    embed: "Embedding | None" = None
    evaluate: "Evaluation | None" = None


class ClocTraining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How CLOC is trained (arXiv:2410.02746, section 4.1 and Table A; what differs says so where it is used)."""

    preset: Preset = "quick"
    num_steps: int = 600
    batch_size: int = 32
    regions_per_image: int = 4
    learning_rate: float = 5e-4
    weight_decay: float = 0.2
    num_warmup_steps: int = 50
    text_filter: float | None = 0.9
    has_grounding: bool = True
    is_tower_frozen: bool = True
    extractor: Literal["prompter", "roi_align", "crop"] = "prompter"
    include_pending: bool = False
    evaluate_every: int = 200


class Embedding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fill an index: every region, and ``num_proposals`` class-agnostic proposals an image.

    ``known`` is the folder of an index of the same checkpoint, whose rows of unchanged images are taken over.
    """

    num_proposals: int = 24
    known: str = ""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is evaluated: ``split`` empty means every image with ground truth."""

    task: Literal["regions", "retrieval", "grounding"]
    split: str = ""

"""What a person chooses before a training, and what she is told of it: values, the same for every kind of model."""

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from locstudio.jobs.checkpoint_folder import ModelKind
from locstudio.jobs.configs import ClocTraining, ConsistencyTraining, Loss, Memory, Preset, VmoeTraining
from locstudio.jobs.vmoe_config import RoutingMode
from locstudio.services.starting import CONSISTENCY_PRESETS, PRESETS, VMOE_PRESETS

Source = Literal["guess", "earlier runs", "measured"]
Training = ClocTraining | ConsistencyTraining | VmoeTraining


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainChoice:
    """How the model of regions is trained; ``num_steps`` 0 is what the preset has, an empty ``title`` its name."""

    preset: Preset = "quick"
    num_steps: int = 0
    seed: int = 0
    has_grounding: bool = True
    has_text_filter: bool = True
    include_pending: bool = False
    title: str = ""

    @property
    def model(self) -> ModelKind:
        """What is trained."""
        return "cloc"

    def training(self) -> ClocTraining:
        """The settings of the run."""
        preset = PRESETS[self.preset]
        num_steps = self.num_steps or preset.num_steps
        return msgspec.structs.replace(
            preset,
            num_steps=num_steps,
            num_warmup_steps=min(preset.num_warmup_steps, num_steps // 4),
            evaluate_every=min(preset.evaluate_every, max(1, num_steps // 3)),
            has_grounding=self.has_grounding,
            text_filter=preset.text_filter if self.has_text_filter else None,
            include_pending=self.include_pending,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassesChoice:
    """How the model of classes and their heatmaps is trained; 0 epochs and None are what the preset has.

    ``known`` is the folder of heatmaps that the run remembers from an earlier one.
    """

    preset: Preset = "quick"
    num_epochs: int = 0
    seed: int = 0
    loss: Loss | None = None
    memory: Memory | None = None
    min_scale: float | None = None
    keeps_one: bool = False
    known: str = ""
    title: str = ""

    @property
    def model(self) -> ModelKind:
        """What is trained."""
        return "consistency"

    def training(self) -> ConsistencyTraining:
        """The settings of the run; of few epochs fewer are warm-up."""
        preset = CONSISTENCY_PRESETS[self.preset]
        num_epochs = self.num_epochs or preset.num_epochs
        return msgspec.structs.replace(
            preset,
            num_epochs=num_epochs,
            num_warmup_epochs=min(preset.num_warmup_epochs, num_epochs // 4),
            num_ramp_epochs=min(preset.num_ramp_epochs, num_epochs // 4),
            loss=self.loss or preset.loss,
            memory=self.memory or preset.memory,
            min_scale=preset.min_scale if self.min_scale is None else self.min_scale,
            keeps_one=self.keeps_one,
            known=self.known,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertsChoice:
    """How the model with experts is trained; 0 and None are what the preset has.

    ``num_experts`` 0 is as many as there are superclasses, else what the number of classes asks for.  ``goes_on``: from
    the experts that are in use, if there are any, instead of anew from a dense twin.
    """

    preset: Preset = "quick"
    num_epochs: int = 0
    seed: int = 0
    routing: RoutingMode = "superclass"
    num_experts: int = 0
    num_moe_layers: int = 0
    num_active: int = 0
    is_upcycled: bool | None = None
    has_shared_expert: bool | None = None
    goes_on: bool = False
    title: str = ""

    @property
    def model(self) -> ModelKind:
        """What is trained."""
        return "vmoe"

    def training(self) -> VmoeTraining:
        """The settings of the run; the dense twin has as many epochs in proportion."""
        preset = VMOE_PRESETS[self.preset]
        num_epochs = self.num_epochs or preset.num_epochs
        return msgspec.structs.replace(
            preset,
            num_epochs=num_epochs,
            num_dense_epochs=max(1, round(preset.num_dense_epochs * num_epochs / preset.num_epochs)),
            num_warmup_epochs=min(preset.num_warmup_epochs, num_epochs // 4),
            routing=self.routing,
            num_experts=self.num_experts,
            num_moe_layers=self.num_moe_layers or preset.num_moe_layers,
            num_active=self.num_active or preset.num_active,
            is_upcycled=preset.is_upcycled if self.is_upcycled is None else self.is_upcycled,
            has_shared_expert=preset.has_shared_expert if self.has_shared_expert is None else self.has_shared_expert,
        )


Choice = RetrainChoice | ClassesChoice | ExpertsChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What there is to learn regions from.

    Attributes:
        num_regions: Reviewed regions with a phrase or a class, held-out ones included.
        num_images: Images that have one.
        num_pending: Proposals of a model that nobody has looked at.
        num_unusable: Images whose file cannot be read.
        held_out_split: The split that is measured and not learnt from; where the project names none, a share of the
            images is drawn when the run begins.
        num_held_out: Its regions, or None where they are not drawn yet.
    """

    num_regions: int = 0
    num_images: int = 0
    num_pending: int = 0
    num_unusable: int = 0
    held_out_split: str = ""
    num_held_out: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMaterial:
    """What there is to learn classes from.

    Attributes:
        num_images: Images of which it is known for some class that it is there or is not, held-out ones included.
        num_unlabelled: Images of which nothing is known.
        num_classes: Classes that are known to be somewhere.
        num_positives: Classes that are known to be in an image, by its labels or its regions, over all images.
        num_negatives: The same of classes that are known not to be there.
        num_corrections: Corrections that were painted on heatmaps.
        num_unusable: Images whose file cannot be read.
        held_out_split: As in ``Material``.
        num_held_out: Its images, or None where they are not drawn yet.
    """

    num_images: int = 0
    num_unlabelled: int = 0
    num_classes: int = 0
    num_positives: int = 0
    num_negatives: int = 0
    num_corrections: int = 0
    num_unusable: int = 0
    held_out_split: str = ""
    num_held_out: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertMaterial:
    """What there is to teach experts with.

    Attributes:
        num_images: Images that are known to show a class, held-out ones included.
        num_unlabelled: Images of which no class is known.
        num_classes: Classes that are known to be somewhere.
        num_superclasses: Superclasses that have a class in use; 0 where they are found in what a dense twin confuses.
        superclass_names: What those are called.
        num_without: Classes that are in no superclass, where there are some.
        num_experts: As many experts there will be.
        num_unusable: Images whose file cannot be read.
        held_out_split: As in ``Material``.
        num_held_out: Its images, or None where they are not drawn yet.
    """

    num_images: int = 0
    num_unlabelled: int = 0
    num_classes: int = 0
    num_superclasses: int = 0
    superclass_names: tuple[str, ...] = ()
    num_without: int = 0
    num_experts: int = 0
    num_unusable: int = 0
    held_out_split: str = ""
    num_held_out: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the run will take, and how we know.  ``memory_bytes`` and ``disk_bytes`` are 0 where nobody knows yet."""

    seconds: float
    source: Source
    memory_bytes: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainPlan:
    """What would happen, in numbers; ``problems`` are sentences for which it cannot start.

    ``material`` fits the model that is chosen.  ``waits_for`` is the title of the run that must end before, or empty.
    ``num_newer`` counts the corrections that the model in use has never seen, None where that is not known.
    ``remembered`` is the folder of heatmaps that a training of classes can go on from, or empty.
    """

    choice: Choice
    material: Material | ClassMaterial | ExpertMaterial
    estimate: Estimate
    free_bytes: int
    parent: str = ""
    waits_for: str = ""
    num_newer: int | None = None
    remembered: str = ""
    problems: tuple[str, ...] = field(default=())

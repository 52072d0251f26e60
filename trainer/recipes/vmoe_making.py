"""What a Mobile V-MoE run will train: which model, from where, how many experts; said before anything is learnt."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from locstudio.domain.errors import BadInput
from locstudio.jobs.checkpoint_folder import CheckpointInfo, checkpoint_info
from locstudio.jobs.configs import VmoeTraining
from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import load_vmoe, new_vmoe, stem_width
from trainer.context import RunContext
from trainer.recipes.vmoe_groups import Groups, Known, needs_confusion, num_experts_of
from trainer.recipes.vmoe_lesson import VmoeLesson, listed

BACKBONE_PX, BACKBONE_GRID = 224, 7
SCRATCH_PX = 64


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plan:
    """What a run will train.

    Attributes:
        training: As the run asks, with what does not fit put right.
        config: Of the model with experts; its superclasses are still to come.
        known: Superclasses that are there already.
        finds_groups: Superclasses are still to be found.
        has_twin: A dense twin is trained first.
        base: The model that the run goes on from, and what is known of its checkpoint; None for a new one.
        parent: What is known of that checkpoint.
    """

    training: VmoeTraining
    config: VmoeConfig
    known: Known
    finds_groups: bool
    has_twin: bool
    base: MobileVmoe | None
    parent: CheckpointInfo | None

    @property
    def dense_config(self) -> VmoeConfig:
        """Of the dense twin, which costs the same where one expert computes."""
        return replace(
            self.config,
            routing="dense",
            superclasses=(),
            superclass_of=(),
            num_moe_layers=0,
            num_experts=1,
            num_active=1,
            has_shared_expert=False,
        )

    @property
    def is_taught(self) -> bool:
        """Each expert is taught a superclass."""
        return self.config.routing in ("superclass", "oracle")

    def with_groups(self, groups: Groups | None) -> VmoeConfig:
        """Of the model with experts, its superclasses known."""
        if groups is None or not self.is_taught:
            return replace(self.config, superclasses=(), superclass_of=())
        return replace(self.config, superclasses=groups.names, superclass_of=tuple(groups.group_L.tolist()))


def plan_of(
    context: RunContext, training: VmoeTraining, lesson: VmoeLesson, note: Callable[[str], object] = lambda _: None
) -> Plan:
    """What the run will train.

    Raises:
        BadInput: there can be no such model, superclasses cannot be found, or the checkpoint is damaged.
        CheckpointMismatch: the checkpoint is of another kind of model.
    """
    folder = Path(context.config.checkpoint) if context.config.checkpoint else None
    parent = checkpoint_info(folder) if folder is not None else None
    base = load_vmoe(folder, str(context.device)) if folder is not None else None
    known = Known.of(lesson, base.config if base is not None else None)
    wanted = training
    if base is not None and not training.num_experts and base.config.num_moe_layers and not known.names:
        wanted = replace(training, num_experts=base.config.num_experts)
    num_experts = 1 if training.routing == "dense" else num_experts_of(lesson, wanted, known, note)
    if training.num_active > num_experts:
        note(f"There are {num_experts} experts, so {num_experts} compute instead of {training.num_active}.")
    training = replace(training, num_active=min(training.num_active, num_experts))
    class_names = lesson.table.class_names
    config = _as_trained(_architecture(context, training, base), training, class_names, num_experts)
    finds_groups = needs_confusion(lesson, training, known, num_experts)
    has_twin = base is None and training.num_dense_epochs > 0 and training.routing != "dense"
    if finds_groups and not has_twin and base is None:
        raise BadInput(
            "Superclasses are found in what a dense twin confuses: let it learn for an epoch or more, or put every "
            "class into a superclass, then train."
        )
    plan = Plan(
        training=training,
        config=config,
        known=known,
        finds_groups=finds_groups,
        has_twin=has_twin,
        base=base,
        parent=parent,
    )
    if base is not None:
        _say_what_fits(base, class_names, note)
    _require_buildable(plan)
    return plan


def _architecture(context: RunContext, training: VmoeTraining, base: MobileVmoe | None) -> VmoeConfig:
    if base is not None:
        return base.config
    is_on_backbone = training.trains == "head"
    side = training.input_px or (BACKBONE_PX if is_on_backbone else SCRATCH_PX)
    return VmoeConfig(
        name=context.folder.path.parent.parent.name,
        classes=(),
        stem="backbone" if is_on_backbone else training.stem,
        backbone=training.backbone if is_on_backbone else "",
        input_px=side,
        stem_width=stem_width(training.backbone, side) if is_on_backbone else 0,
        grid=BACKBONE_GRID if is_on_backbone else side // max(1, training.patch),
        patch=0 if is_on_backbone else training.patch,
        width=training.width,
        depth=training.depth,
        heads=training.heads,
        num_moe_layers=training.num_moe_layers,
        has_shared_expert=training.has_shared_expert,
    )


def _as_trained(
    config: VmoeConfig, training: VmoeTraining, class_names: tuple[str, ...], num_experts: int
) -> VmoeConfig:
    is_dense = training.routing == "dense"
    return replace(
        config,
        classes=class_names,
        superclasses=(),
        superclass_of=(),
        routing=training.routing,
        num_moe_layers=0 if is_dense else config.num_moe_layers or training.num_moe_layers,
        num_experts=num_experts,
        num_active=training.num_active,
        has_shared_expert=config.has_shared_expert and not is_dense,
        dropout=training.dropout,
        drop_path=training.drop_path,
    )


def _say_what_fits(base: MobileVmoe, class_names: tuple[str, ...], note: Callable[[str], object]) -> None:
    known = set(base.config.classes)
    new = [name for name in class_names if name not in known]
    gone = [name for name in base.config.classes if name not in set(class_names)]
    if not new and not gone:
        return
    kept = len(class_names) - len(new)
    parts = [
        f"The checkpoint {base.config.name} was trained for other classes: {kept} of the {len(class_names)} are matched"
        " by name"
    ]
    parts += [f"{len(new)} begin anew ({listed(new)})"] if new else []
    parts += [f"{len(gone)} of its own are left out ({listed(gone)})"] if gone else []
    note("; ".join(parts) + ".")


def _require_buildable(plan: Plan) -> None:
    """Refuse what no model can be built of before a twin is trained for it; classes stand in for superclasses."""
    config = plan.config
    if plan.is_taught:
        names = tuple(f"superclass {number}" for number in range(config.num_experts))
        config = replace(config, superclasses=names, superclass_of=(0,) * len(config.classes))
    new_vmoe(config, base=plan.base)

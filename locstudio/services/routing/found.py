"""How one image, or one box of it, was routed: as a run's table has it, or as a model says just now.

Axes: R = routers, E = experts.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from locstudio.domain.errors import BadInput
from locstudio.domain.phrase_rules import bare
from locstudio.domain.regions import Image, Problem
from locstudio.jobs.checkpoint_folder import CheckpointInfo
from locstudio.jobs.engine_messages import Routed
from locstudio.jobs.routing import RoutingTable
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.vmoe_config import RoutingMode
from locstudio.services.checkpoints import folder_of
from locstudio.services.image_classes import classes_of_images
from locstudio.services.routing.book import expert_name
from locstudio.store.project import Project
from locstudio.store.view import DatasetView

Classes = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class FoundRouting:
    """What routers, experts and classes say.

    Attributes:
        checkpoint_id: Of the model that has looked; ``name`` is what it is called.
        routing: Who chose the expert.
        layers: Numbers of the MoE layers, counted from 1.
        expert_names: Of each expert, its number first.
        probabilities_RE: Of each router the probability of each expert; of a router of tokens the share of the tokens.
        experts_R: Of each router the experts that computed, the likeliest first.
        classes: The likeliest classes with their probabilities, falling; of a table only the first.
        what_if_E: For each expert the classes, had it alone computed; empty where nobody has asked.
        homes: The expert that classes of this bare name belong to; empty where the router was taught none.
    """

    checkpoint_id: str
    name: str
    routing: RoutingMode
    layers: tuple[int, ...]
    expert_names: tuple[str, ...]
    probabilities_RE: tuple[tuple[float, ...], ...]
    experts_R: tuple[tuple[int, ...], ...]
    classes: Classes
    what_if_E: tuple[Classes, ...] = ()
    homes: Mapping[str, int] = field(default_factory=dict)

    @property
    def expert(self) -> int:
        """The expert that took it: the first choice of the first router."""
        return self.experts_R[0][0]

    @property
    def second(self) -> int | None:
        """The likeliest other expert of the first router; None where there is no other."""
        others = [expert for expert in range(len(self.expert_names)) if expert != self.expert]
        return max(others, key=lambda expert: self.probabilities_RE[0][expert], default=None)

    @property
    def margin(self) -> float:
        """By how much the first router preferred its likeliest expert to the next."""
        falling = sorted(self.probabilities_RE[0], reverse=True)
        return falling[0] - falling[1] if len(falling) > 1 else 1.0

    def homes_of(self, class_names: Iterable[str]) -> tuple[int, ...]:
        """The experts that these classes belong to, each once; classes that the model does not know have none."""
        found = (self.homes.get(bare(name)) for name in class_names)
        return tuple(dict.fromkeys(home for home in found if home is not None))

    def is_mismatched(self, class_names: Iterable[str]) -> bool:
        """Whether another expert took it than that of any of these classes; false where no class has one."""
        homes = self.homes_of(class_names)
        return bool(homes) and self.expert not in homes


def found_in_table(
    table: RoutingTable, row: int, expert_names: Sequence[str], class_homes: Sequence[int] = ()
) -> FoundRouting:
    """What a run's table has of an image.

    Args:
        table: The table.
        row: Of the image.
        expert_names: Of each expert.
        class_homes: The expert that each class belongs to, -1 for none.
    """
    header = table.header
    homes = {bare(name): home for name, home in zip(header.class_names, class_homes, strict=False) if home >= 0}
    place, score = int(table.predicted[row]), float(table.scores[row])
    classes = ((header.class_names[place], score),) if place >= 0 else ()
    return FoundRouting(
        checkpoint_id=header.checkpoint_id,
        name=header.name,
        routing=header.routing,
        layers=header.layers,
        expert_names=tuple(expert_names),
        probabilities_RE=tuple(tuple(map(float, of_router)) for of_router in table.probabilities[row].tolist()),
        experts_R=tuple(tuple(map(int, of_router)) for of_router in table.experts[row].tolist()),
        classes=classes,
        homes=homes,
    )


def found_by_engine(routed: Routed, info: CheckpointInfo, expert_names: Sequence[str] = ()) -> FoundRouting:
    """What a model has said just now.

    Args:
        routed: Its answer.
        info: Of its checkpoint.
        expert_names: Of each expert, where somebody has named them; else they are named by the model's superclasses.
    """
    num = len(routed.probabilities[0]) if routed.probabilities else 0
    names = tuple(expert_names) if len(expert_names) == num else names_of_experts(num, routed.superclasses)
    is_taught = len(info.superclasses) == num and len(info.superclass_of) == len(info.classes)
    homes = dict(zip(map(bare, info.classes), info.superclass_of, strict=True)) if is_taught else {}
    return FoundRouting(
        checkpoint_id=routed.checkpoint_id,
        name=routed.name,
        routing=routed.routing,
        layers=tuple(routed.layers),
        expert_names=names,
        probabilities_RE=tuple(tuple(of_router) for of_router in routed.probabilities),
        experts_R=tuple(tuple(of_router) for of_router in routed.experts),
        classes=tuple(routed.classes),
        what_if_E=tuple(tuple(of_expert) for of_expert in routed.what_if),
        homes={name: home for name, home in homes.items() if home >= 0},
    )


def names_of_experts(num: int, superclasses: Sequence[str]) -> tuple[str, ...]:
    """What experts are called, where each was taught a superclass, and where none was."""
    named = superclasses if len(superclasses) == num else [""] * num
    return tuple(expert_name(expert, name) for expert, name in enumerate(named))


def is_stale(table: RoutingTable, row: int, image: Image) -> bool:
    """Whether the image's file is another one than was routed."""
    then = table.contents[row]
    is_other = bool(then.any()) and bool(image.sha256) and then.tobytes().hex() != image.sha256
    return is_other or image.problem is Problem.CHANGED


def classes_known_in(dataset: DatasetView, image: Image) -> tuple[str, ...]:
    """Names of the classes that an image is known to show, by its labels and its boxes."""
    names = {entry.id: entry.name for entry in dataset.classes()}
    found = classes_of_images(dataset, [image.id])[image.id]
    return tuple(names[class_id] for class_id in found if class_id in names)


def folder_of_checkpoint(project: Project, dataset: DatasetView, run: RunFolder, checkpoint_id: str) -> Path | None:
    """Where the checkpoint lies that a run's table belongs to: in the project, in the run, or where the run read it."""
    places = [folder_of(project, row.path) for row in dataset.checkpoints() if row.id == checkpoint_id]
    if run.checkpoints.is_dir():
        places += sorted(run.checkpoints.iterdir(), reverse=True)
    with suppress(BadInput):
        places.append(folder_of(project, run.config().checkpoint))
    return next((place for place in places if _id_of(place) == checkpoint_id), None)


def _id_of(folder: Path) -> str:
    """What a checkpoint folder calls itself; empty where it is none."""
    try:
        return str(json.loads((folder / "manifest.json").read_text("utf-8"))["id"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""

"""How models with experts are spoken of: who chooses the expert, and what a checkpoint has."""

from locstudio.jobs.vmoe_config import RoutingMode, VmoeConfig
from locstudio.ui.plain_text import shown
from locstudio.ui.training.wording import counted

ROUTINGS: dict[RoutingMode, str] = {
    "superclass": "A router that is taught superclasses",
    "image": "A router that finds out by itself, image by image",
    "token": "A router in each layer, for each part of an image (V-MoE)",
    "oracle": "The true superclass, as a control",
    "random": "Chance, as a control",
    "dense": "Nobody: a dense model",
}
"""Who chooses the expert."""

_MANY = 8


def listed(names: tuple[str, ...], limit: int = _MANY) -> str:
    """Names in one line: "animals, vehicles and 3 more"."""
    told = [shown(name, 32) for name in names[:limit]]
    rest = len(names) - len(told)
    if rest > 0:
        return f"{', '.join(told)} and {rest} more"
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def experts_sentence(config: VmoeConfig) -> str:
    """What a checkpoint with experts is, in a sentence or two."""
    if not config.num_moe_layers:
        return f"It names the one class of an image, of {counted(len(config.classes), 'class', 'classes')}, densely."
    layers = "the last layer" if config.num_moe_layers == 1 else f"each of the last {config.num_moe_layers} layers"
    computes = "one of which computes" if config.num_active == 1 else f"{config.num_active} of which compute"
    sentence = (
        f"It names the one class of an image, of {counted(len(config.classes), 'class', 'classes')}. "
        f"In {layers} it has {counted(config.num_experts, 'expert')}, {computes}"
    )
    sentence += ", and one more that always does." if config.has_shared_expert else "."
    who = ROUTINGS[config.routing]
    sentence += f" Who chooses: {who[0].lower()}{who[1:]}"
    return f"{sentence}: {listed(config.superclasses)}." if config.superclasses else f"{sentence}."

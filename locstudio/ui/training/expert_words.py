"""How models with experts are spoken of: who chooses the expert, and what a checkpoint has."""

from locstudio.jobs.vmoe_config import RoutingMode, VmoeConfig
from locstudio.ui.plain_text import shown

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
        return f"It names the class of an image, one of {len(config.classes):,}, without experts."
    layers = "the last layer" if config.num_moe_layers == 1 else f"the last {config.num_moe_layers} layers"
    computes = "one computes" if config.num_active == 1 else f"{config.num_active} compute"
    more = ", and a shared one always" if config.has_shared_expert else ""
    who = ROUTINGS[config.routing]
    return (
        f"It names the class of an image, one of {len(config.classes):,}. Of {config.num_experts} experts in "
        f"{layers} {computes}{more}. Who chooses: {who[0].lower()}{who[1:]}."
    )

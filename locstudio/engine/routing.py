"""Which expert takes the images that are open in the engine, or boxes of them, by a checkpoint with experts.

Nothing is loaded before the first routing is asked for.  Axes: R = routers, E = experts, k = experts that compute,
L = classes.
"""

from collections import OrderedDict
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from locstudio.domain.errors import BadInput, CheckpointMismatch
from locstudio.domain.geometry import UnitBox
from locstudio.jobs.engine_messages import Routed
from locstudio.jobs.token_cache import token_key
from locstudio.media.square import load_stretched
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import load_vmoe
from locstudio.models.moe_choosing import seed_of

MAX_FOUND = 64
NUM_CLASSES = 10
NUM_WHAT_IF = 5
_MAX_MODELS = 2


class Routing:
    """Models with experts, and what they said lately.  For one thread.

    Args:
        device: Where models are put.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._models: OrderedDict[tuple[Path, int, int], MobileVmoe] = OrderedDict()
        self._found: OrderedDict[tuple[str, str, UnitBox | None], Routed] = OrderedDict()

    def route(self, checkpoint: Path, *, path: Path, box: UnitBox | None = None, sha256: str = "") -> Routed:
        """Who takes an image or a box of it, what the classes are, and what each expert would have made of it.

        The ten likeliest classes come, and five for each expert.  The answer has the ``id`` 0.

        Args:
            checkpoint: Its folder; one that was replaced is read again.
            path: The image file.
            box: Of the upright image; its pixels are stretched into the model's square, as those of an image are.
            sha256: The content's hash, where that is known.

        Raises:
            BadInput: the checkpoint is missing, damaged, or its numbers end in none.
            CheckpointMismatch: it holds another kind of model, or one without experts.
            ImageProblem: nothing of the image can be decoded.
        """
        model = self._model(checkpoint)
        key = (model.id, token_key(path, sha256), box)
        if key not in self._found:
            self._found[key] = _routed(model, path, box, sha256)
            while len(self._found) > MAX_FOUND:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return self._found[key]

    def _model(self, checkpoint: Path) -> MobileVmoe:
        try:
            status = (checkpoint / "manifest.json").stat()
        except OSError as error:
            raise BadInput(f"There is no checkpoint in {checkpoint}.") from error
        key = (checkpoint, status.st_ino, status.st_mtime_ns)
        if key not in self._models:
            loaded = load_vmoe(checkpoint, self._device)
            if not loaded.config.num_moe_layers:
                raise CheckpointMismatch(
                    f"The checkpoint {loaded.config.name} has no experts that an image could go to. "
                    "Choose one that was trained with experts."
                )
            while len(self._models) >= _MAX_MODELS:
                self._models.popitem(last=False)
            self._models[key] = loaded
        self._models.move_to_end(key)
        return self._models[key]


def routed_reply(request_id: int, found: Routed) -> Routed:
    """The same answer to another request."""
    return msgspec.structs.replace(found, id=request_id)


@torch.inference_mode()
def _routed(model: MobileVmoe, path: Path, box: UnitBox | None, sha256: str) -> Routed:
    config = model.config
    pixels = model.preprocess(load_stretched(path, config.input_px, box))[None].to(model.device)
    # Cells pass through half precision, as those that a run keeps, so that both say the same of an image.
    inputs = model.cells(pixels).half() if config.stem == "backbone" else pixels
    by_chance = torch.tensor([seed_of(sha256)]) if sha256 and box is None else None
    routed = model(inputs, seed_B=by_chance)
    what_if_EL = model.what_if(inputs)[:, 0]
    if not bool(torch.isfinite(routed.logits_BL).all() and torch.isfinite(what_if_EL).all()):
        raise BadInput(f"{config.name} makes no numbers of this image; the checkpoint may be damaged.")
    return Routed(
        id=0,
        checkpoint_id=model.id,
        name=config.name,
        routing=config.routing,
        layers=list(model.moe_layers),
        superclasses=list(config.superclasses),
        probabilities=routed.router_BRE[0].tolist(),
        experts=routed.experts_BRk[0].tolist(),
        classes=_likeliest(routed.logits_BL[0], config.classes, NUM_CLASSES),
        what_if=[_likeliest(logits_L, config.classes, NUM_WHAT_IF) for logits_L in what_if_EL],
    )


def _likeliest(logits_L: Tensor, names: tuple[str, ...], most: int) -> list[tuple[str, float]]:
    shares, places = logits_L.softmax(dim=0).topk(min(most, len(names)))
    return [(names[place], share) for place, share in zip(places.tolist(), shares.tolist(), strict=True)]

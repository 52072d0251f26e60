"""Which detector a run asks for."""

from locstudio.jobs.configs import Vesl
from locstudio.models.cloc import Cloc
from trainer.vesl.closer import CloserDetector
from trainer.vesl.detector import DEFAULT_MODELS, Detector, GroundingDino, Owlv2, OwnDetector
from trainer.vesl.texts import TextMemory


def detector_of(vesl: Vesl, model: Cloc, texts: TextMemory) -> Detector:
    """The detector that a run asks for.

    Raises:
        BadInput: its weights are not there.
    """
    if vesl.detector in ("own", "closer"):
        own = OwnDetector(model, texts, vesl.num_boxes)
        return own if vesl.detector == "own" else CloserDetector(own, model)
    source = vesl.detector_model or DEFAULT_MODELS[vesl.detector]
    return (Owlv2 if vesl.detector == "owlv2" else GroundingDino)(source, model.device)

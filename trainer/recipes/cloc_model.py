"""The model that a CLOC run trains, and its step in two halves with the towers in it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from locstudio.jobs.configs import ClocTraining
from locstudio.models.checkpoint import load_checkpoint, new_model
from locstudio.models.cloc import Cloc
from trainer.data import TrainingImage
from trainer.device import autocast
from trainer.encoding import TEXT_BATCH
from trainer.recipes.attributes import altered_phrases
from trainer.recipes.cloc import ClocOutputs, ClocStep, ClocStepConfig
from trainer.recipes.cloc_batch import ClocBatch
from trainer.recipes.keeping import EVERYDAY_WORDS, Parent


def model_to_train(folder: Path, training: ClocTraining, device: str) -> Cloc:
    """The checkpoint's model with gradients where it shall learn; another extractor begins anew on the same towers."""
    model = load_checkpoint(folder, device)
    held = "prompter" if model.config.prompter.extractor == "literal" else model.config.prompter.extractor
    if held != training.extractor:
        prompter = msgspec.structs.replace(model.config.prompter, extractor=training.extractor)
        other = new_model(msgspec.structs.replace(model.config, prompter=prompter)).to(device)
        own = other.state_dict()
        kept = {name: value for name, value in model.state_dict().items() if not name.startswith("prompter.")}
        other.load_state_dict(own | {name: value for name, value in kept.items() if name in own})
        model = other
    model.requires_grad_(False)
    learning: list[torch.nn.Module] = [model.prompter, model.image_project, model.text_project, model.grounding]
    learning += [model.crop_project] if model.crop_project is not None else []
    if not training.is_tower_frozen:
        learning += [model.towers, model.reduce]
        # A tower that has learnt is no longer the package's, so the checkpoint must hold it.
        model.config = msgspec.structs.replace(
            model.config, tower=msgspec.structs.replace(model.config.tower, is_packaged=False)
        )
    for module in learning:
        module.requires_grad_(True)
    model.logit_scale.requires_grad_(True)
    return model


def can_keep(model: Cloc, training: ClocTraining) -> bool:
    """Whether the run holds the model to its parent.

    A tower that learns gives other tokens than the parent's, and an extractor that begins anew has no parent.
    """
    is_held = bool(model.id) and model.config.prompter.extractor in ("prompter", "roi_align")
    return training.keep_weight > 0 and training.is_tower_frozen and is_held


def words_kept(model: Cloc, training: ClocTraining) -> tuple[str, ...]:
    """Words on which the run holds the model to its parent."""
    return EVERYDAY_WORDS if can_keep(model, training) else ()


def step_config(training: ClocTraining) -> ClocStepConfig:
    """The switches of a step that a run asks for."""
    return ClocStepConfig(
        text_filter=training.text_filter,
        has_grounding=training.has_grounding,
        has_unique_keys=training.has_unique_keys,
        contrast=training.contrast,
        grounding=training.grounding,
        has_nearest_box=training.has_nearest_box,
        text_contrast_weight=training.text_contrast_weight,
        altered_weight=training.altered_weight,
        keep_weight=training.keep_weight,
    )


class TrainedStep:
    """``ClocStep`` in its two halves, as a run uses it: ``outputs`` of a batch, and ``contrast`` of outputs.

    A tower that learns computes in bfloat16 where the device has it; the losses never do.
    """

    def __init__(self, model: Cloc, training: ClocTraining, parent: Parent | None = None) -> None:
        config = step_config(training)
        self._model = model
        self._step = ClocStep(model, config, parent=parent)
        self._words = words_kept(model, training)
        self._is_tower_frozen = training.is_tower_frozen
        self._has_altered = training.altered_weight > 0
        self._compiled = _compiled(model) if training.has_compile else {}

    def remember(self, images: Sequence[TrainingImage], alive: Callable[[], object]) -> None:
        """Run a frozen text tower over all that the images say, in one order and size whatever step a run begins with.

        Padding changes a text's last bits, so a run that is resumed bitwise must not depend on where it begins.
        """
        if not self._is_tower_frozen:
            return
        texts = {text for image in images for text in (*image.phrases, *image.names, *image.captions)}
        texts |= set(self._words)
        if self._has_altered:
            texts |= {text for image in images for phrase in image.phrases for text in altered_phrases(phrase)}
        in_order = sorted(texts - {""})
        for start in range(0, len(in_order), TEXT_BATCH):
            self._step.remember(in_order[start : start + TEXT_BATCH], size=TEXT_BATCH)
            alive()

    def outputs(self, batch: ClocBatch) -> ClocOutputs:
        """What the model makes of a batch or of a part of one."""
        with self._with_compiled():
            return self._outputs(batch)

    def _outputs(self, batch: ClocBatch) -> ClocOutputs:
        if self._is_tower_frozen:
            return self._step.outputs(batch)
        assert batch.pixels_B3HW is not None
        with autocast(self._model.device):
            tokens_BND = self._model.encode_image(batch.pixels_B3HW.to(self._model.device))
        return self._step.outputs(replace(batch, tokens_BND=tokens_BND.float()))

    def contrast(self, outputs: ClocOutputs) -> dict[str, Tensor]:
        """``loss`` and its terms, each with its graph."""
        return self._step.contrast(outputs)

    @contextmanager
    def _with_compiled(self) -> Iterator[None]:
        """The Prompter answers by its compiled functions, in steps only: each other shape would be compiled anew."""
        for name, function in self._compiled.items():
            setattr(self._model.prompter, name, function)
        try:
            yield
        finally:
            for name in self._compiled:
                delattr(self._model.prompter, name)


def _compiled(model: Cloc) -> dict[str, Callable[..., Tensor]]:
    """The costly functions of the Prompter, compiled when first called; what cannot be compiled runs as it is.

    On a CPU this does not pay: with ``cloc-lite`` and 32 images a step takes 0.187 s instead of 0.183 s of one core,
    and compiling takes 18 s.
    """
    torch._dynamo.config.suppress_errors = True
    names = [name for name in ("embed_boxes", "state_of_texts") if hasattr(model.prompter, name)]
    return {name: torch.compile(getattr(model.prompter, name), dynamic=True) for name in names}

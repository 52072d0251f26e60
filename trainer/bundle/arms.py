"""The arms that are compared, and how each is trained.  All have the same scenes, steps and optimiser unless said."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from locstudio.models.cloc import Cloc
from locstudio.models.config import PrompterConfig
from trainer.bundle.features import CROP_PX
from trainer.bundle.sampling import Sampling
from trainer.optim import learning_rate_at, make_optimizer, set_learning_rate
from trainer.recipes.cloc import ClocStep, ClocStepConfig
from trainer.recipes.cloc_batch import ClocBatch

DROPOUT = 0.4
_EMA = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row of the comparison.

    ``has_colours``: tinted mosaics are among the training scenes.  ``has_teacher``: boxes of coco_train have a teacher.
    ``is_text_fixed``: texts stay where the text tower puts them, their projection learns nothing.
    """

    title: str
    prompter: PrompterConfig
    step: ClocStepConfig = field(default_factory=lambda: ClocStepConfig(has_unique_keys=True))
    sampling: Sampling = field(default_factory=lambda: Sampling())
    num_steps: int = 400
    has_colours: bool = False
    has_teacher: bool = False
    is_text_fixed: bool = False


ARMS: dict[str, Arm] = {
    "prompter": Arm(
        title="Prompter, image tokens as keys and values, corner embedding, bias towards the box",
        prompter=PrompterConfig(dropout=DROPOUT),
    ),
    "plain": Arm(
        title="the same without corner embedding and bias (the paper's prompt)",
        prompter=PrompterConfig(dropout=DROPOUT, has_corner_embedding=False, has_box_bias=False),
    ),
    "literal": Arm(
        title="the paper's form: all tokens attend to all (equal CPU time, hence few and small batches)",
        prompter=PrompterConfig(extractor="literal", dropout=DROPOUT, has_corner_embedding=False, has_box_bias=False),
        sampling=Sampling(batch_size=6, num_regions=1, mosaic_share=0.34),
        num_steps=40,
    ),
    "roi_align": Arm(
        title="RoIAlign instead of the Prompter", prompter=PrompterConfig(extractor="roi_align", dropout=DROPOUT)
    ),
    "crop": Arm(
        title="each box cropped and encoded again (COCO boxes only)",
        prompter=PrompterConfig(extractor="crop", dropout=DROPOUT, crop_px=CROP_PX),
    ),
    "no_filter": Arm(
        title="Prompter, without text filter",
        prompter=PrompterConfig(dropout=DROPOUT),
        step=ClocStepConfig(text_filter=None, has_unique_keys=True),
    ),
    "no_grounding": Arm(
        title="Prompter, without L_grounding",
        prompter=PrompterConfig(dropout=DROPOUT),
        step=ClocStepConfig(has_grounding=False, has_unique_keys=True),
    ),
    **{
        f"m{count}": Arm(
            title=f"Prompter, at most {count} region{'s' * (count > 1)} an image and step (prompter: 8)",
            prompter=PrompterConfig(dropout=DROPOUT),
            sampling=Sampling(num_regions=count),
        )
        for count in (1, 2, 4)
    },
    "text_contrast": Arm(
        title="with the text contrast of FG-CLIP 2 (TIC), weight 0.1",
        prompter=PrompterConfig(dropout=DROPOUT),
        step=ClocStepConfig(text_contrast_weight=0.1, has_unique_keys=True),
    ),
    "sigmoid": Arm(
        title="each pair judged alone (SigLIP) in place of the softmax",
        prompter=PrompterConfig(dropout=DROPOUT),
        step=ClocStepConfig(contrast="sigmoid"),
    ),
    "overlap": Arm(
        title="L_grounding by L1 and generalised IoU (DETR)",
        prompter=PrompterConfig(dropout=DROPOUT),
        step=ClocStepConfig(grounding="overlap", has_unique_keys=True),
    ),
    "nearest": Arm(
        title="the same towards the nearest of a phrase's boxes",
        prompter=PrompterConfig(dropout=DROPOUT),
        step=ClocStepConfig(grounding="overlap", has_nearest_box=True, has_unique_keys=True),
    ),
    "colours": Arm(
        title="with tinted mosaics among the scenes",
        prompter=PrompterConfig(dropout=DROPOUT),
        has_colours=True,
    ),
    "altered": Arm(
        title="the same, and phrases with one attribute altered as rivals (FG-CLIP), weight 0.5",
        prompter=PrompterConfig(dropout=DROPOUT),
        step=ClocStepConfig(altered_weight=0.5, has_unique_keys=True),
        has_colours=True,
    ),
    "together": Arm(
        title="tinted mosaics, altered phrases, and boxes by overlap towards the nearest",
        prompter=PrompterConfig(dropout=DROPOUT),
        step=ClocStepConfig(altered_weight=0.5, grounding="overlap", has_nearest_box=True, has_unique_keys=True),
        has_colours=True,
    ),
    "distilled": Arm(
        title="with a teacher that saw each box of coco_train encoded again, larger; texts are not projected",
        prompter=PrompterConfig(dropout=DROPOUT),
        has_teacher=True,
        is_text_fixed=True,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Optimiser of every arm."""

    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    num_warmup_steps: int = 25


def fit(
    model: Cloc,
    step: ClocStep,
    batches: Iterable[ClocBatch],
    schedule: Schedule,
    *,
    num_steps: int,
    say: Callable[[str], None],
) -> None:
    """Train what wants gradients; the model ends with the running mean of its weights."""
    optimizer = make_optimizer(model, learning_rate=schedule.learning_rate, weight_decay=schedule.weight_decay)
    mean = RunningMean(model)
    model.train()
    model.towers.eval()
    begun = time.process_time()
    for number, batch in enumerate(batches):
        rate = learning_rate_at(
            number,
            peak=schedule.learning_rate,
            num_warmup_steps=schedule.num_warmup_steps,
            num_steps=num_steps,
        )
        set_learning_rate(optimizer, rate)
        terms = step(batch)
        optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        optimizer.step()
        mean.fold(number)
        if (number + 1) % 100 == 0:
            parts = ", ".join(f"{name} {float(term.detach()):.3f}" for name, term in terms.items())
            say(f"step {number + 1} of {num_steps}, {time.process_time() - begun:.0f} CPU s: {parts}")
    mean.put_back()
    model.eval()


class RunningMean:
    """Exponential mean of the parameters that want gradients, shorter at the start."""

    def __init__(self, module: nn.Module, decay: float = _EMA) -> None:
        self._decay = decay
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._means: list[Tensor] = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def fold(self, step: int) -> None:
        """Take the parameters after this step (counted from 0) in."""
        share = 1 - min(self._decay, (step + 1) / (step + 10))
        for mean, parameter in zip(self._means, self._parameters, strict=True):
            mean.lerp_(parameter, share)

    @torch.no_grad()
    def put_back(self) -> None:
        """Give the module its mean."""
        for mean, parameter in zip(self._means, self._parameters, strict=True):
            parameter.copy_(mean)

"""What each of two processes does for ``test_distributed``: started with torchrun's environment, writes what it found.

``python ranks_at_work.py CHECKPOINT FOLDER`` makes ``FOLDER/rank_R.pt``.
"""

import copy
import os
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from locstudio.domain.errors import BadInput
from locstudio.models.checkpoint import load_checkpoint
from trainer.distributed import Place, Ranks, RankSilent, average_gradients, gather_rows, gather_tensors
from trainer.gradient import gradient_of
from trainer.recipes.cloc import ClocStep, ClocStepConfig
from trainer.recipes.cloc_batch import ClocBatch
from trainer.recipes.cloc_ranks import PeerOutOfMemory, gather_outputs, shared_gradient
from trainer.recipes.keeping import Parent

PHRASES = ("a cat", "a rug", "a bridge at night", "a cup", "a red cup", "a door")
CAPTIONS = ("a cat on a rug", None, "an empty room", "two cups", "a cup beside a cat")
SCENARIOS = {
    "whole": (ClocStepConfig(), 0),
    "in parts": (ClocStepConfig(), 1),
    "no text filter": (ClocStepConfig(text_filter=None), 0),
    "narrow text filter": (ClocStepConfig(text_filter=0.2), 2),
    "unique keys": (ClocStepConfig(has_unique_keys=True), 0),
    "no grounding": (ClocStepConfig(has_grounding=False), 0),
    "sigmoid": (ClocStepConfig(contrast="sigmoid", grounding="overlap", has_nearest_box=True), 0),
    "hard texts": (ClocStepConfig(text_contrast_weight=0.5, altered_weight=0.5), 2),
    "held to its parent": (ClocStepConfig(keep_weight=0.5), 0),
}
WEIGHTED = "some regions count less"
WEIGHTS_BM = torch.tensor([[1.0, 0.5], [1.0, 1.0], [0.5, 1.0], [1.0, 1.0], [1.0, 0.25]])


def make_model(checkpoint: Path):
    """The small model of the tests, its text tower replaced by features that tell sentences apart."""
    model = load_checkpoint(checkpoint)
    model.towers.requires_grad_(False)
    model.reduce.requires_grad_(False)

    width = model.text_project.in_features

    def features(texts):
        rows = [torch.randn(width, generator=torch.Generator().manual_seed(sum(text.encode()))) for text in texts]
        return F.normalize(torch.stack(rows), dim=1) if rows else torch.zeros(0, width)

    model.text_features = features
    return model


def make_step(model, config: ClocStepConfig) -> ClocStep:
    """A step whose model has a parent that says other things."""
    other = copy.deepcopy(model.text_project.weight.data)
    model.text_project.weight.data += torch.randn(other.shape, generator=torch.Generator().manual_seed(2))
    parent = Parent(model)
    model.text_project.weight.data = other
    return ClocStep(model, config, parent=parent)


def whole_batch(model) -> ClocBatch:
    """Five images with 2, 0, 1, 0 and 2 regions; "a bridge at night" and "a door" are nobody's phrase."""
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(5, 2, 2, generator=generator) * 0.6
    return ClocBatch(
        boxes_BM4=torch.cat([corner, corner + 0.3], dim=-1),
        valid_BM=torch.tensor([[True, True], [False, False], [True, False], [False, False], [True, True]]),
        phrases=PHRASES,
        phrase_BM=torch.tensor([[0, 1], [0, 0], [0, 0], [0, 0], [3, 4]]),
        captions=CAPTIONS,
        kept_boxes_BK4=torch.cat([corner[:, :1], corner[:, :1] + 0.2], dim=-1),
        kept_words=(("owl",), ("pan",), ("tree",), ("owl",), ("zebra",)),
        tokens_BND=torch.randn(5, model.config.tower.num_tokens, model.config.token_width, generator=generator),
    )


def part_of(batch: ClocBatch, rows: list[int]) -> ClocBatch:
    """Some images of the batch, with all its phrases: those of the other images' regions are nobody's here."""
    return replace(
        batch,
        boxes_BM4=batch.boxes_BM4[rows],
        valid_BM=batch.valid_BM[rows],
        phrase_BM=batch.phrase_BM[rows],
        captions=tuple(batch.captions[row] for row in rows),
        tokens_BND=batch.tokens_BND[rows],
        kept_boxes_BK4=batch.kept_boxes_BK4[rows],
        kept_words=tuple(batch.kept_words[row] for row in rows),
        weight_BM=None if batch.weight_BM is None else batch.weight_BM[rows],
    )


def gradients_of(model) -> dict[str, torch.Tensor]:
    """Of every parameter that has one."""
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


class Forgetful(ClocStep):
    """A step that has too little memory when it is asked for the first outputs, or for those after ``num_good``."""

    num_good = 0

    def outputs(self, batch):
        self.num_good -= 1
        if self.num_good == -1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().outputs(batch)


def take_gradients(ranks: Ranks, checkpoint: Path) -> dict[str, object]:
    """The gradient of every scenario, of odd splits, with DistributedDataParallel, and after memory was too small."""
    model = make_model(checkpoint)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    batch = whole_batch(model)
    found = {}

    def take(name, step, rows, micro_batch=0, batch=batch):
        model.zero_grad(set_to_none=True)
        own = part_of(batch, rows)
        terms = shared_gradient(ranks, lambda gather: gradient_of(step, own, micro_batch, gather), learning)
        found[name] = ({key: float(value) for key, value in terms.items()}, gradients_of(model))

    share = list(ranks.share_of(range(5)))
    for name, (config, micro_batch) in SCENARIOS.items():
        take(name, make_step(model, config), share, micro_batch)
    plain = ClocStepConfig()
    take(WEIGHTED, ClocStep(model, plain), share, 2, replace(batch, weight_BM=WEIGHTS_BM))
    take("one rank has no region", ClocStep(model, plain), [[0, 2, 4], [1, 3]][ranks.rank])
    take("one rank has no caption", ClocStep(model, plain), [[0, 2, 3, 4], [1]][ranks.rank])
    for name, num_good in (("too little memory at first", 0), ("too little memory in the second pass", 2)):
        step = Forgetful(model, plain)
        step.num_good = num_good if ranks.rank == 1 else 10**6
        try:
            take(name, step, share, micro_batch=1)
        except torch.OutOfMemoryError as error:
            found["raised: " + name] = isinstance(error, PeerOutOfMemory)
        take(name, step, share, micro_batch=1)
    found["by torch"] = by_torch(model, part_of(batch, share))
    return found


def by_torch(model, own: ClocBatch):
    """The gradient as DistributedDataParallel takes it."""
    step = ClocStep(model, ClocStepConfig())

    class Outputs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, batch):
            return step.outputs(batch)

    model.zero_grad(set_to_none=True)
    parallel = torch.nn.parallel.DistributedDataParallel(Outputs(), find_unused_parameters=True)
    terms = step.contrast(gather_outputs(parallel(own)))
    terms["loss"].backward()
    return {key: float(value.detach()) for key, value in terms.items()}, gradients_of(model)


def exchange(ranks: Ranks) -> dict[str, object]:
    """Rows, numbers, texts and wishes between the two."""
    found: dict[str, object] = {}
    rows = (torch.arange(6.0).reshape(3, 2) if ranks.is_first else torch.full((1, 2), 9.0)).requires_grad_()
    gathered = gather_rows(rows)
    (gathered * torch.arange(1.0, 9.0).reshape(4, 2)).sum().backward()
    found["rows"], found["gradient of rows"] = gathered.detach(), rows.grad
    found["no rows"] = gather_rows(torch.zeros(0, 3)).shape
    mixed = [
        torch.full((1 + ranks.rank, 2, 2), float(ranks.rank)),
        torch.tensor([ranks.rank] * ranks.rank, dtype=torch.int64),
    ]
    found["mixed"] = gather_tensors([*mixed, torch.tensor([not ranks.is_first])], [10, ranks.rank])
    found["texts"] = ranks.all_texts(["ä", "b"] if ranks.is_first else [])
    found["largest"] = ranks.largest(3 + ranks.rank)
    found["only one wishes"] = ranks.shared(lambda: ranks.rank == 1)()
    found["nobody wishes"] = ranks.shared(lambda: False)()
    ranks.require_same([torch.ones(2)], "weights")
    try:
        ranks.require_same([torch.full((2,), float(ranks.rank))], "weights")
    except BadInput as problem:
        found["refusal"] = str(problem)
    known, unknown = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(3))
    known.grad = torch.ones(2) if ranks.is_first else None
    average_gradients([known, unknown], bucket_size=1)
    found["average"] = (known.grad, unknown.grad)
    return found


def meet(ranks: Ranks) -> dict[str, object]:
    """One rank works for longer than the patience and beats; then it works and does not."""
    found: dict[str, object] = {}
    if not ranks.is_first:
        until = time.monotonic() + 3.0
        while time.monotonic() < until:
            ranks.beat()
            time.sleep(0.1)
    ranks.meet()
    found["patient"] = True
    if ranks.is_first:
        try:
            ranks.meet()
        except RankSilent as silence:
            found["silence"] = str(silence)
    return found


def main() -> None:
    """Do it all."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    checkpoint, folder = Path(sys.argv[1]), Path(sys.argv[2])
    place = Place.from_environment()
    ranks = Ranks.join(place, torch.device("cpu"))
    found = exchange(ranks) | {"gradients": take_gradients(ranks, checkpoint)} | meet(ranks)
    torch.save(found, folder / f"rank_{place.rank}.pt")
    os._exit(0)


if __name__ == "__main__":
    main()

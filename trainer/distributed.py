"""Many processes that train one model: each works through its share of every batch, and all take the same step.

Started by torchrun, which sets the environment that ``Ranks.from_environment`` reads; a process of its own is the only
rank.  What a step has made of the images is gathered from all ranks before a loss is taken, so negatives come from the
whole batch and every rank takes the same loss.

Axes: W = ranks, N = rows of one rank (of ranks together where said so), D = width, F = fields, P = parameters.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TypeVar

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from locstudio.domain.errors import BadInput
from trainer.supervisor import SUPERVISED_VARIABLE

PATIENCE_VARIABLE = "LOCSTUDIO_RANK_PATIENCE_S"
MEETING_S = 120.0
DEFAULT_PATIENCE_S = 600.0
BEAT_S = 2.0
_LOOK_S = 0.02
_T = TypeVar("_T")


class RankSilent(RuntimeError):
    """Another rank gives no sign of life."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands among those of its run, as torchrun says it."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    is_supervised: bool = False

    @classmethod
    def from_environment(cls) -> "Place":
        """The place that torchrun gave this process; alone without torchrun.

        Raises:
            ValueError: a variable is no number.
        """
        world = int(os.environ.get("WORLD_SIZE", "1"))
        return cls(
            rank=int(os.environ.get("RANK", "0")),
            world=world,
            local_rank=int(os.environ.get("LOCAL_RANK", "0")),
            local_world=int(os.environ.get("LOCAL_WORLD_SIZE", str(world))),
            is_supervised=SUPERVISED_VARIABLE in os.environ,
        )

    def device(self, wish: str) -> str:
        """The device of this rank when the run wishes ``auto``, ``cpu`` or ``cuda``: ranks of a machine share no GPU.

        Raises:
            BadInput: the machine has fewer GPUs than ranks.
        """
        if self.world == 1 or wish == "cpu" or not torch.cuda.is_available():
            return wish
        if torch.cuda.device_count() < self.local_world:
            raise BadInput(
                f"The run wants {self.local_world} processes on this machine, which has {torch.cuda.device_count()} "
                "GPUs; start it with fewer processes, or on the CPU."
            )
        return f"cuda:{self.local_rank}"


class Ranks:
    """The processes of a run, seen from one of them.  Alone, everything here is what one process would do without it.

    Every method that all ranks must call together says so; a rank that does not come is given up after the patience.
    """

    def __init__(self, place: Place, store: Store | None = None, patience_s: float = DEFAULT_PATIENCE_S) -> None:
        self.rank = place.rank
        self.world = place.world
        self._store = store
        self._patience_s = patience_s
        self._num_meetings = 0
        self._num_beats = 0
        self._beaten_at = -BEAT_S

    @classmethod
    def join(cls, place: Place, device: torch.device) -> "Ranks":
        """Meet the other ranks, all together: gloo between CPUs, and NCCL between GPUs.

        How long a rank is waited for is ``LOCSTUDIO_RANK_PATIENCE_S`` in the environment, else ten minutes.
        """
        if place.world == 1:
            return cls(place)
        patience_s = float(os.environ.get(PATIENCE_VARIABLE, DEFAULT_PATIENCE_S))
        patience = timedelta(seconds=patience_s)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # Ranks load torch at different speeds; that one is still on its way is no silence yet.
        to_meet = max(patience, timedelta(seconds=MEETING_S))
        store, rank, world = next(rendezvous("env://", place.rank, place.world, timeout=to_meet))
        store.set_timeout(patience)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "cpu:gloo",
            store=PrefixStore("group", store),
            rank=rank,
            world_size=world,
            timeout=patience,
        )
        return cls(place, PrefixStore("ranks", store), patience_s)

    @property
    def is_first(self) -> bool:
        """True for the one rank that writes the run folder, speaks and evaluates."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """True where there is no other rank."""
        return self.world == 1

    def leave(self) -> None:
        """Part from the others, once all are here; no method that all call together may follow.

        NCCL holds on to memory of the GPU until then; gloo to nothing, and its threads end with the process.
        """
        self.meet()
        if not self.is_alone and torch.cuda.is_initialized():
            dist.destroy_process_group()

    def share_of(self, items: Sequence[_T]) -> Sequence[_T]:
        """What of the items is this rank's work; together the ranks have each item once."""
        return items[self.rank :: self.world]

    def largest(self, value: int) -> int:
        """The largest of the ranks' values; all call it together."""
        if self.is_alone:
            return value
        number = torch.tensor([value], dtype=torch.int64)
        dist.all_reduce(number, dist.ReduceOp.MAX)
        return int(number)

    def shared(self, wish: Callable[[], bool]) -> Callable[[], bool]:
        """The wish of any rank as the wish of all, so that no rank stops alone; all call it together."""
        return wish if self.is_alone else lambda: bool(self.largest(int(wish())))

    def all_texts(self, texts: Sequence[str]) -> list[list[str]]:
        """The texts of every rank, in the order of ranks; all call it together."""
        if self.is_alone:
            return [list(texts)]
        own = torch.frombuffer(bytearray(msgspec.json.encode(list(texts))), dtype=torch.uint8)
        counts_W = _counts(len(own))
        rows = _gather_padded(own[:, None], counts_W)
        return [msgspec.json.decode(bytes(part[:, 0].tolist()), type=list[str]) for part in rows.split(counts_W)]

    def require_same(self, tensors: Sequence[Tensor], what: str) -> None:
        """Refuse to go on where the ranks hold different tensors; all call it together.

        Raises:
            BadInput: they differ.
        """
        if self.is_alone:
            return
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        if len({text for (text,) in self.all_texts([digest.hexdigest()])}) > 1:
            raise BadInput(
                f"The processes of the run have different {what}; its folder and its checkpoint must lie where all "
                "machines see the same files."
            )

    def beat(self) -> None:
        """Say to the others that this rank lives; called often in long work, it says so every few seconds."""
        if self._store is None or time.monotonic() - self._beaten_at < BEAT_S:
            return
        self._beaten_at = time.monotonic()
        self._num_beats += 1
        self._store.set(f"beat/{self.rank}", str(self._num_beats))

    def meet(self, alive: Callable[[], object] = lambda: None) -> None:
        """Wait until every rank is here, however long one works, as long as it beats; all call it together.

        Raises:
            RankSilent: a rank that is awaited has not beaten for as long as the patience.
        """
        if self._store is None:
            return
        self._num_meetings += 1
        key = f"meeting/{self._num_meetings}"
        self._store.add(key, 1)
        heard = {rank: (-1, time.monotonic()) for rank in range(self.world) if rank != self.rank}
        pause_s = _LOOK_S
        while self._store.add(key, 0) < self.world:
            self.beat()
            alive()
            for rank, (num_beats, _) in heard.items():
                beats = self._beats_of(rank)
                if beats != num_beats:
                    heard[rank] = (beats, time.monotonic())
            # Any sign of life will do: who is here already need not beat, and who is not is one of the others.
            silent_s = time.monotonic() - max(at for _, at in heard.values())
            if silent_s > self._patience_s:
                raise RankSilent(f"no other process of the run has given a sign of life for {silent_s:.0f} seconds")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.5)

    def _beats_of(self, rank: int) -> int:
        assert self._store is not None
        key = f"beat/{rank}"
        return int(self._store.get(key)) if self._store.check([key]) else 0


ALONE = Ranks(Place())


def gather_rows(own_ND: Tensor) -> Tensor:
    """The rows of all ranks, in the order of ranks, shape (all N, D); ranks may have different numbers of rows.

    The gradient is right where every rank takes the same scalar of the gathered rows and the ranks' gradients are
    averaged afterwards, as ``average_gradients`` and DistributedDataParallel do: every rank's gradient on our rows is
    then the same, and their sum, which averaging divides by W, is W times our own.  So nothing is sent backwards, and
    between gathering and averaging no rank can leave another one waiting.

    All ranks call it together.
    """
    return _gather_padded(own_ND, _counts(len(own_ND)))


def gather_tensors(tensors: Sequence[Tensor], numbers: Sequence[int] = ()) -> tuple[list[Tensor], list[int]]:
    """``gather_rows`` of several tensors of any widths and types, in few exchanges, and the sums of numbers.

    All ranks call it together, with as many tensors of the same widths and types, and as many numbers.
    """
    own = torch.tensor([*(len(tensor) for tensor in tensors), *numbers], dtype=torch.int64)
    table_WF = _gather_padded(own[None], [1] * dist.get_world_size())
    counts_WF = table_WF[:, : len(tensors)].tolist()
    joined: dict[int, Tensor] = {}
    for kind in dict.fromkeys((tensor.dtype, tensor.device) for tensor in tensors):
        places = [at for at, tensor in enumerate(tensors) if (tensor.dtype, tensor.device) == kind]
        widths = [tensors[at].shape[1:].numel() for at in places]
        sizes_WF = [[row[at] * width for at, width in zip(places, widths, strict=True)] for row in counts_WF]
        packed = torch.cat([tensors[at].reshape(-1) for at in places])
        parts = _gather_padded(packed, [sum(sizes) for sizes in sizes_WF]).split(list(chain.from_iterable(sizes_WF)))
        for number, at in enumerate(places):
            joined[at] = torch.cat(parts[number :: len(places)]).reshape(-1, *tensors[at].shape[1:])
    return [joined[at] for at in range(len(tensors))], table_WF[:, len(tensors) :].sum(dim=0).tolist()


def average_gradients(parameters: Sequence[torch.nn.Parameter], *, bucket_size: int = 1 << 24) -> None:
    """Give every parameter the mean of the ranks' gradients; one that no rank has a gradient for gets none.

    What DistributedDataParallel does, but once, after the whole backward pass: a step may go backwards in parts, or
    again with smaller ones, and a rank whose images have no region has parameters without a gradient.

    Args:
        parameters: The same on all ranks, which call this together.
        bucket_size: Numbers that are sent at once.
    """
    world = dist.get_world_size()
    has_gradient_P = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.uint8)
    dist.all_reduce(has_gradient_P, dist.ReduceOp.MAX)
    bucket: list[torch.nn.Parameter] = []
    wanted = [parameter for parameter, has in zip(parameters, has_gradient_P.tolist(), strict=True) if has]
    for at, parameter in enumerate(wanted):
        bucket.append(parameter)
        if at == len(wanted) - 1 or sum(other.numel() for other in bucket) >= bucket_size:
            _average_bucket(bucket, world)
            bucket = []


def _average_bucket(bucket: Sequence[torch.nn.Parameter], world: int) -> None:
    for parameter in bucket:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def _counts(number: int) -> list[int]:
    """The number of every rank."""
    counts_W = torch.empty(dist.get_world_size(), dtype=torch.int64)
    dist.all_gather_single(counts_W, torch.tensor([number], dtype=torch.int64))
    return counts_W.tolist()


def _gather_padded(own_ND: Tensor, counts_W: Sequence[int]) -> Tensor:
    """Pad to the longest, gather, and trim: rows of all ranks."""
    longest = max(counts_W)
    if longest == 0:
        return own_ND
    padded = torch.cat([own_ND, own_ND.new_zeros(longest - len(own_ND), *own_ND.shape[1:])])
    gathered: Tensor = _Gather.apply(padded)
    return torch.cat([part[:count] for part, count in zip(gathered.split(longest), counts_W, strict=True)])


class _Gather(torch.autograd.Function):
    """Equally many rows of all ranks; see ``gather_rows`` for its gradient."""

    @staticmethod
    def forward(_ctx: FunctionCtx, own_ND: Tensor) -> Tensor:
        gathered = own_ND.new_empty(dist.get_world_size() * len(own_ND), *own_ND.shape[1:])
        dist.all_gather_single(gathered, own_ND.contiguous())
        return gathered

    @staticmethod
    def backward(_ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        world = dist.get_world_size()
        return gradient.chunk(world)[dist.get_rank()] * world

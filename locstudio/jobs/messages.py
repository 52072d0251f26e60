"""What the trainer says: one typed message per line, numbered within its run."""

import math
from typing import Annotated

import msgspec

from locstudio.domain.errors import ProtocolError

Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Message(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, kw_only=True):
    """A line of a run.  ``sequence`` counts from 0 within the run, also across resumes."""

    sequence: Number


class Waiting(Message, frozen=True, tag="waiting"):
    """The run waits for its turn; ``behind`` is the id of the run before it, or empty if that is another project's."""

    behind: str = ""


class Started(Message, frozen=True, tag="started"):
    """The run begins or goes on.  ``device`` is in words a person reads: "NVIDIA H200" or "CPU, 2 cores".

    ``num_held_out`` are regions that are measured and not learnt from; ``steps_per_epoch`` is 0 where there are none.
    """

    device: str
    num_images: int
    num_regions: int
    num_steps: Number
    first_step: int = 0
    num_held_out: int = 0
    steps_per_epoch: int = 0


class Progress(Message, frozen=True, tag="progress"):
    """How far it is.  ``loss`` is the mean over the last batch, in nats, and None for a run without one."""

    step: Number
    num_steps: Number
    images_per_second: float
    seconds_left: float
    loss: float | None = None
    parts: dict[str, float] = {}
    learning_rate: float | None = None


class Evaluated(Message, frozen=True, tag="evaluated"):
    """Metrics of one evaluation, each a share in [0, 1] unless its name says otherwise."""

    step: Number
    metrics: dict[str, float]


class Saved(Message, frozen=True, tag="saved"):
    """A checkpoint folder is complete.  ``path`` is relative to the run folder."""

    step: Number
    path: str


class Sampled(Message, frozen=True, tag="sampled"):
    """What the model says of a few held-out regions now: a file of ``samples``, path relative to the run folder."""

    step: Number
    path: str


class Estimated(Message, frozen=True, tag="estimated"):
    """The answer of a timed dry run: what the whole run would take on this device."""

    seconds: float
    seconds_per_step: float
    num_images_to_encode: int
    memory_bytes: int
    disk_bytes: int


class Note(Message, frozen=True, tag="note"):
    """A sentence for the person: an image left out, a device that was not there."""

    text: str


class Heartbeat(Message, frozen=True, tag="heartbeat"):
    """Nothing new, still alive."""


class Finished(Message, frozen=True, tag="finished"):
    """The last word of a run that did what it was asked; ``was_stopped`` when a person ended it early."""

    was_stopped: bool = False


class Failed(Message, frozen=True, tag="failed"):
    """The last word of a run that could not go on."""

    sentence: str
    exit_status: int


AnyMessage = (
    Waiting | Started | Progress | Evaluated | Saved | Sampled | Estimated | Note | Heartbeat | Finished | Failed
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyMessage)


def to_line(message: AnyMessage) -> bytes:
    """One line of JSON with its newline.

    Raises:
        ProtocolError: a number is NaN or infinite (JSON has none; msgspec would write null).
    """
    for name in message.__struct_fields__:
        value = getattr(message, name)
        numbers = value.values() if isinstance(value, dict) else [value]
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            raise ProtocolError(f"{type(message).__name__}.{name} is not finite: {value}")
    return _encoder.encode(message) + b"\n"


def from_line(line: bytes) -> AnyMessage:
    """The message of one line.

    Raises:
        ProtocolError: the line is not exactly one known message.
    """
    try:
        message: AnyMessage = _decoder.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not a message of a run: {line[:120]!r} ({error})") from error
    return message

"""What the window and the engine say to each other: one JSON object per line, ``kind`` first, exact fields, no NaN.

Requests go in on stdin, replies come out on stdout, the log on stderr.  Every request is answered exactly once, in
order, by its own reply, by ``Superseded`` or by ``Refused``; ``Loading``, ``Ready`` and ``Failed`` answer no request.
"""

import math
import os
import urllib.parse
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import ProtocolError
from locstudio.jobs.vmoe_config import RoutingMode

Corners = tuple[float, float, float, float]
MAX_BOXES = 4_096
MAX_TEXTS = 1_024
MAX_PROMPTS = 256
MAX_HEATMAPS = 512


class Request(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, kw_only=True):
    """Something asked of the engine.  ``id`` is chosen by the asker and comes back in the reply."""

    id: int


class SetImage(Request, frozen=True, tag="set_image"):
    """Open an image under a key; answered by ``ImageSet``.

    ``path`` is percent-encoded, see ``path_text``.  With ``sha256`` its tokens are found again wherever the file lies.
    When a later one waits already, this one only makes the key known.
    """

    key: str
    path: str
    sha256: str = ""


class EncodeBoxes(Request, frozen=True, tag="encode_boxes"):
    """Embed boxes of the ``unit`` frame; answered by ``Embedded``.

    A preview is a box on its way under the mouse: it is superseded by any later request for boxes of the same image.
    """

    key: str
    boxes: list[Corners]
    is_preview: bool = False


class EncodeImage(Request, frozen=True, tag="encode_image"):
    """Embed a whole image; answered by ``Embedded`` with one vector."""

    key: str


class EncodeTexts(Request, frozen=True, tag="encode_texts"):
    """Embed sentences; answered by ``Embedded``."""

    texts: list[str]


class GroundText(Request, frozen=True, tag="ground_text"):
    """Find the box of a phrase in an image; answered by ``Grounded``."""

    key: str
    text: str


class Propose(Request, frozen=True, tag="propose"):
    """Find boxes where objects may be; answered by ``Proposed``."""

    key: str
    limit: int


class Prompted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one mask is asked by, in the ``unit`` frame: a box, points (x, y, whether inside the thing), or both."""

    box: Corners | None = None
    points: list[tuple[float, float, bool]] = []


class Segment(Request, frozen=True, tag="segment"):
    """Mask things in an image; answered by ``Segmented``.

    ``sam`` is a Segment Anything checkpoint file, percent-encoded, or empty for the bundled mask head.  A preview is
    superseded by any later request for masks of the same image.
    """

    key: str
    prompts: list[Prompted]
    sam: str = ""
    is_preview: bool = False


class FindHeat(Request, frozen=True, tag="find_heat"):
    """Find where classes are in an image; answered by ``Heated``.

    ``checkpoint`` is the folder of a multi-label checkpoint, percent-encoded.  Without ``class_names`` all of its
    classes are meant, of more than ``MAX_HEATMAPS`` those of the highest scores; names that it does not know are left
    out of the answer.  A later one, whatever it asks, supersedes one that waits.
    """

    key: str
    checkpoint: str
    class_names: list[str] = []


class FindRouting(Request, frozen=True, tag="find_routing"):
    """Ask a model with experts about an image, or about one box of it (``unit``); answered by ``Routed``.

    ``checkpoint`` is the folder of such a model, percent-encoded.  A later one, whatever it asks, supersedes one that
    waits.
    """

    key: str
    checkpoint: str
    box: Corners | None = None


class Quit(Request, frozen=True, tag="quit"):
    """Leave after what was asked before; not answered."""


class Reply(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, kw_only=True):
    """Something the engine says."""


class Loading(Reply, frozen=True, tag="loading"):
    """What is being prepared, in words a person reads."""

    text: str


class Ready(Reply, frozen=True, tag="ready"):
    """Requests are answered from now on.  ``device`` is in words; ``dim`` is the width of every vector."""

    checkpoint_id: str
    name: str
    dim: int
    device: str


class Failed(Reply, frozen=True, tag="failed"):
    """The last word of an engine that cannot serve this checkpoint; starting it again would change nothing."""

    sentence: str
    exit_status: int


class ImageSet(Reply, frozen=True, tag="image_set"):
    """The image is open.  ``width`` and ``height`` are upright pixels; ``is_cached`` when its tokens were known."""

    id: int
    key: str
    width: int
    height: int
    is_cached: bool


class Embedded(Reply, frozen=True, tag="embedded"):
    """Vectors of length one: ``count`` times ``dim`` float32, little-endian, base64 in the line."""

    id: int
    vectors: bytes
    count: int
    dim: int

    @classmethod
    def of(cls, request_id: int, vectors_RD: NDArray[np.float32]) -> "Embedded":
        """The reply that carries these vectors.

        Raises:
            ProtocolError: a value is not finite.
        """
        if not bool(np.isfinite(vectors_RD).all()):
            raise ProtocolError("the model made a vector that is not finite")
        count, dim = vectors_RD.shape
        return cls(id=request_id, vectors=vectors_RD.astype("<f4").tobytes(), count=count, dim=dim)

    def array(self) -> NDArray[np.float32]:
        """The vectors, shape (count, dim).

        Raises:
            ProtocolError: the bytes are not so many numbers.
        """
        if min(self.count, self.dim) < 0 or len(self.vectors) != self.count * self.dim * 4:
            raise ProtocolError(f"{len(self.vectors)} bytes are not {self.count} vectors of {self.dim} numbers")
        return np.frombuffer(self.vectors, "<f4").reshape(self.count, self.dim).astype(np.float32)


class Grounded(Reply, frozen=True, tag="grounded"):
    """Where the phrase is, in the ``unit`` frame; ``score`` is the cosine of box and phrase."""

    id: int
    box: Corners
    score: float


class Proposed(Reply, frozen=True, tag="proposed"):
    """Boxes of the ``unit`` frame with their objectness in [0, 1], best first."""

    id: int
    boxes: list[Corners]
    scores: list[float]


class Segmented(Reply, frozen=True, tag="segmented"):
    """One mask a prompt, with its tight box and the overlap that the model expects, in [0, 1].

    A mask is run lengths over the upright image, as ``Region.mask`` holds them; where nothing was found it is empty and
    has no box.  ``name`` says who made them.
    """

    id: int
    name: str
    masks: list[str]
    boxes: list[Corners | None]
    scores: list[float]


class Heated(Reply, frozen=True, tag="heated"):
    """Score and heatmap of each class: ``grid`` times ``grid`` bytes each over the whole upright image, row by row.

    255 is certainty.  ``checkpoint_id`` and ``name`` say whose heat it is.
    """

    id: int
    checkpoint_id: str
    name: str
    class_names: list[str]
    scores: list[float]
    grid: int
    maps: bytes

    def array(self) -> NDArray[np.uint8]:
        """The heatmaps, uint8 (classes, grid, grid).

        Raises:
            ProtocolError: there are not so many bytes, or not one score for each class.
        """
        num = len(self.class_names)
        if self.grid < 1 or len(self.maps) != num * self.grid**2 or len(self.scores) != num:
            raise ProtocolError(f"{len(self.maps)} bytes are not {num} heatmaps of {self.grid} x {self.grid}")
        return np.frombuffer(self.maps, np.uint8).reshape(num, self.grid, self.grid)


class Routed(Reply, frozen=True, tag="routed"):
    """How a model with experts has looked at an image or a box.

    Attributes:
        probabilities: For each router (one where the MoE layers share a decision) the probability of each expert; of a
            router of tokens the share of the tokens that each expert took.
        experts: For each router the experts that computed, the likeliest first.
        layers: Numbers of the MoE layers, counted from 1.
        superclasses: A name for each expert, or none.
        classes: The likeliest classes with their probabilities, falling.
        what_if: For each expert what the classes would have been, had it alone computed; falling likewise.
    """

    id: int
    checkpoint_id: str
    name: str
    routing: RoutingMode
    layers: list[int]
    superclasses: list[str]
    probabilities: list[list[float]]
    experts: list[list[int]]
    classes: list[tuple[str, float]]
    what_if: list[list[tuple[str, float]]]


class Superseded(Reply, frozen=True, tag="superseded"):
    """Something newer made this request needless."""

    id: int


class Refused(Reply, frozen=True, tag="refused"):
    """The request cannot be answered; ``sentence`` says why.  ``id`` is 0 for a line that was no request."""

    id: int
    sentence: str


AnyRequest = (
    SetImage | EncodeBoxes | EncodeImage | EncodeTexts | GroundText | Propose | Segment | FindHeat | FindRouting | Quit
)
AnyReply = (
    Loading
    | Ready
    | Failed
    | ImageSet
    | Embedded
    | Grounded
    | Proposed
    | Segmented
    | Heated
    | Routed
    | Superseded
    | Refused
)

_encoder = msgspec.json.Encoder()
_requests: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)
_replies: msgspec.json.Decoder[AnyReply] = msgspec.json.Decoder(AnyReply)


def path_text(path: Path) -> str:
    """A path as ASCII: whatever bytes a file name has, a line of JSON can carry them."""
    return urllib.parse.quote_from_bytes(os.fsencode(path))


def path_of(text: str) -> Path:
    """The path that ``path_text`` wrote."""
    return Path(os.fsdecode(urllib.parse.unquote_to_bytes(text)))


def request_line(request: AnyRequest) -> bytes:
    """One line of JSON with its newline.

    Raises:
        ProtocolError: a number is NaN or infinite, or a text is no Unicode.
    """
    if isinstance(request, EncodeBoxes):
        _require_finite(corner for box in request.boxes for corner in box)
    elif isinstance(request, Segment):
        _require_finite(corner for prompt in request.prompts for corner in prompt.box or ())
        _require_finite(place for prompt in request.prompts for point in prompt.points for place in point[:2])
    elif isinstance(request, FindRouting):
        _require_finite(request.box or ())
    return _line(request)


def reply_line(reply: AnyReply) -> bytes:
    """One line of JSON with its newline.

    Raises:
        ProtocolError: a number is NaN or infinite, or a text is no Unicode.
    """
    if isinstance(reply, Grounded):
        _require_finite((*reply.box, reply.score))
    elif isinstance(reply, Proposed):
        _require_finite(reply.scores)
        _require_finite(corner for box in reply.boxes for corner in box)
    elif isinstance(reply, Segmented | Heated):
        _require_finite(reply.scores)
    elif isinstance(reply, Routed):
        _require_finite(share for of_router in reply.probabilities for share in of_router)
        _require_finite(share for said in (reply.classes, *reply.what_if) for _, share in said)
    return _line(reply)


def read_request(line: bytes) -> AnyRequest:
    """The request of one line.

    Raises:
        ProtocolError: the line is not exactly one known request.
    """
    try:
        return _requests.decode(line)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"not a request to the engine: {line[:120]!r} ({error})") from error


def read_reply(line: bytes) -> AnyReply:
    """The reply of one line.

    Raises:
        ProtocolError: the line is not exactly one known reply.
    """
    try:
        return _replies.decode(line)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"not a reply of the engine: {line[:120]!r} ({error})") from error


def _line(message: AnyRequest | AnyReply) -> bytes:
    try:
        return _encoder.encode(message) + b"\n"
    except UnicodeEncodeError as error:
        raise ProtocolError(f"{type(message).__name__} holds text that is no Unicode: {error}") from error


def _require_finite(numbers: Iterable[float]) -> None:
    bad = [number for number in numbers if not math.isfinite(number)]
    if bad:
        raise ProtocolError(f"a message of the engine holds {bad[0]}, which is no number")

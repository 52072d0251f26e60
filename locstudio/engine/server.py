"""Answering requests one after another, the needless ones left out."""

import logging
from collections import deque
from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from locstudio.domain.errors import LocStudioError, ProtocolError, UserError
from locstudio.domain.geometry import UnitBox
from locstudio.engine.heating import heat_reply
from locstudio.engine.process import LineReader, write_all
from locstudio.engine.routing import routed_reply
from locstudio.engine.segmenting import prompt_of, reply_of
from locstudio.engine.session import EngineSession
from locstudio.jobs.engine_messages import (
    MAX_BOXES,
    MAX_PROMPTS,
    MAX_TEXTS,
    AnyReply,
    AnyRequest,
    Embedded,
    EncodeBoxes,
    EncodeImage,
    EncodeTexts,
    Failed,
    FindHeat,
    FindRouting,
    Grounded,
    GroundText,
    ImageSet,
    Loading,
    Propose,
    Proposed,
    Quit,
    Ready,
    Refused,
    Segment,
    SetImage,
    Superseded,
    path_of,
    read_request,
    reply_line,
)

_log = logging.getLogger(__name__)


def serve(load: Callable[[Callable[[str], None]], EngineSession], requests: int, replies: int) -> int:
    """Load a model and answer until the end of the requests; returns the exit status.

    Args:
        load: Makes the session, given where to tell what it is doing.
        requests: Descriptor to read from.
        replies: Descriptor to write to.

    Raises:
        BrokenPipeError: nobody listens any more.
    """

    def say(reply: AnyReply) -> None:
        write_all(replies, reply_line(reply))

    try:
        session = load(lambda text: say(Loading(text=text)))
    except LocStudioError as error:
        say(Failed(sentence=str(error), exit_status=error.exit_status))
        return error.exit_status
    info = session.info
    say(Ready(checkpoint_id=info.id, name=info.name, dim=session.dim, device=session.device_in_words))
    for request in _in_turn(LineReader(requests), say, session):
        if isinstance(request, Quit):
            return 0
        say(_answer(session, request))
    return 0


def _in_turn(reader: LineReader, say: Callable[[AnyReply], None], session: EngineSession) -> Iterator[AnyRequest]:
    """Requests that still need an answer, in order; the others are answered here."""
    waiting: deque[AnyRequest] = deque()
    while True:
        for line in reader.lines(wait=not waiting):
            try:
                waiting.append(read_request(line))
            except ProtocolError as error:
                say(Refused(id=_id_of(line), sentence=str(error)))
        if not waiting:
            if reader.is_at_end:
                return
            continue
        request = waiting.popleft()
        if not _is_superseded(request, waiting):
            yield request
            continue
        if isinstance(request, SetImage):
            session.know_image(path_of(request.path), request.key, request.sha256)
        say(Superseded(id=request.id))


def _is_superseded(request: AnyRequest, waiting: deque[AnyRequest]) -> bool:
    if isinstance(request, EncodeBoxes) and request.is_preview:
        return any(isinstance(later, EncodeBoxes) and later.key == request.key for later in waiting)
    if isinstance(request, Segment) and request.is_preview:
        return any(isinstance(later, Segment) and later.key == request.key for later in waiting)
    if isinstance(request, SetImage | FindHeat | FindRouting):
        return any(type(later) is type(request) for later in waiting)
    return False


def _answer(session: EngineSession, request: AnyRequest) -> AnyReply:
    try:
        return _reply(session, request)
    except (UserError, ValueError, OSError) as error:
        return Refused(id=request.id, sentence=str(error))
    except Exception as error:  # noqa: BLE001 - a request must not end the engine; the asker is told
        _log.exception("the model could not answer %s", type(request).__name__)
        return Refused(id=request.id, sentence=f"The model could not answer ({type(error).__name__}: {error}).")


def _reply(session: EngineSession, request: AnyRequest) -> AnyReply:
    match request:
        case SetImage():
            image = session.set_image(path_of(request.path), key=request.key, sha256=request.sha256)
            return ImageSet(
                id=request.id, key=image.key, width=image.width, height=image.height, is_cached=image.is_cached
            )
        case EncodeBoxes():
            _require(len(request.boxes) <= MAX_BOXES, f"at most {MAX_BOXES} boxes at once, not {len(request.boxes)}")
            boxes = [UnitBox(*corners) for corners in request.boxes]
            return Embedded.of(request.id, session.encode_boxes(boxes, key=request.key))
        case EncodeImage():
            return Embedded.of(request.id, session.encode_image(key=request.key)[None])
        case EncodeTexts():
            _require(len(request.texts) <= MAX_TEXTS, f"at most {MAX_TEXTS} texts at once, not {len(request.texts)}")
            return Embedded.of(request.id, session.encode_texts(request.texts))
        case GroundText():
            box, score = session.ground_text(request.text, key=request.key)
            _require(bool(np.isfinite(score)), "the model made a score that is not finite")
            return Grounded(id=request.id, box=box.as_tuple(), score=score)
        case Propose():
            found, scores = session.propose(request.limit, key=request.key)
            return Proposed(id=request.id, boxes=[box.as_tuple() for box in found], scores=scores.tolist())
        case Segment():
            count = len(request.prompts)
            _require(count <= MAX_PROMPTS, f"at most {MAX_PROMPTS} masks at once, not {count}")
            sam = path_of(request.sam) if request.sam else None
            masks = session.segment([prompt_of(asked) for asked in request.prompts], sam=sam, key=request.key)
            return reply_of(request.id, session.segmenter_name(sam), masks)
        case FindHeat():
            return heat_reply(
                request.id, session.find_heat(path_of(request.checkpoint), request.class_names, key=request.key)
            )
        case FindRouting():
            inside = UnitBox(*request.box) if request.box is not None else None
            routed = session.find_routing(path_of(request.checkpoint), inside, key=request.key)
            return routed_reply(request.id, routed)
        case Quit():
            raise AssertionError("Quit is not answered")


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


class _AnyId(msgspec.Struct):
    id: int = 0


def _id_of(line: bytes) -> int:
    try:
        return msgspec.json.decode(line, type=_AnyId).id
    except msgspec.MsgspecError:
        return 0

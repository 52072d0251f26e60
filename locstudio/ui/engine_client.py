"""The window's end of the engine: requests in, signals out, and a new process when the old one dies."""

import itertools
import logging
import os
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from locstudio.domain.errors import ProtocolError
from locstudio.domain.geometry import UnitBox
from locstudio.jobs.engine_messages import (
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
    Heated,
    ImageSet,
    Loading,
    Prompted,
    Propose,
    Proposed,
    Ready,
    Refused,
    Routed,
    Segment,
    Segmented,
    SetImage,
    Superseded,
    path_text,
    read_reply,
    request_line,
)

RESTART_DELAYS_MS = (200, 1_000, 3_000)
_MINUTE_S = 60.0
_GRACE_MS = 1_000
_MAX_REMEMBERED_IMAGES = 256
_MAX_DEATHS_OF_A_REQUEST = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineState:
    """How the engine is.

    ``text`` is a sentence for the status line: what is loading, or why it failed.  ``ready`` tells checkpoint, width of
    vectors and device once requests are answered.
    """

    phase: Literal["off", "loading", "ready", "failed"]
    text: str = ""
    ready: Ready | None = None


class EngineClient(QObject):
    """One engine, of one checkpoint at a time.

    Signals:
        state_changed: an ``EngineState``.
        image_set: number of the request, ``ImageSet``.
        embedded: number of the request, vectors (count, dim) float32.
        grounded: number of the request, ``UnitBox``, cosine.
        proposed: number of the request, list of ``UnitBox``, objectness (count,) float32.
        segmented: number of the request, ``Segmented``.
        heated: number of the request, score and heatmap uint8 (W, W) of each class by its name.
        routed: number of the request, ``Routed``.
        refused: number of the request, sentence.

    Every request ends in exactly one signal, in order, also when the process dies in between; only a preview that
    something newer made needless ends in none, and so does everything after ``stop``.
    """

    state_changed = Signal(object)
    image_set = Signal(int, object)
    embedded = Signal(int, object)
    grounded = Signal(int, object, float)
    proposed = Signal(int, object, object)
    segmented = Signal(int, object)
    heated = Signal(int, object)
    routed = Signal(int, object)
    refused = Signal(int, str)

    def __init__(
        self,
        checkpoint: Path,
        cache: Path | None,
        parent: QObject | None = None,
        *,
        command: Sequence[str] = (sys.executable, "-m", "locstudio.engine"),
        restart_delays_ms: Sequence[int] = RESTART_DELAYS_MS,
    ) -> None:
        """A client that has not started yet.

        Args:
            checkpoint: Folder of the checkpoint.
            cache: The project's cache folder.
            parent: Qt's owner.
            command: Program of the engine, to which its arguments are added.
            restart_delays_ms: How long to wait before each restart; one more death within a minute is a failure.
        """
        super().__init__(parent)
        self._program, self._cache = tuple(command), cache
        self._command = self._command_for(checkpoint)
        self._delays_ms = tuple(restart_delays_ms)
        self._numbers = itertools.count(1)
        self._pending: OrderedDict[int, AnyRequest] = OrderedDict()
        self._deaths_of: dict[int, int] = {}
        self._images: OrderedDict[str, SetImage] = OrderedDict()
        self._deaths: deque[float] = deque()
        self._state = EngineState("off")
        self._rest = b""
        self._last_words: deque[str] = deque(maxlen=20)
        self._is_wanted = False
        self._sam: Path | None = None
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._on_output)
        self._process.readyReadStandardError.connect(self._on_log)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        self._restart = QTimer(self)
        self._restart.setSingleShot(True)
        self._restart.timeout.connect(self._launch)

    @property
    def state(self) -> EngineState:
        """How the engine is now."""
        return self._state

    @property
    def process_id(self) -> int:
        """The process, or 0 while there is none."""
        return int(self._process.processId())

    @property
    def num_pending(self) -> int:
        """Requests without an answer."""
        return len(self._pending)

    def start(self) -> None:
        """Start the engine; requests may be made at once and are answered when it is ready."""
        if not self._is_wanted:
            self._is_wanted = True
            self._launch()

    def retry(self) -> None:
        """Start again after a failure."""
        self._deaths.clear()
        self._is_wanted = False
        self._end_process()  # it may not have gone yet after its last word
        self.start()

    def change_checkpoint(self, checkpoint: Path) -> None:
        """Answer with another checkpoint from now on; what is asked meanwhile is answered by the new one."""
        self._command = self._command_for(checkpoint)
        self.retry()

    def stop(self) -> None:
        """End the engine.  It has nothing to save, so it is not waited for longer than a second."""
        self._is_wanted = False
        self._restart.stop()
        self._pending.clear()
        self._end_process()
        self._change(EngineState("off"))

    def set_image(self, key: str, path: Path, sha256: str = "") -> int:
        """Open an image under a key; several stay open.  Returns the request's number."""
        request = SetImage(id=next(self._numbers), key=key, path=path_text(path), sha256=sha256)
        self._images[key] = request
        self._images.move_to_end(key)
        while len(self._images) > _MAX_REMEMBERED_IMAGES:
            self._images.popitem(last=False)
        return self._ask(request)

    def encode_boxes(self, key: str, boxes: Sequence[UnitBox], *, is_preview: bool = False) -> int:
        """Embed boxes of an open image; a preview is dropped when something newer waits."""
        corners = [box.as_tuple() for box in boxes]
        return self._ask(EncodeBoxes(id=next(self._numbers), key=key, boxes=corners, is_preview=is_preview))

    def encode_image(self, key: str) -> int:
        """Embed a whole open image."""
        return self._ask(EncodeImage(id=next(self._numbers), key=key))

    def encode_texts(self, texts: Sequence[str]) -> int:
        """Embed sentences."""
        return self._ask(EncodeTexts(id=next(self._numbers), texts=list(texts)))

    def ground_text(self, key: str, text: str) -> int:
        """Find the box of a phrase in an open image."""
        return self._ask(GroundText(id=next(self._numbers), key=key, text=text))

    def propose(self, key: str, limit: int = 24) -> int:
        """Find boxes where objects may be in an open image."""
        return self._ask(Propose(id=next(self._numbers), key=key, limit=limit))

    def segment(self, key: str, prompts: Sequence[Prompted], *, is_preview: bool = False) -> int:
        """Mask things in an open image, by the Segment Anything checkpoint in use or the bundled head."""
        sam = path_text(self._sam) if self._sam else ""
        return self._ask(
            Segment(id=next(self._numbers), key=key, prompts=list(prompts), sam=sam, is_preview=is_preview)
        )

    def find_heat(self, key: str, checkpoint: Path) -> int:
        """Find where the classes of a multi-label checkpoint are in an open image."""
        return self._ask(FindHeat(id=next(self._numbers), key=key, checkpoint=path_text(checkpoint)))

    def find_routing(self, key: str, checkpoint: Path, box: UnitBox | None = None) -> int:
        """Ask a model with experts about an open image, or about one box of it."""
        corners = box.as_tuple() if box is not None else None
        return self._ask(FindRouting(id=next(self._numbers), key=key, checkpoint=path_text(checkpoint), box=corners))

    @property
    def sam(self) -> Path | None:
        """The Segment Anything checkpoint that makes masks; None for the bundled head."""
        return self._sam

    def use_sam(self, file: Path | None) -> None:
        """Make masks by this Segment Anything checkpoint from now on, or by the bundled head."""
        self._sam = file

    def _command_for(self, checkpoint: Path) -> list[str]:
        command = [*self._program, "--checkpoint", str(checkpoint), "--parent-pid", str(os.getpid())]
        return [*command, "--cache", str(self._cache)] if self._cache else command

    def _ask(self, request: AnyRequest) -> int:
        line = request_line(request)
        self._pending[request.id] = request
        if self._state.phase == "failed":
            # Not before the caller knows the number.
            QTimer.singleShot(0, self, lambda: self._refuse(request.id, self._state.text))
        elif self._process.state() != QProcess.ProcessState.NotRunning:
            self._process.write(line)
        return request.id

    def _end_process(self) -> None:
        if self._process.state() != QProcess.ProcessState.NotRunning:
            self._process.terminate()
            if not self._process.waitForFinished(_GRACE_MS):
                self._process.kill()
                self._process.waitForFinished(_GRACE_MS)

    def _launch(self) -> None:
        self._rest = b""
        self._last_words.clear()
        self._change(EngineState("loading", "Starting the models"))
        self._process.start(self._command[0], self._command[1:])
        for request in self._to_send_again():
            self._process.write(request_line(request))

    def _to_send_again(self) -> list[AnyRequest]:
        """What a new process must hear: images that the unanswered requests speak of, then these requests."""
        opening = {request.key for request in self._pending.values() if isinstance(request, SetImage)}
        spoken_of = {getattr(request, "key", "") for request in self._pending.values()} - opening
        if self._images:
            spoken_of |= {next(reversed(self._images))} - opening
        again: list[AnyRequest] = [self._images[key] for key in self._images if key in spoken_of]
        return again + list(self._pending.values())

    def _on_output(self) -> None:
        *lines, self._rest = (self._rest + bytes(self._process.readAllStandardOutput().data())).split(b"\n")
        for line in lines:
            try:
                self._take(read_reply(line))
            except ProtocolError as error:
                _log.error("the engine broke its promise: %s", error)
                self._last_words.append(str(error))
                self._process.kill()
                return

    def _take(self, reply: AnyReply) -> None:
        match reply:
            case Loading():
                self._change(EngineState("loading", reply.text))
            case Ready():
                self._change(EngineState("ready", f"{reply.name} on {reply.device}", reply))
            case Failed():
                self._fail(reply.sentence)
            case Refused() if reply.id == 0:
                raise ProtocolError(reply.sentence)
            case Refused():
                self._refuse(reply.id, reply.sentence)
            case _:
                self._deliver(reply)

    def _deliver(
        self, reply: ImageSet | Embedded | Grounded | Proposed | Segmented | Heated | Routed | Superseded
    ) -> None:
        request = self._pending.get(reply.id)
        if request is None:
            return  # an image that was opened again after a restart
        emit: Callable[[], None]
        match reply:
            case ImageSet():
                emit = lambda: self.image_set.emit(reply.id, reply)  # noqa: E731 - delivered after the bookkeeping
            case Embedded():
                vectors = reply.array()
                emit = lambda: self.embedded.emit(reply.id, vectors)  # noqa: E731
            case Grounded():
                box = UnitBox(*reply.box)
                emit = lambda: self.grounded.emit(reply.id, box, reply.score)  # noqa: E731
            case Proposed():
                boxes, scores = [UnitBox(*corners) for corners in reply.boxes], np.array(reply.scores, np.float32)
                emit = lambda: self.proposed.emit(reply.id, boxes, scores)  # noqa: E731
            case Segmented():
                emit = lambda: self.segmented.emit(reply.id, reply)  # noqa: E731
            case Heated():
                heat = dict(zip(reply.class_names, zip(reply.scores, reply.array(), strict=True), strict=True))
                emit = lambda: self.heated.emit(reply.id, heat)  # noqa: E731
            case Routed():
                emit = lambda: self.routed.emit(reply.id, reply)  # noqa: E731
            case Superseded():
                emit = lambda: None  # noqa: E731
        self._forget(reply.id)
        emit()

    def _refuse(self, number: int, sentence: str) -> None:
        if number in self._pending:
            self._forget(number)
            self.refused.emit(number, sentence)

    def _forget(self, number: int) -> None:
        self._pending.pop(number, None)
        self._deaths_of.pop(number, None)

    def _on_log(self) -> None:
        text = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace")
        for line in filter(str.strip, text.splitlines()):
            self._last_words.append(line)
            _log.info("engine: %s", line)

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._is_wanted:
            self._fail(f"The model process could not be started: {self._process.errorString()}.")

    def _on_finished(self, exit_code: int, status: QProcess.ExitStatus) -> None:
        self._on_output()
        self._on_log()
        if not self._is_wanted:
            return
        how = f"signal {exit_code}" if status == QProcess.ExitStatus.CrashExit else f"status {exit_code}"
        self._blame_the_oldest()
        now = time.monotonic()
        self._deaths.append(now)
        while now - self._deaths[0] > _MINUTE_S:
            self._deaths.popleft()
        if len(self._deaths) > len(self._delays_ms):
            words = f" Its last words: {self._last_words[-1]}" if self._last_words else ""
            self._fail(f"The model process ended {len(self._deaths)} times in a minute ({how}).{words}")
            return
        _log.warning("the engine ended with %s; it is started again", how)
        self._change(EngineState("loading", "Restarting the models"))
        self._restart.start(self._delays_ms[len(self._deaths) - 1])

    def _blame_the_oldest(self) -> None:
        """The engine works in order, so it died of the oldest request; one that kills it twice is not sent again."""
        if self._state.phase != "ready" or not self._pending:
            return
        number = next(iter(self._pending))
        self._deaths_of[number] = self._deaths_of.get(number, 0) + 1
        if self._deaths_of[number] >= _MAX_DEATHS_OF_A_REQUEST:
            self._refuse(number, "The model process ended twice over this request, so it was left out.")

    def _fail(self, sentence: str) -> None:
        self._is_wanted = False
        self._restart.stop()
        self._change(EngineState("failed", sentence))
        for number in list(self._pending):
            self._refuse(number, sentence)

    def _change(self, state: EngineState) -> None:
        if state != self._state:
            self._state = state
            self.state_changed.emit(state)

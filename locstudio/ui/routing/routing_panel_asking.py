"""One question about routing at a time: the engine drops what waits when another comes, and answers that to nobody."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from locstudio.domain.geometry import UnitBox
from locstudio.jobs.engine_messages import Routed
from locstudio.ui.engine_client import EngineClient, EngineState


@dataclass(frozen=True, slots=True)
class Question:
    """An image that is open in the engine, the checkpoint to ask, and a box, or None for the whole image."""

    key: str
    checkpoint: Path
    box: UnitBox | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    question: Question
    on_answer: Callable[[Question, Routed], None]
    on_refusal: Callable[[Question, str], None]


class RoutingAsker(QObject):
    """Asks for several, of whom each wants only the answer to its newest question.

    Exactly one of the two callbacks of a question is called, unless its asker has asked or forgotten meanwhile.

    Signals:
        ready: the engine answers (again).
    """

    ready = Signal()

    def __init__(self, engine: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._waiting: dict[str, _Asked] = {}
        self._number = 0
        self._who = ""
        self._running: _Asked | None = None
        engine.routed.connect(self._on_routed)
        engine.refused.connect(self._on_refused)
        engine.state_changed.connect(self._on_state)

    @property
    def can_ask(self) -> bool:
        """Whether the engine answers, or will as soon as it has loaded."""
        return self._engine.state.phase in ("ready", "loading")

    def ask(
        self,
        who: str,
        question: Question,
        on_answer: Callable[[Question, Routed], None],
        on_refusal: Callable[[Question, str], None],
    ) -> None:
        """Ask in place of what ``who`` has asked before."""
        self.forget(who)
        self._waiting[who] = _Asked(question, on_answer, on_refusal)
        self._send_next()

    def forget(self, who: str) -> None:
        """Let no answer arrive of what ``who`` has asked."""
        self._waiting.pop(who, None)
        if self._who == who:
            self._running = None  # its answer is waited for all the same, so that nothing is asked beside it

    def _send_next(self) -> None:
        if self._number or not self._waiting:
            return
        self._who = next(iter(self._waiting))
        self._running = self._waiting.pop(self._who)
        question = self._running.question
        self._number = self._engine.find_routing(question.key, question.checkpoint, question.box)

    def _on_state(self, state: EngineState) -> None:
        if state.phase == "ready":
            self.ready.emit()

    def _on_routed(self, number: int, routed: Routed) -> None:
        if number == self._number:
            asked = self._done()
            if asked is not None:
                asked.on_answer(asked.question, routed)
            self._send_next()

    def _on_refused(self, number: int, sentence: str) -> None:
        if number == self._number:
            asked = self._done()
            if asked is not None:
                asked.on_refusal(asked.question, sentence)
            self._send_next()

    def _done(self) -> _Asked | None:
        asked, self._running = self._running, None
        self._number, self._who = 0, ""
        return asked

"""Where the routing of the open image comes from: a run's table at once, and the model for what the table lacks."""

from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal

from locstudio.domain.regions import Image
from locstudio.jobs.engine_messages import Routed
from locstudio.ui.background import LatestOnly
from locstudio.ui.routing.routing_panel_asking import Question, RoutingAsker
from locstudio.ui.routing.routing_panel_reading import ReadRouting, RoutingReader

_LOOK_MS, _SELDOM_MS = 2_500, 10_000  # while a run goes on, and while none does
_WHO = "image"


class RoutingSource(QObject):
    """Reads on a thread of its own, asks the model, and looks again while it is active.

    Signals:
        arrived: a ``ReadRouting`` of the image that was asked for last, whenever it is another one than before.
        failed: a sentence.
    """

    arrived = Signal(object)
    failed = Signal(str)

    def __init__(self, reader: RoutingReader, asker: RoutingAsker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reader = reader
        self._asker = asker
        self._image: Image | None = None
        self._run_id = ""
        self._is_active = self._must_tell = False
        self._read: ReadRouting | None = None
        self._asked: Question | None = None
        self._answer: tuple[Question, Routed] | None = None
        self._problem = ""
        self._reads = LatestOnly(self)
        self._reads.arrived.connect(self._on_read)
        self._reads.failed.connect(lambda error: self.failed.emit(str(error)))
        self._again = QTimer(self)
        self._again.timeout.connect(lambda: self._ask(look_again=True))
        asker.ready.connect(self._on_ready)

    @property
    def image(self) -> Image | None:
        """The image whose routing is wanted."""
        return self._image

    def set_image(self, image: Image | None) -> None:
        """Want the routing of another image; the same image again may have other fields."""
        before = self._image
        is_same = image is not None and before is not None and (image.id, image.sha256) == (before.id, before.sha256)
        if not is_same:
            self._read, self._answer = None, None
            self._forget_question()
        self._image = image
        self._ask()

    def set_active(self, is_active: bool) -> None:
        """Say whether routing is wanted at all."""
        if is_active != self._is_active:
            self._is_active = is_active
            self._ask(look_again=True)

    def set_run(self, run_id: str) -> None:
        """Read the table of another run, empty for the newest."""
        self._run_id = run_id
        self._ask(look_again=True)

    def read_again(self, *, forgets_answer: bool = False) -> None:
        """Read what was said meanwhile; ``forgets_answer`` where the model in use may be another one."""
        if forgets_answer:
            self._answer = None
            self._forget_question()
        self._must_tell = True
        self._ask(look_again=forgets_answer)

    def close(self) -> None:
        """Wait for what is being read."""
        self._again.stop()
        self._asker.forget(_WHO)
        self._reads.close()

    def _forget_question(self) -> None:
        self._asked, self._problem = None, ""
        self._asker.forget(_WHO)

    def _ask(self, *, look_again: bool = False) -> None:
        if not self._is_active or self._image is None:
            self._again.stop()
            return
        is_running = self._read is not None and any(run.is_running for run in self._read.runs)
        self._again.start(_LOOK_MS if is_running else _SELDOM_MS)
        image, run_id = self._image, self._run_id
        self._reads.submit(lambda: self._reader.read(image, run_id, look_again=look_again))

    def _on_read(self, read: ReadRouting) -> None:
        if self._image is None or read.image.id != self._image.id:
            return
        is_asking = self._question_model(read)
        if read.is_as(self._read) and not (self._must_tell or is_asking):
            return
        self._must_tell = False
        self._read = read
        self._tell()

    def _on_ready(self) -> None:
        """A question that a failed engine has refused is asked again."""
        if self._problem:
            self._forget_question()
        self._ask()

    def _question_model(self, read: ReadRouting) -> bool:
        """Ask what the table lacks: other images, other files, and what the other experts would have said.

        Returns:
            Whether something was asked now.
        """
        if read.model is None:
            return False
        question = Question(str(read.image.id), read.model.folder)
        is_known = self._answer is not None and self._answer[0] == question
        if is_known or self._asked == question or not self._asker.can_ask:
            return False
        self._asked, self._problem = question, ""
        self._asker.ask(_WHO, question, self._on_answer, self._on_refusal)
        return True

    def _tell(self) -> None:
        read = self._read
        if read is None:
            return
        if read.model is not None and self._answer is not None:
            question, routed = self._answer
            if (question.key, question.checkpoint) == (str(read.image.id), read.model.folder):
                read = read.answered(routed)
        if not read.is_answered:
            problem = read.problem or self._problem
            read = replace(read, is_asking=self._asked is not None and not problem, problem=problem)
        self.arrived.emit(read)

    def _on_answer(self, question: Question, routed: Routed) -> None:
        self._answer, self._asked = (question, routed), None
        self._tell()

    def _on_refusal(self, _question: Question, sentence: str) -> None:
        self._problem = sentence
        self._tell()

"""The window that ``kill_transcript.py`` kills: ``PROJECT look|index|train``, or ``PROJECT engine PHASE``.

``look`` waits until nothing goes on any more and prints what it found as one line of JSON; the others do what a person
does first and stay.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QTimer

from locstudio.app import Studio, make_application
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.services.retrain_plan import RetrainChoice
from locstudio.services.runs import list_runs
from locstudio.ui.engine_client import EngineClient
from locstudio.ui.preferences import Preferences

NUM_STEPS = 24
CALM_S, PATIENCE_S = 4.0, 200.0


class Looking:
    """Looks five times a second what the window says, until nothing has gone on for a few seconds."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._said: list[str] = []
        self._begun = self._busy_at = time.monotonic()
        self._timer = QTimer(studio, interval=200)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def _look(self) -> None:
        studio = self._studio
        notice = studio.window.notice
        if notice.isVisible() and notice.text and notice.text not in self._said:
            self._said.append(notice.text)
        now = time.monotonic()
        desk = studio.desk
        if desk is None or studio.search_state is None or self._is_busy(desk):
            self._busy_at = now
        if now - self._busy_at > CALM_S or now - self._begun > PATIENCE_S:
            self._timer.stop()
            self._tell()

    def _is_busy(self, desk: object) -> bool:
        return (
            any(row.has_process for row in list_runs(desk.opened.project))
            or not self._studio.window.status._work.isHidden()
        )

    def _tell(self) -> None:
        desk, search = self._studio.desk, self._studio.search_state
        rows = list_runs(desk.opened.project)
        active = desk.opened.dataset.active_checkpoint()
        service = search.service
        fits = service is not None and active is not None and service.index.checkpoint_id == active.id
        index = f"{len(service.index)} rows of the active checkpoint" if fits else "not usable"
        found = {
            "notice": "; ".join(f"\u201c{text}\u201d" for text in self._said),
            "runs": ", ".join(f"{row.kind} ({row.state})" for row in reversed(rows)) or "none",
            "regions": desk.opened.dataset.count_regions(),
            "index": index,
            "store": "; ".join(desk.opened.dataset.integrity()) or "whole",
        }
        print(json.dumps(found), flush=True)
        self._studio.window.close()


def open_window(project: Path, action: str) -> int:
    """The window on the project; returns when it is closed."""
    app = make_application()
    studio = Studio(app, Preferences())
    acts: dict[str, Callable[[], object]] = {
        "index": lambda: studio.parts.index.start(),
        "train": lambda: studio.retraining.start(RetrainChoice(num_steps=NUM_STEPS)),
        "look": lambda: None,
    }
    has_acted: list[bool] = []

    def act() -> None:
        if not has_acted:
            has_acted.append(True)
            acts[action]()

    studio.ready.connect(act)
    studio.window.show()
    studio.open_path(project)
    looking = Looking(studio) if action == "look" else None
    status = app.exec()
    del looking
    return int(status)


class Asking:
    """Asks the engine, kills it in a phase, and counts the answers."""

    def __init__(self, phase: str) -> None:
        self._client = EngineClient(bundled_checkpoint(), None)
        self._phase = phase
        self._asked, self.answered, self.refused = 0, 0, 0
        self._num_kills = 3 if "three" in phase else 1
        self._processes: set[int] = set()
        self._client.state_changed.connect(self._on_state)
        self._client.embedded.connect(self._on_embedded)
        self._client.refused.connect(self._on_refused)
        self._timer = QTimer(interval=20)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        self._ask(2)
        self._client.start()

    def _ask(self, count: int) -> None:
        for _ in range(count):
            self._client.encode_texts([f"a sentence with the number {self._asked}"])
            self._asked += 1

    def _kill(self) -> None:
        if self._num_kills and self._client.process_id:
            self._num_kills -= 1
            os.kill(self._client.process_id, signal.SIGKILL)

    def _look(self) -> None:
        if self._client.process_id:
            self._processes.add(self._client.process_id)
        if self._phase.startswith("loads") and self._client.state.phase == "loading" and self._client.process_id:
            self._kill()
        if not self._num_kills and not self._client.num_pending and self._client.state.phase in ("ready", "failed"):
            self._tell()

    def _on_state(self, state: object) -> None:
        if state.phase == "ready" and self._phase.startswith("answers") and self._num_kills:
            self._ask(4)
            self._kill()

    def _on_embedded(self, _number: int, _vectors: object) -> None:
        self.answered += 1
        if self._phase == "is idle" and not self._client.num_pending and self._num_kills:
            self._kill()
            self._ask(2)

    def _on_refused(self, _number: int, _sentence: str) -> None:
        self.refused += 1

    def _tell(self) -> None:
        self._timer.stop()
        found = {
            "asked": self._asked,
            "answered": self.answered,
            "refused": self.refused,
            "processes": len(self._processes),
            "state": f"{self._client.state.phase}: {self._client.state.text}",
        }
        print(json.dumps(found), flush=True)
        self._client.stop()
        sys.stdout.flush()
        QTimer.singleShot(0, self._client, lambda: make_application().quit())


def main() -> int:
    """Entry point."""
    if sys.argv[2] != "engine":
        return open_window(Path(sys.argv[1]), sys.argv[2])
    app = make_application()
    asking = Asking(sys.argv[3])
    status = app.exec()
    del asking
    return int(status)


if __name__ == "__main__":
    sys.exit(main())

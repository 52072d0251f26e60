"""What a run says: every message into ``events.jsonl`` first, then onto stdout, where somebody may be listening."""

import time
from typing import IO

from locstudio.jobs.messages import (
    AnyMessage,
    Evaluated,
    Failed,
    Finished,
    Heartbeat,
    Note,
    Progress,
    Saved,
    Started,
)
from locstudio.jobs.run_folder import EventLog

HEARTBEAT_SECONDS = 10.0
MAX_NOTES = 200


class Reporter:
    """Numbers the messages of a run and sends them.

    A listener that went away is not an error: a run outlives the app, and the file has every word.
    """

    def __init__(self, log: EventLog, pipe: IO[bytes] | None) -> None:
        self._log = log
        self._pipe = pipe
        self._last_said = time.monotonic()
        self._num_notes = 0

    def started(self, *, device: str, num_images: int, num_regions: int, num_steps: int, first_step: int = 0) -> None:
        """Say that the run begins or goes on."""
        self._send(
            Started(
                sequence=self._log.next_sequence,
                device=device,
                num_images=num_images,
                num_regions=num_regions,
                num_steps=num_steps,
                first_step=first_step,
            )
        )

    def progress(
        self,
        step: int,
        num_steps: int,
        *,
        images_per_second: float,
        seconds_left: float,
        loss: float | None = None,
        parts: dict[str, float] | None = None,
    ) -> None:
        """Say how far the run is."""
        self._send(
            Progress(
                sequence=self._log.next_sequence,
                step=step,
                num_steps=num_steps,
                images_per_second=round(images_per_second, 3),
                seconds_left=round(seconds_left, 1),
                loss=loss,
                parts=parts or {},
            )
        )

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """Say what an evaluation found."""
        self._send(Evaluated(sequence=self._log.next_sequence, step=step, metrics=metrics))

    def saved(self, step: int, path: str) -> None:
        """Say that a folder, relative to the run folder, is complete."""
        self._send(Saved(sequence=self._log.next_sequence, step=step, path=path))

    def note(self, text: str) -> None:
        """Say one sentence to the person; after ``MAX_NOTES`` of them only the log could bear more."""
        self._num_notes += 1
        if self._num_notes == MAX_NOTES:
            text = "More notes like the ones before are left out."
        if self._num_notes <= MAX_NOTES:
            self._send(Note(sequence=self._log.next_sequence, text=text))

    def alive(self) -> None:
        """Say that the run lives, if it has been silent for a while; long work calls this between its parts."""
        if time.monotonic() - self._last_said >= HEARTBEAT_SECONDS:
            self._send(Heartbeat(sequence=self._log.next_sequence))

    def finished(self, *, was_stopped: bool) -> None:
        """Say the last word of a run that did what it was asked."""
        self._send(Finished(sequence=self._log.next_sequence, was_stopped=was_stopped))

    def failed(self, sentence: str, exit_status: int) -> None:
        """Say the last word of a run that could not go on."""
        self._send(Failed(sequence=self._log.next_sequence, sentence=sentence, exit_status=exit_status))

    def _send(self, message: AnyMessage) -> None:
        line = self._log.append(message)
        self._last_said = time.monotonic()
        if self._pipe is None:
            return
        try:
            self._pipe.write(line)
            self._pipe.flush()
        except (OSError, ValueError):
            self._pipe = None

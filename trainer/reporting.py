"""What a run says: every message into ``events.jsonl`` first, then onto stdout, where somebody may be listening."""

import time
from typing import IO, Protocol

from locstudio.jobs.messages import (
    AnyMessage,
    Estimated,
    Evaluated,
    Failed,
    Finished,
    Heartbeat,
    Note,
    Progress,
    Sampled,
    Saved,
    Started,
    Waiting,
)

HEARTBEAT_SECONDS = 10.0
MAX_NOTES = 200


class Log(Protocol):
    """Where messages are kept: ``EventLog``, or nowhere."""

    @property
    def next_sequence(self) -> int: ...

    def append(self, message: AnyMessage) -> bytes: ...


class Beating(Protocol):
    """What shows that a process works: ``Pulse``."""

    def beat(self) -> None: ...


class Silence:
    """The log of a process that says nothing, since another one speaks for both."""

    next_sequence = 0

    def append(self, _message: AnyMessage) -> bytes:
        """Keep nothing."""
        return b""


class Reporter:
    """Numbers the messages of a run and sends them.

    A listener that went away is not an error: a run outlives the app, and the file has every word.  Whatever is said,
    and every ``alive``, also beats the pulse by which a run that hangs is told from one that works.
    """

    def __init__(self, log: Log, pipe: IO[bytes] | None, pulse: Beating | None = None) -> None:
        self._log = log
        self._pipe = pipe
        self._pulse = pulse
        self._last_said = time.monotonic()
        self._num_notes = 0

    def waiting(self, behind: str) -> None:
        """Say that the run waits for its turn, and which run is before it."""
        self._send(Waiting(sequence=self._log.next_sequence, behind=behind))

    def started(
        self,
        *,
        device: str,
        num_images: int,
        num_regions: int,
        num_steps: int,
        first_step: int = 0,
        num_held_out: int = 0,
        steps_per_epoch: int = 0,
    ) -> None:
        """Say that the run begins or goes on."""
        self._send(
            Started(
                sequence=self._log.next_sequence,
                device=device,
                num_images=num_images,
                num_regions=num_regions,
                num_steps=num_steps,
                first_step=first_step,
                num_held_out=num_held_out,
                steps_per_epoch=steps_per_epoch,
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
        learning_rate: float | None = None,
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
                learning_rate=learning_rate,
            )
        )

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """Say what an evaluation found."""
        self._send(Evaluated(sequence=self._log.next_sequence, step=step, metrics=metrics))

    def saved(self, step: int, path: str) -> None:
        """Say that a folder, relative to the run folder, is complete."""
        self._send(Saved(sequence=self._log.next_sequence, step=step, path=path))

    def sampled(self, step: int, path: str) -> None:
        """Say that a file of sample predictions, relative to the run folder, is complete."""
        self._send(Sampled(sequence=self._log.next_sequence, step=step, path=path))

    def estimated(
        self,
        *,
        seconds: float,
        seconds_per_step: float,
        num_images_to_encode: int,
        memory_bytes: int,
        disk_bytes: int,
    ) -> None:
        """Say what the whole run would take."""
        self._send(
            Estimated(
                sequence=self._log.next_sequence,
                seconds=seconds,
                seconds_per_step=seconds_per_step,
                num_images_to_encode=num_images_to_encode,
                memory_bytes=memory_bytes,
                disk_bytes=disk_bytes,
            )
        )

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
        elif self._pulse is not None:
            self._pulse.beat()

    def finished(self, *, was_stopped: bool) -> None:
        """Say the last word of a run that did what it was asked."""
        self._send(Finished(sequence=self._log.next_sequence, was_stopped=was_stopped))

    def failed(self, sentence: str, exit_status: int) -> None:
        """Say the last word of a run that could not go on."""
        self._send(Failed(sequence=self._log.next_sequence, sentence=sentence, exit_status=exit_status))

    def _send(self, message: AnyMessage) -> None:
        line = self._log.append(message)
        if self._pulse is not None:
            self._pulse.beat()
        self._last_said = time.monotonic()
        if self._pipe is None:
            return
        try:
            self._pipe.write(line)
            self._pipe.flush()
        except (OSError, ValueError):
            self._pipe = None

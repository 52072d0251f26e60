"""A run on disk: ``runs/<utc>-<kind>-<id>/`` with its configuration, snapshot, events, log, checkpoints and results."""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from locstudio.domain.errors import BadInput, ProtocolError
from locstudio.jobs.configs import Kind, RunConfig
from locstudio.jobs.json_files import read_json
from locstudio.jobs.messages import AnyMessage, from_line, to_line

PARTIAL = ".partial"


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file so that a reader, or a machine that loses power, sees the old content or the new one."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    sync_folder(path.parent)


def without_links(path: str, flags: int) -> int:
    """An opener for files that are written in place: a link in a stranger's project could lead to any file of ours.

    Raises:
        OSError: it is a link.
    """
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def sync_folder(folder: Path) -> None:
    """Make renames inside the folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder.  The app writes ``config.json`` and ``snapshot.sqlite``; all else is the trainer's."""

    path: Path

    @classmethod
    def create(cls, runs: Path, config: RunConfig) -> "RunFolder":
        """A new folder under ``runs`` with its configuration written, and without a snapshot."""
        return cls.prepare(runs, config.kind).complete(config)

    @classmethod
    def prepare(cls, runs: Path, kind: Kind) -> "RunFolder":
        """A new folder that is no run yet: its name ends in ``.partial`` until ``complete`` gives it its final one."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        folder = cls(runs / f"{stamp}-{kind}-{secrets.token_hex(3)}{PARTIAL}")
        for part in (folder.path, folder.checkpoints, folder.results):
            part.mkdir(parents=True)
        return folder

    def complete(self, config: RunConfig) -> "RunFolder":
        """Write the configuration, last of all, and give the prepared folder its name.  Returns the run."""
        write_whole(self.path / "config.json", msgspec.json.format(msgspec.json.encode(config)) + b"\n")
        final = self.path.with_name(self.path.name.removesuffix(PARTIAL))
        os.replace(self.path, final)
        sync_folder(final.parent)
        return RunFolder(final)

    @property
    def id(self) -> str:
        """The folder's name, unique within a project and sortable by time."""
        return self.path.name

    @property
    def snapshot(self) -> Path:
        """The frozen dataset that the run reads."""
        return self.path / "snapshot.sqlite"

    @property
    def events(self) -> Path:
        """Every message of the run, one a line."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """The trainer's stderr."""
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> Path:
        """Checkpoint folders, complete once they have their final name."""
        return self.path / "checkpoints"

    @property
    def results(self) -> Path:
        """What the run made besides checkpoints: metrics, embeddings."""
        return self.path / "results"

    def config(self) -> RunConfig:
        """The run's configuration.

        Raises:
            BadInput: there is none, or it is not one of ours.
        """
        try:
            return read_json(self.path / "config.json", RunConfig)
        except (OSError, msgspec.MsgspecError) as error:
            raise BadInput(f"{self.path} is not a run folder: {error}") from error

    def read_events(self) -> Iterator[AnyMessage]:
        """The messages so far; a last line that was cut off by a crash is left out.

        Raises:
            ProtocolError: a complete line is not a message.
        """
        if not self.events.exists():
            return
        with open(self.events, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield from_line(line)

    def last_event(self) -> AnyMessage | None:
        """The newest readable message, or None before the first or when the file is damaged."""
        last: AnyMessage | None = None
        try:
            for message in self.read_events():
                last = message
        except ProtocolError:
            return last
        return last


class EventLog:
    """Append-only writer of a run's ``events.jsonl``; repairs a cut-off last line before it goes on."""

    def __init__(self, folder: RunFolder) -> None:
        self._next = 0
        end = 0
        if folder.events.exists():
            for line in folder.events.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    end += len(line)
                    self._next += 1
        self._file = open(folder.events, "ab", opener=without_links)  # noqa: SIM115 - lives as long as the run
        self._file.truncate(end)

    @property
    def next_sequence(self) -> int:
        """The number that the next message must carry."""
        return self._next

    def append(self, message: AnyMessage) -> bytes:
        """Write one message and return its line, ready for the pipe."""
        line = to_line(message)
        self._file.write(line)
        self._file.flush()
        self._next += 1
        return line

    def close(self) -> None:
        """Make what was written durable."""
        os.fsync(self._file.fileno())
        self._file.close()

"""Messages of runs, taken into the project: by run and number, so that taking them in again changes nothing.

The run's own folder stays the source: it may be deleted afterwards, and what the run has said is still known.
"""

import threading
from pathlib import Path
from weakref import WeakKeyDictionary

from locstudio.jobs.messages import AnyMessage
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_tail import RunTail
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

_lock = threading.Lock()
_tails: "WeakKeyDictionary[Dataset, dict[Path, RunTail]]" = WeakKeyDictionary()
"""How far each file was read for each open dataset, so that a look at a long run reads only what is new."""


def ingest(project: Project, dataset: Dataset, folder: RunFolder) -> int:
    """Take in what the run has said since the last time; return how many messages were new.

    Raises:
        StorageFailed: the disk refused; the next call takes the same ones in.
    """
    if dataset.is_read_only or folder.path.parent != project.runs:
        return 0
    with _lock:
        tails = _tails.setdefault(dataset, {})
        tail = tails.pop(folder.path, None) or RunTail(folder, after=dataset.last_sequence_of(folder.id))
        lines = tail.read_lines()
        events = [(message.sequence, _kind(message), _step(message), line.decode()) for message, line in lines]
        num_new = dataset.ingest_events(folder.id, events) if events else 0
        tails[folder.path] = tail  # only now: what the disk has refused is read again
        return num_new


def _kind(message: AnyMessage) -> str:
    return str(message.__struct_config__.tag)


def _step(message: AnyMessage) -> int | None:
    return getattr(message, "step", None)

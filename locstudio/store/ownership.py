"""Who writes a project: one process at a time, told by a lock that the system frees when that process ends."""

import json
import os
import socket

from filelock import FileLock, Timeout

from locstudio.domain.errors import DatasetInUse, StorageFailed
from locstudio.store.project import Project


class Ownership:
    """The project's lock, held from creation to ``release``.

    Raises:
        DatasetInUse: another process holds it.
        StorageFailed: the folder cannot be written.
    """

    def __init__(self, project: Project) -> None:
        self._lock = FileLock(project.lock_path, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise DatasetInUse(
                f"Project {project.name} is open in another LocStudio ({_owner_of(project)}). "
                f"Close it there, or open it here read-only."
            ) from error
        except OSError as error:
            raise StorageFailed(
                f"The project folder {project.path} cannot be written ({error.strerror}); open it read-only."
            ) from error
        owner = {"pid": os.getpid(), "host": socket.gethostname()}
        try:
            project.owner_path.write_text(json.dumps(owner), encoding="utf-8")
        except OSError as error:
            self._lock.release()
            raise StorageFailed(f"The project folder {project.path} cannot be written: {error.strerror}.") from error

    def release(self) -> None:
        """Let others write."""
        self._lock.release()


def _owner_of(project: Project) -> str:
    try:
        owner = json.loads(project.owner_path.read_text(encoding="utf-8"))
        pid, host = int(owner["pid"]), str(owner["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return "pid unknown"
    return f"pid {pid}" if host == socket.gethostname() else f"pid {pid} on {host}"

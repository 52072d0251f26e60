"""The daily backup: made beside the work, once a day, by the first who opens the project for writing."""

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait

from locstudio.domain.errors import StorageFailed
from locstudio.store.backup import DAILY, is_daily_due, make_backup
from locstudio.store.files import CopyStopped
from locstudio.store.project import Project

_log = logging.getLogger(__name__)
_PATIENCE_S = 2.0


class DailyBackup:
    """A backup in the making, on a thread of its own, or nothing when today's is there already."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._stopped = threading.Event()
        self._thread: ThreadPoolExecutor | None = None
        self._done: Future[None] | None = None
        if is_daily_due(project):
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="daily-backup")
            self._done = self._thread.submit(self._make)

    def stop(self) -> None:
        """Give it two seconds more; then leave it for the next time."""
        if self._thread is None or self._done is None:
            return
        wait([self._done], timeout=_PATIENCE_S)
        self._stopped.set()
        self._thread.shutdown(wait=True)

    def _make(self) -> None:
        try:
            make_backup(self._project, DAILY, should_stop=self._stopped.is_set)
        except CopyStopped:
            _log.info("the daily backup was left for the next time")
        except StorageFailed as error:
            _log.warning("no daily backup: %s", error)

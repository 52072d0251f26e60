"""What holds for every test: no display, no foreign home, no leftover thread or process, a picture of what failed."""

import importlib.util
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psutil
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
_HOME = Path(tempfile.mkdtemp(prefix="locstudio-tests-"))
for _name, _folder in {
    "HOME": "",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_CACHE_HOME": "cache",
    "XDG_STATE_HOME": "state",
    "XDG_RUNTIME_DIR": "run",
}.items():
    (_HOME / _folder).mkdir(mode=0o700, exist_ok=True)
    os.environ[_name] = str(_HOME / _folder)

SCREENSHOTS = Path(__file__).parent.parent / "test-screenshots"
PATIENCE_S = 5.0


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report what outlives the tests, and take the home away."""
    shutil.rmtree(_HOME, ignore_errors=True)
    left = _leftovers(set(), set())
    if left:
        print(f"\nleft running after the last test: {', '.join(left)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Save a picture of every window on the screen when a test of the user interface fails."""
    report = yield
    if report.when == "call" and report.failed and "qtbot" in getattr(item, "fixturenames", ()):
        _save_windows(re.sub(r"[^\w.-]+", "_", item.name)[:120])
    return report


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """Fail the test that leaves a thread or a child process behind."""
    threads, children = set(threading.enumerate()), set(psutil.Process().children(recursive=True))
    yield
    left = _leftovers(threads, children)
    assert not left, f"left running: {', '.join(left)}"


@pytest.fixture(scope="session")
def heat() -> ModuleType:
    """What makes runs with heatmaps of plain arrays: ``heat.heat_run(project, ...)``; see ``heat_folders``."""
    return _module("heat_folders")


@pytest.fixture(scope="session")
def routing() -> ModuleType:
    """What makes projects with experts of plain arrays: ``routing.make_routed_project(folder)``."""
    return _module("services/routing_data")


def _module(place: str) -> ModuleType:
    path = Path(__file__).parent / f"{place}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # a dataclass asks for its module
    spec.loader.exec_module(module)
    return module


def _leftovers(threads: set[threading.Thread], children: set[psutil.Process]) -> list[str]:
    """Names of threads and child processes that are new and still there after a moment's patience."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        left = [repr(t.name) for t in set(threading.enumerate()) - threads if _is_ours(t)]
        left += [_described(p) for p in set(psutil.Process().children(recursive=True)) - children if _is_alive(p)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def _is_ours(thread: threading.Thread) -> bool:
    """Whether Python started the thread: those of Qt's pool only look like Python's once they have run some."""
    return thread is not threading.main_thread() and not isinstance(thread, threading._DummyThread)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _described(process: psutil.Process) -> str:
    try:
        return f"process {process.pid} ({' '.join(process.cmdline())[:100]})"
    except psutil.Error:
        return f"process {process.pid}"


def _save_windows(name: str) -> None:
    from PySide6.QtWidgets import QApplication  # only where a test of the interface failed

    SCREENSHOTS.mkdir(exist_ok=True)
    if QApplication.instance() is None:
        return
    windows = [window for window in QApplication.topLevelWidgets() if window.isVisible()]
    for number, window in enumerate(windows):
        window.grab().save(str(SCREENSHOTS / f"{name}-{number}.png"))

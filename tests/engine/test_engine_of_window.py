"""The real engine behind the window's client, in a process of its own that can be killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

WINDOW = """
import os, sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from locstudio.domain.geometry import UnitBox
from locstudio.ui.engine_client import EngineClient

app = QCoreApplication([])
client = EngineClient(Path(sys.argv[1]), Path(sys.argv[2]))
client.state_changed.connect(lambda state: print(state.phase, client.process_id, flush=True))
client.refused.connect(lambda number, sentence: print("refused", sentence, flush=True))
client.embedded.connect(lambda number, vectors: print("embedded", vectors.shape, flush=True))
client.start()
client.set_image("a", Path(sys.argv[3]))
client.encode_boxes("a", [UnitBox(0, 0, 0.5, 0.5)])
assert "torch" not in sys.modules
app.exec()
"""


@pytest.fixture
def window(tiny_checkpoint, picture, tmp_path):
    arguments = [str(tiny_checkpoint), str(tmp_path / "cache"), str(picture)]
    window = subprocess.Popen(
        [sys.executable, "-c", WINDOW, *arguments], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    yield window
    window.kill()
    window.wait()
    assert window.stdout is not None
    window.stdout.close()


def until(window: subprocess.Popen, word: str) -> str:
    """The next line of the window that begins with the word."""
    assert window.stdout is not None
    for line in window.stdout:
        if line.startswith(word):
            return line.strip()
    raise AssertionError(f"the window ended before it said {word}")


def test_that_a_killed_engine_comes_back_and_ends_with_a_killed_window(window):
    first = int(until(window, "ready").split()[1])
    assert until(window, "embedded") == "embedded (1, 64)"
    os.kill(first, signal.SIGKILL)
    second = int(until(window, "ready").split()[1])
    assert second != first
    engine = psutil.Process(second)
    window.send_signal(signal.SIGKILL)
    window.wait()
    gone, _ = psutil.wait_procs([engine], timeout=2)
    assert gone or engine.status() == psutil.STATUS_ZOMBIE

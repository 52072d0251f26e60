"""A small real model, and the engine as a child process that tests can talk to."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from locstudio.jobs.engine_messages import AnyReply, AnyRequest, Ready, read_reply, request_line

REPOSITORY = Path(__file__).resolve().parents[2]


class EngineProcess:
    """``python -m locstudio.engine`` with its pipes."""

    def __init__(self, *arguments: str, stdin: int = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "locstudio.engine", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self._rest = b""

    def send(self, *requests: AnyRequest) -> None:
        self.send_bytes(b"".join(request_line(request) for request in requests))

    def send_bytes(self, content: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(content)
        self.process.stdin.flush()

    def reply(self, seconds: float = 60) -> AnyReply:
        """The next reply; every byte of stdout must belong to one."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            assert left > 0
            assert select.select([self.process.stdout], [], [], left)[0], "the engine says nothing"
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            assert chunk, f"the engine ended with {self.process.wait()}"
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        return read_reply(line)

    def until_ready(self) -> Ready:
        while not isinstance(reply := self.reply(), Ready):
            pass
        return reply

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLOC checkpoint of one small ViT with random weights."""
    import torch

    from locstudio.models.checkpoint import new_model, save_checkpoint
    from locstudio.models.config import ClocConfig
    from locstudio.models.towers import describe_open_clip

    torch.manual_seed(0)
    definition: dict[str, object] = {
        "embed_dim": 64,
        "vision_cfg": {"image_size": 64, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
    }
    tower = describe_open_clip("tiny-test", definition=definition)
    model = new_model(ClocConfig(name="tiny", tower=tower, dim=64, token_width=64))
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save_checkpoint(model, folder, card="A test model.", metrics={})
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of noise, wider than high."""
    path = tmp_path / "picture.png"
    pixels = np.random.default_rng(0).integers(0, 255, (48, 96, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def engine(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """A ready engine, shared by the tests of a module."""
    engine = EngineProcess("--checkpoint", str(tiny_checkpoint), "--cache", str(tmp_path_factory.mktemp("cache")))
    engine.until_ready()
    yield engine
    engine.end()


@pytest.fixture
def start_engine() -> Iterator[Callable[..., EngineProcess]]:
    """Start engines of one's own; they are ended with the test."""
    started: list[EngineProcess] = []

    def start(*arguments: str) -> EngineProcess:
        started.append(EngineProcess(*arguments))
        return started[-1]

    yield start
    for engine in started:
        engine.end()

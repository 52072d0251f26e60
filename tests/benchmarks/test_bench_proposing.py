"""Proposing in an image whose tokens are cached: captions to phrases to boxes, by the bundled model (PERF.md)."""

import time

import numpy as np
import pytest
import torch

from locstudio.domain.regions import Caption, Image
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.configs import Vesl
from locstudio.models.checkpoint import load_checkpoint
from trainer.vesl.detector import OwnDetector
from trainer.vesl.pipeline import Proposing
from trainer.vesl.scene import Scene
from trainer.vesl.texts import TextMemory

CAPTIONS = (
    "A person standing on top of a ski covered slope with a red jacket.",
    "A plate topped with baby carrots and beans next to a peeler on a wooden table.",
    "Two dogs and a small white cat sit under a tall tree in the green grass.",
    "A large clock tower in front of an old building next to a fountain and a bus.",
    "A young man in a black shirt rides a skateboard down a concrete ramp.",
)
NUM_ROUNDS = 4
MAX_CPU_SECONDS = 1.0


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_that_one_image_takes_less_than_a_second_with_cached_tokens(benchmark, tmp_path):
    model, vesl = load_checkpoint(bundled_checkpoint()), Vesl()
    random = np.random.default_rng(0)
    shape = (model.config.tower.num_tokens, model.config.token_width)
    tokens = torch.from_numpy(random.normal(size=shape).astype(np.float16))

    def propose():
        # Nothing is remembered: every phrase goes through the text tower.
        proposing = Proposing(
            vesl,
            model,
            OwnDetector(model, TextMemory(model), vesl.num_boxes),
            None,
            fallback=[],
            class_names=[],
            run_id="run",
        )
        scene = Scene(Image(1, 1, "a.jpg", 640, 480), tmp_path / "a.jpg", model.prepare(tokens))
        return proposing.propose(scene, [Caption(number, 1, text) for number, text in enumerate(CAPTIONS, 1)])

    found, best = propose(), float("inf")
    for _ in range(NUM_ROUNDS):
        begun = time.process_time()
        propose()
        best = min(best, time.process_time() - begun)
    benchmark.pedantic(propose, rounds=1)
    benchmark.extra_info.update(cpu_seconds=round(best, 3), num_phrases=len(found.targets))
    print(f"\n{best:.3f} CPU seconds for {len(found.targets)} phrases and {len(found.boxes_P4)} proposals")
    assert len(found.targets) > 15
    assert best < MAX_CPU_SECONDS

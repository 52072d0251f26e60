"""Training against a bare loop, from the click to the first step, and what a dry run foretells (PERF.md).

Steps are compared by the CPU time of the thread that takes them, which a busy machine does not change; wall times are
recorded beside it.  Tokens are random, since no figure here is about the tower.
"""

import time
from itertools import islice

import msgspec
import numpy as np
import psutil
import pytest
import torch

from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining
from locstudio.jobs.messages import Estimated, Finished, Progress, from_line
from locstudio.jobs.token_cache import TokenCache
from locstudio.models.checkpoint import load_checkpoint
from locstudio.services import runs
from locstudio.services.demo import open_demo
from locstudio.store.dataset import Dataset
from trainer.__main__ import work
from trainer.batches import batches_of
from trainer.data import images_with_regions, read_training_images
from trainer.encoding import TokenSource, cache_of
from trainer.loop import run_loop
from trainer.optim import make_optimizer
from trainer.recipes.cloc_model import TrainedStep, model_to_train
from trainer.tokens import key_of

NUM_STEPS, NUM_ROUNDS = 16, 3
MIN_RATIO = 0.9
MAX_FIRST_STEP_CPU_S = 15.0
TRAINING = ClocTraining(num_steps=NUM_STEPS, num_warmup_steps=4, hold_out=0.0)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not bundled_checkpoint().is_dir(), reason="the bundled checkpoint is not in this checkout"),
]


@pytest.fixture
def demo(tmp_path):
    """The demo project, with tokens of every image in its cache, and its dataset."""
    torch.set_num_threads(1)
    project = open_demo(tmp_path / "demo")
    info = checkpoint_info(bundled_checkpoint())
    shape = (load_checkpoint(bundled_checkpoint()).config.tower.num_tokens, info.token_width)
    cache = TokenCache(project.cache / "tokens" / info.id, shape, max_bytes=None)
    random = np.random.default_rng(0)
    with Dataset.open(project) as dataset:
        for image in images_with_regions(dataset):
            cache.put(key_of(image.image, image.path), random.standard_normal(shape).astype(np.float16))
        yield project, dataset


def start(demo, training):
    project, dataset = demo
    return runs.start_train(project, dataset, bundled_checkpoint(), training=training, device="cpu", num_threads=1)


def timed(do):
    wall, cpu = time.perf_counter(), time.thread_time()
    do()
    return time.perf_counter() - wall, time.thread_time() - cpu


def test_that_a_step_keeps_most_of_the_throughput_of_a_bare_loop(demo, monkeypatch, record_property):
    project, dataset = demo
    model = model_to_train(bundled_checkpoint(), TRAINING, "cpu")
    optimizer = make_optimizer(model, learning_rate=1e-4, weight_decay=TRAINING.weight_decay)
    images = read_training_images(dataset)
    source = TokenSource(model, cache_of(model, project.cache), keeps=False)
    made = batches_of(
        images, range(NUM_STEPS), batch_size=32, num_regions=4, seed=0, tokens=source.tokens_of, preprocess=None
    )
    batches = list(islice(made, NUM_STEPS))
    step = TrainedStep(model, TRAINING)
    step.remember(images, lambda: None)

    def bare():
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            step.contrast(step.outputs(batch))["loss"].backward()
            optimizer.step()

    loops = []

    def timed_loop(*arguments, **options):
        ends = []
        loops.append(timed(lambda: ends.append(run_loop(*arguments, **options))))
        return ends[0]

    monkeypatch.setattr("trainer.recipes.cloc_loop.run_loop", timed_loop)
    bare()
    rounds = []
    for _ in range(NUM_ROUNDS):
        folder = start(demo, TRAINING)
        assert work(folder, None, lambda: False) == 0
        rounds.append((timed(bare), loops[-1]))
    cpu = float(np.median([alone[1] / whole[1] for alone, whole in rounds]))
    wall = float(np.median([alone[0] / whole[0] for alone, whole in rounds]))
    per_step = float(np.median([alone[1] for alone, _ in rounds])) / NUM_STEPS
    for name, value in {"cpu_ratio": cpu, "wall_ratio": wall, "step_cpu_ms": 1e3 * per_step}.items():
        record_property(name, round(value, 3))
    print(f"\nbare loop against run: {cpu:.3f} by CPU, {wall:.3f} by wall; {1e3 * per_step:.0f} CPU ms a bare step")
    assert cpu >= MIN_RATIO


def test_that_the_first_step_comes_soon_after_the_click(demo, record_property):
    training = msgspec.structs.replace(runs.PRESETS["quick"], num_steps=1000)
    clicked = time.perf_counter()
    folder = start(demo, training)
    process = runs.launch(folder)
    try:
        cpu = 0.0
        for line in process.stdout:
            message = from_line(line)
            if isinstance(message, Progress) and message.loss is not None:
                used = psutil.Process(process.pid).cpu_times()
                cpu = used.user + used.system
                break
        wall = time.perf_counter() - clicked
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()
    record_property("first_step_cpu_s", round(cpu, 2))
    record_property("first_step_wall_s", round(wall, 2))
    print(f"\nclick to first step, tokens cached: {cpu:.1f} s of CPU, {wall:.1f} s by the clock")
    assert 0.0 < cpu < MAX_FIRST_STEP_CPU_S


def test_that_a_dry_run_foretells_the_run(demo, record_property):
    training = msgspec.structs.replace(runs.PRESETS["quick"], num_steps=80)
    took, foretold = {}, []
    for is_dry_run in (True, False):
        chosen = msgspec.structs.replace(training, is_dry_run=is_dry_run)
        folder = start(demo, chosen)
        begun = time.perf_counter()
        assert isinstance(runs.run_and_wait(folder), Finished), folder.log.read_text()
        took[is_dry_run] = time.perf_counter() - begun
        foretold += [message for message in folder.read_events() if isinstance(message, Estimated)]
    (message,) = foretold
    figures = {"foretold_s": message.seconds, "took_s": took[False], "dry_run_s": took[True]}
    for name, value in figures.items():
        record_property(name, round(value, 1))
    ratio = message.seconds / took[False]
    print(f"\nforetold {message.seconds:.0f} s, took {took[False]:.0f} s: {ratio:.2f}; the dry run {took[True]:.0f} s")
    assert message.num_images_to_encode == 0

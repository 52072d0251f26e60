"""Embedding a collection against the bare tower on the same images (PERF.md).

The tower and what is asked of its tokens compute on one thread; decoding goes on beside them.  So the ratio is of that
thread's CPU time, which a busy machine does not change; wall times of both are recorded beside it.
"""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from locstudio.domain.edits import add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.configs import Embedding, RunConfig
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.media.square import load_square
from locstudio.models.checkpoint import load_checkpoint
from locstudio.store.dataset import Dataset, open_snapshot
from locstudio.store.project import create_project
from trainer.context import RunContext
from trainer.encoding import BATCH_ON_CPU
from trainer.recipes.embed import fill_index
from trainer.reporting import Reporter

NUM_IMAGES, REGIONS_PER_IMAGE, NUM_ROUNDS = 12, 7, 3
MIN_RATIO = 0.85


def photo(path: Path, seed: int) -> None:
    """A picture whose JPEG is about as costly as a photo's: smooth shapes with fine noise on them."""
    random = np.random.default_rng(seed)
    coarse = Picture.fromarray(random.integers(0, 255, (12, 16, 3), np.uint8)).resize(
        (640, 480), Picture.Resampling.BICUBIC
    )
    noisy = np.asarray(coarse).astype(np.int16) + random.integers(-12, 12, (480, 640, 3))
    Picture.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=88)


@pytest.fixture
def snapshot(tmp_path):
    project = create_project(tmp_path / "project")
    folder = tmp_path / "photos"
    folder.mkdir()
    config = RunConfig(kind="embed", checkpoint=str(bundled_checkpoint()), device="cpu", embed=Embedding())
    run = RunFolder.create(project.runs, config)
    with Dataset.create(project) as dataset:
        root = dataset.add_root(folder)
        for number in range(NUM_IMAGES):
            photo(folder / f"{number}.jpg", number)
        ids = dataset.add_images([Image(0, root.id, f"{n}.jpg", 640, 480) for n in range(NUM_IMAGES)])
        random = np.random.default_rng(0)
        regions = []
        for image_id in ids:
            for corners in random.uniform(0, 0.6, (REGIONS_PER_IMAGE, 2)):
                box = UnitBox(*corners, *(corners + 0.3))
                regions.append(Region(dataset.next_region_id(), image_id, box, f"thing {int(corners[0] * 20)}"))
        dataset.apply(add_regions(regions))
        dataset.snapshot(run.snapshot)
    return run, [folder / f"{number}.jpg" for number in range(NUM_IMAGES)]


def timed(work):
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    return time.perf_counter() - wall, time.thread_time() - cpu


@pytest.mark.slow
@pytest.mark.skipif(not bundled_checkpoint().is_dir(), reason="the bundled checkpoint is not in this checkout")
def test_that_embedding_keeps_most_of_the_bare_towers_throughput(snapshot, record_property, tmp_path):
    run, paths = snapshot
    torch.set_num_threads(1)
    model = load_checkpoint(bundled_checkpoint())
    pixels = [model.preprocess(load_square(path, model.input_px)[0]) for path in paths]

    @torch.inference_mode()
    def bare():
        for start in range(0, len(pixels), BATCH_ON_CPU):
            model.encode_image(torch.stack(pixels[start : start + BATCH_ON_CPU]))

    def embed():
        folder = RunFolder.create(tmp_path / "runs", run.config())
        log = EventLog(folder)
        context = RunContext(folder, run.config(), Reporter(log, None), lambda: False, torch.device("cpu"))
        with open_snapshot(run.snapshot) as dataset:
            fill_index(context, dataset, model, Embedding(), lambda _step, _metrics: None)
        log.close()

    bare()
    rounds = [(timed(bare), timed(embed)) for _ in range(NUM_ROUNDS)]
    wall = np.median([tower[0] / whole[0] for tower, whole in rounds])
    cpu = np.median([tower[1] / whole[1] for tower, whole in rounds])
    per_image = np.median([tower[1] for tower, _ in rounds]) / len(paths)
    for name, value in {"cpu_ratio": cpu, "wall_ratio": wall, "tower_cpu_ms": 1e3 * per_image}.items():
        record_property(name, round(float(value), 3))
    print(f"\nembed against bare tower: {cpu:.3f} by CPU, {wall:.3f} by wall; tower {1e3 * per_image:.0f} ms an image")
    assert cpu >= MIN_RATIO

"""What heat costs the model: an open image in the engine, and a training step.  Run with ``--benchmark-enable``.

    pytest tests/benchmarks/test_bench_heat_model.py --benchmark-enable

The checks are of CPU times on one thread, because the machine is shared.
"""

import statistics
import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from PIL import Image

from locstudio.jobs.assets import bundled_checkpoint

NUM_IMAGES = 6
NUM_STEPS = 10
BATCH = 16


def cpu_ms(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e3


@pytest.mark.slow
def test_that_heat_of_an_image_with_cached_tokens_comes_within_fifty_milliseconds(tmp_path, record_property):
    import torch

    from locstudio.engine.session import EngineSession

    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    files = [tmp_path / f"{number}.jpg" for number in range(NUM_IMAGES)]
    for number, file in enumerate(files):
        Image.fromarray(np.roll(pixels, number, axis=1)).resize((1280, 960), Image.Resampling.BICUBIC).save(file)
    session = EngineSession(bundled_checkpoint(), cache=tmp_path / "cache", device="cpu")
    torch.set_num_threads(1)
    for file in files:
        session.set_image(file, key=file.name)
    classes = bundled_checkpoint("consistency")
    session.find_heat(classes, key=files[0].name)  # loads the classifier

    def turn_to(file) -> None:
        session.set_image(file, key=file.name)
        session.find_heat(classes, key=file.name)

    new = [cpu_ms(lambda file=file: turn_to(file)) for file in files[1:]]
    known = [cpu_ms(lambda file=file: turn_to(file)) for file in files]
    for name, costs in (("new", new), ("known", known)):
        record_property(name, statistics.median(costs))
        print(f"{name}: {statistics.median(costs):.1f} ms CPU an image")
    assert statistics.median(new) < 50
    assert statistics.median(known) < 10


@pytest.mark.slow
def test_that_class_maps_of_a_batch_cost_well_under_a_tenth_of_a_second(record_property):
    import torch

    from locstudio.models.consistency import ConsistencyConfig
    from locstudio.models.consistency_files import load_consistency, new_consistency
    from trainer.losses.expected_negative import expected_negative_loss, expected_negatives
    from trainer.losses.spatial import spatial_consistency_loss
    from trainer.views import draw_view, fold_back, letterbox_matrix, sample

    torch.set_num_threads(1)
    torch.manual_seed(0)
    base = load_consistency(bundled_checkpoint("consistency"))
    config: ConsistencyConfig = msgspec.structs.replace(base.config, grid=14)
    model = new_consistency(config, base=base).train()
    optimiser = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-3)
    num_classes, grid = len(config.classes), config.grid
    cells = torch.randn(BATCH, 32, 32, config.width).half().permute(0, 3, 1, 2)
    label = torch.full((BATCH, num_classes), -1, dtype=torch.int8)
    label[:, 3] = 1
    running, heat = torch.rand(BATCH, num_classes), torch.rand(BATCH, num_classes, grid, grid)
    random = np.random.default_rng(0)

    def step() -> None:
        view = torch.stack([draw_view(random, (640, 480), 0.25, flips=True).matrix() for _ in range(BATCH)])
        maps = model.maps(sample(cells.float(), letterbox_matrix(640, 480) @ view, grid))
        negative = expected_negatives(running, label, 3)
        loss = expected_negative_loss(model.score(maps), label, negative)
        loss = loss + spatial_consistency_loss(maps, sample(heat, view, grid))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        fold_back(heat, maps.sigmoid(), view, 0.8)

    step()
    cost = statistics.median(cpu_ms(step) for _ in range(NUM_STEPS))
    record_property("step", cost)
    print(f"a step of {BATCH} images, {num_classes} classes, maps of {grid} x {grid}: {cost:.1f} ms CPU")
    assert cost < 100

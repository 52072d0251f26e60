"""A consistency run against a bare loop, and what remembering costs of a step (PERF.md).

Steps are compared by the CPU time of the thread that takes them, which a busy machine does not change; wall times are
recorded beside it.  Tokens are random, since no figure here is about the tower.
"""

import os
import time

import numpy as np
import pytest
import torch

from locstudio.domain.edits import ClassChange, Edit, LabelChange
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Image, LabelClass
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.configs import ConsistencyTraining, RunConfig
from locstudio.jobs.heatmaps import HeatHeader
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.token_cache import TokenCache
from locstudio.models.consistency_files import load_consistency
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project
from trainer.__main__ import work
from trainer.cells import cell_tokens
from trainer.consistency_step import ClassBatch, ConsistencyStep, Remembered, learn
from trainer.heat_memory import HeatMemory
from trainer.loop import run_loop
from trainer.optim import make_optimizer
from trainer.recipes.class_model import model_to_train
from trainer.views import draw_view, fold_back, letterbox_matrix

NUM_IMAGES, NUM_CLASSES, BATCH = 320, 80, 16
NUM_ROUNDS = 9
MAX_SHARE = 0.1
MIN_RATIO = 0.9
TRAINING = ConsistencyTraining(num_epochs=3, batch_size=BATCH, num_warmup_epochs=0, num_ramp_epochs=1, hold_out=0.0)
CHECKPOINT = bundled_checkpoint("consistency")
NAMES = tuple(f"class {number}" for number in range(NUM_CLASSES))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHECKPOINT.is_dir(), reason="the bundled checkpoint is not in this checkout"),
]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def model_of(training):
    torch.manual_seed(0)
    model, _ = model_to_train(str(CHECKPOINT), training, NAMES, name="bench", device="cpu")
    return model.train()


def batch_of(model, seed):
    random = np.random.default_rng(seed)
    views = [draw_view(random, (640, 480), TRAINING.min_scale, TRAINING.flips) for _ in range(BATCH)]
    view_B33 = torch.stack([view.matrix() for view in views])
    config = model.config
    cells = random.standard_normal((BATCH, config.cell_grid, config.cell_grid, config.width)).astype(np.float16)
    label_BL = torch.full((BATCH, NUM_CLASSES), -1, dtype=torch.int8)
    label_BL[torch.arange(BATCH), torch.from_numpy(random.integers(0, NUM_CLASSES, BATCH))] = 1
    return ClassBatch(
        rows_B=random.permutation(NUM_IMAGES)[:BATCH],
        inputs=torch.from_numpy(cells).permute(0, 3, 1, 2),
        view_B33=view_B33,
        cut_B33=letterbox_matrix(640, 480) @ view_B33,
        label_BL=label_BL,
        weight_BL=torch.ones(BATCH, NUM_CLASSES),
    )


def cpu_ms(do):
    """The least of a few rounds: what else the machine does only adds."""
    times = []
    for _ in range(NUM_ROUNDS):
        begun = time.thread_time()
        do()
        times.append(time.thread_time() - begun)
    return 1e3 * min(times)


def test_that_remembering_costs_less_than_a_tenth_of_a_step(tmp_path, record_property):
    model = model_of(TRAINING)
    optimizer = make_optimizer(model, learning_rate=1e-3, weight_decay=1e-2)
    step, batch = ConsistencyStep(model, TRAINING, num_expected=3), batch_of(model, 0)
    header = HeatHeader(
        run_id="bench",
        class_ids=tuple(range(1, NUM_CLASSES + 1)),
        class_names=NAMES,
        grid=TRAINING.grid,
        num_images=NUM_IMAGES,
        num_epochs=TRAINING.num_epochs,
        momentum=TRAINING.momentum,
    )
    memory = HeatMemory.create(
        tmp_path / "heatmaps",
        header,
        image_ids=np.arange(NUM_IMAGES),
        contents=[""] * NUM_IMAGES,
        labels_NL=np.full((NUM_IMAGES, NUM_CLASSES), -1, np.int8),
        starts_with_label=True,
    )

    def whole():
        optimizer.zero_grad(set_to_none=True)
        learn(step, batch, memory, 5)
        optimizer.step()

    maps_BLGG = torch.randn(BATCH, NUM_CLASSES, TRAINING.grid, TRAINING.grid)
    logits_BL = torch.randn(BATCH, NUM_CLASSES)

    def remembering():
        averages_BL, maps_BLWW = (torch.from_numpy(values) for values in memory.rows_before(batch.rows_B))
        score_BL = logits_BL.sigmoid()
        averages_BL = torch.lerp(score_BL, averages_BL, TRAINING.momentum)
        maps_BLWW = fold_back(maps_BLWW, maps_BLGG.sigmoid(), batch.view_B33, TRAINING.momentum)
        memory.put(batch.rows_B, score_BL.numpy(), averages_BL.numpy(), maps_BLWW.numpy())

    whole()
    remembering()
    cost, of = cpu_ms(remembering), cpu_ms(whole)
    memory.close()
    record_property("remembering_cpu_ms", round(cost, 2))
    record_property("step_cpu_ms", round(of, 2))
    print(
        f"\nremembering {BATCH} images of {NUM_CLASSES} classes: {cost:.2f} of {of:.1f} CPU ms, {100 * cost / of:.1f} %"
    )
    assert cost < MAX_SHARE * of


def project_of(folder):
    """Images that are never read, since their tokens are there: one file under many names."""
    project = create_project(folder / "project")
    with Dataset.create(project) as dataset:
        root = dataset.add_root(folder)
        hashes = [f"{number:064x}" for number in range(NUM_IMAGES)]
        images = [
            Image(0, root.id, f"{number}.jpg", 640, 480, sha256=hashes[number], size_bytes=1)
            for number in range(NUM_IMAGES)
        ]
        ids = dataset.add_images(images)
        classes = [LabelClass(dataset.next_class_id(), name, "#123456") for name in NAMES]
        dataset.apply(Edit("Classes", tuple(ClassChange(None, each) for each in classes)))
        labels = [ImageLabel(key, classes[at % NUM_CLASSES].id) for at, key in enumerate(ids)]
        dataset.apply(Edit("Labels", tuple(LabelChange(None, label) for label in labels)))
        config = RunConfig(
            kind="consistency", checkpoint=str(CHECKPOINT), device="cpu", num_threads=1, consistency=TRAINING
        )
        run = RunFolder.create(project.runs, config)
        dataset.snapshot(run.snapshot)
    cache: TokenCache = cell_tokens(load_consistency(CHECKPOINT), project.cache, project.runs)
    shape = load_consistency(CHECKPOINT).tokens_shape
    cache.put(hashes[0], np.random.default_rng(0).standard_normal(shape).astype(np.float16))
    (first,) = (project.cache / "tokens").rglob("*.npy")
    for name in hashes[1:]:
        os.link(first, first.with_name(f"{name}.npy"))
    return run


def test_that_a_run_keeps_most_of_the_throughput_of_a_bare_loop(tmp_path, monkeypatch, record_property):
    model = model_of(TRAINING)
    optimizer = make_optimizer(model, learning_rate=1e-3, weight_decay=1e-2)
    step = ConsistencyStep(model, TRAINING, num_expected=3)
    batches = [batch_of(model, seed) for seed in range(NUM_IMAGES // BATCH)]
    random = torch.Generator().manual_seed(0)
    before = Remembered(
        torch.rand(BATCH, NUM_CLASSES, generator=random),
        torch.rand(BATCH, NUM_CLASSES, TRAINING.grid, TRAINING.grid, generator=random),
    )

    def bare():
        """The same steps of batches that are made already; nothing is kept, reported or saved."""
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            step(batch, before, 5)
            optimizer.step()

    marks = []

    def mark():
        marks.append((time.perf_counter(), time.thread_time()))

    def timed_loop(made, step, hooks, **options):
        mark()
        return run_loop(made, step, [*hooks, lambda number, _: number % len(batches) or mark()], **options)

    monkeypatch.setattr("trainer.recipes.class_loop.run_loop", timed_loop)
    bare()
    runs, bare_epochs = [], []
    for name in ("first", "second"):  # turn by turn, for what else the machine does comes and goes
        (tmp_path / name).mkdir()
        marks.clear()
        assert work(project_of(tmp_path / name), None, lambda: False) == 0
        runs += list(np.diff(marks, axis=0))
        marks.clear()
        mark()
        for _ in range(TRAINING.num_epochs):
            bare()
            mark()
        bare_epochs += list(np.diff(marks, axis=0))
    assert len(runs) == len(bare_epochs)
    bare_epoch = np.min(bare_epochs, axis=0)
    wall, cpu = (bare_epoch / np.min(runs, axis=0)).tolist()
    record_property("cpu_ratio", round(cpu, 3))
    record_property("wall_ratio", round(wall, 3))
    per_step = 1e3 * float(bare_epoch[1]) / len(batches)
    print(f"\nbare loop against run: {cpu:.3f} by CPU, {wall:.3f} by wall; {per_step:.1f} CPU ms a bare step")
    assert cpu >= MIN_RATIO

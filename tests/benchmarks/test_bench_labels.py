"""Labels of images under load: `pytest tests/benchmarks/test_bench_labels.py --benchmark-enable`.

100,000 images with four labels and one region each; without `--benchmark-enable` everything runs once on 1,000.
Reads are held in processor time, for a busy machine would spoil wall time.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from locstudio.domain.edits import Change, ClassChange, CorrectionChange, Edit, LabelChange, RegionChange
from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Image, LabelClass, Origin, Region
from locstudio.store.dataset import Dataset, ImageFilter
from locstudio.store.project import create_project

CHUNK = 5000
NUM_CLASSES = 80
WORDS = (Presence.POSITIVE, Presence.POSITIVE, Presence.NEGATIVE, Presence.UNKNOWN)


@pytest.fixture(scope="module")
def labelled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    num_images = 1_000 if request.config._benchmarksession.disabled else 100_000
    with Dataset.create(create_project(tmp_path_factory.mktemp("store") / "labelled")) as dataset:
        root = dataset.add_root(Path("/images"))
        dataset.add_images([Image(0, root.id, f"{n:06}.jpg", 640, 480, sha256=f"{n:064x}") for n in range(num_images)])
        classes = [LabelClass(dataset.next_class_id(), f"class {number}", "#000000") for number in range(NUM_CLASSES)]
        dataset.apply(Edit("Classes", tuple(ClassChange(None, label) for label in classes)), actor="import")
        began = time.perf_counter()
        for start in range(1, num_images + 1, CHUNK):
            changes: list[Change] = []
            for key in range(start, min(start + CHUNK, num_images + 1)):
                changes += (LabelChange(None, label) for label in labels_of(key))
            for key in range(start, min(start + CHUNK, num_images + 1)):
                box = UnitBox(0.1, 0.1, 0.5, 0.5)
                region = Region(dataset.next_region_id(), key, box, class_id=key % NUM_CLASSES + 1)
                changes.append(RegionChange(None, region))
            dataset.apply(Edit("Import", tuple(changes)), actor="import", group="import")
        print(f"\nimages with their labels and regions: {num_images / (time.perf_counter() - began):,.0f}/s")
        yield dataset


def labels_of(image_id: int) -> list[ImageLabel]:
    classes = [(image_id * 7 + place * 19) % NUM_CLASSES + 1 for place in range(len(WORDS))]
    return [ImageLabel(image_id, key, word, Origin.IMPORTED) for key, word in zip(classes, WORDS, strict=True)]


@pytest.mark.benchmark(timer=time.process_time)
def test_bench_every_label_by_columns(benchmark, labelled: Dataset):
    columns = benchmark(labelled.label_columns)
    assert len(columns) == 4 * labelled.count_images()
    if not benchmark.disabled:
        assert benchmark.stats.stats.median < 0.5


@pytest.mark.benchmark(timer=time.process_time)
def test_bench_classes_of_every_region(benchmark, labelled: Dataset):
    image_ids, _ = benchmark(labelled.region_classes)
    assert len(image_ids) == labelled.count_images()
    if not benchmark.disabled:
        assert benchmark.stats.stats.median < 0.25


@pytest.mark.benchmark(timer=time.process_time)
def test_bench_contents_of_every_image(benchmark, labelled: Dataset):
    contents = benchmark(labelled.image_contents)
    assert len(contents.ids) == labelled.count_images()
    if not benchmark.disabled:
        assert benchmark.stats.stats.median < 0.25


@pytest.mark.parametrize("read", ["image_ids", "image_page", "count_images"])
def test_bench_images_of_a_class(benchmark, labelled: Dataset, read: str):
    benchmark(getattr(labelled, read), ImageFilter(class_ids=frozenset({5})))


@pytest.mark.benchmark(timer=time.process_time)
def test_bench_facets_with_labels(benchmark, labelled: Dataset):
    def counted_anew() -> None:
        labelled._facets.clear()
        labelled.facets()

    benchmark(counted_anew)


def test_bench_a_label_committed(benchmark, labelled: Dataset):
    state = {"label": labels_of(77)[0]}

    def say() -> None:
        old = state["label"]
        is_there = old.presence is Presence.POSITIVE
        new = replace(old, presence=Presence.NEGATIVE if is_there else Presence.POSITIVE, origin=Origin.HUMAN)
        labelled.apply(Edit("Deny", (LabelChange(old, new),)))
        state["label"] = new

    benchmark.pedantic(say, rounds=200, warmup_rounds=10)
    labelled.apply(Edit("As it was", (LabelChange(state["label"], labels_of(77)[0]),)))
    if not benchmark.disabled:
        assert benchmark.stats.stats.median < 0.05


def test_bench_a_stroke_committed(benchmark, labelled: Dataset):
    stroke = Stroke(tuple((0.2 + n / 1000, 0.5) for n in range(300)), 0.05)

    def paint() -> None:
        correction = HeatCorrection(labelled.next_correction_id(), 1, 5, Evidence.ADD, (stroke,))
        labelled.apply(Edit("Paint", (CorrectionChange(None, correction),)))

    benchmark.pedantic(paint, rounds=100, warmup_rounds=5)
    if not benchmark.disabled:
        assert benchmark.stats.stats.median < 0.05


def test_bench_ten_thousand_labels_denied_at_once(benchmark, labelled: Dataset):
    number = min(10_000, labelled.count_images())
    pairs = [(old, replace(old, presence=Presence.NEGATIVE)) for old in (labels_of(key)[1] for key in range(1, number))]
    edit = Edit("Deny", tuple(LabelChange(*pair) for pair in pairs))

    def there_and_back() -> float:
        began = time.process_time()
        labelled.apply(edit)
        taken = time.process_time() - began
        labelled.undo()
        return taken

    taken_s = benchmark.pedantic(there_and_back, rounds=5)
    assert taken_s < 1.0

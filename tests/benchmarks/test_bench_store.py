"""The store under load: `pytest tests/benchmarks/test_bench_store.py --benchmark-enable`.

200,000 images with 400,000 regions; without `--benchmark-enable` everything runs once on 2,000, to see that it runs.
Budgets are PERF.md's, held in processor time where a busy machine would spoil wall time.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from locstudio.domain.edits import ClassChange, Edit, RegionChange, change_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Origin, Problem, Region, Review
from locstudio.store.dataset import Dataset, ImageFilter
from locstudio.store.project import create_project
from locstudio.store.thumbnails import ThumbnailStore

NOUNS = ("car", "dog", "chair", "tree", "boat", "cup", "house")
ADJECTIVES = ("red", "blue", "small", "old", "wooden")
CHUNK = 5000


@pytest.fixture(scope="module")
def big(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    num_images = 2_000 if request.config._benchmarksession.disabled else 200_000
    with Dataset.create(create_project(tmp_path_factory.mktemp("store") / "big")) as dataset:
        root = dataset.add_root(Path("/images"))
        began = time.perf_counter()
        dataset.add_images([image(number, root.id) for number in range(num_images)])
        print(f"\nimages: {num_images / (time.perf_counter() - began):,.0f}/s")
        labels = [LabelClass(dataset.next_class_id(), f"class {number}", "#000000") for number in range(80)]
        dataset.apply(Edit("Classes", tuple(ClassChange(None, label) for label in labels)), actor="import")
        began = time.perf_counter()
        for start in range(0, 2 * num_images, CHUNK):
            regions = [
                region(dataset, number, num_images) for number in range(start, min(start + CHUNK, 2 * num_images))
            ]
            changes = tuple(RegionChange(None, each) for each in regions)
            dataset.apply(Edit("Import", changes), actor="import", group="import")
        print(f"regions with their log: {2 * num_images / (time.perf_counter() - began):,.0f}/s")
        yield dataset


def image(number: int, root_id: int) -> Image:
    problem = Problem.DAMAGED if number % 1000 == 7 else Problem.NONE
    return Image(0, root_id, f"train/{number // 1000:04}/img_{number:08}.jpg", 640, 480, problem=problem)


def region(dataset: Dataset, number: int, num_images: int) -> Region:
    return Region(
        dataset.next_region_id(),
        number % num_images + 1,
        UnitBox(0.1, 0.1, 0.5, 0.5),
        f"a {ADJECTIVES[number % 5]} {NOUNS[number // 3 % 7]} {number % 997}",
        number % 80 + 1,
        Review.ACCEPTED if number % 50 == 0 else Review.PENDING,
        Origin.IMPORTED,
    )


def test_bench_correction_committed(benchmark, big: Dataset):
    state = {"region": big.regions_of(77)[0], "number": 0}

    def correct() -> None:
        old = state["region"]
        state["number"] += 1
        share = state["number"] % 1000 / 10_000
        new = replace(old, box=UnitBox(0.1 + share, 0.1, 0.5, 0.5), origin=Origin.EDITED)
        big.apply(change_regions([(old, new)], "Move box"))
        state["region"] = new

    benchmark.pedantic(correct, rounds=300, warmup_rounds=10)
    if not benchmark.disabled:
        assert benchmark.stats.stats.median < 0.05


def test_bench_bulk_edit_of_ten_thousand(benchmark, big: Dataset):
    regions = big.region_page(1000, 10_000)
    accepted = change_regions([(old, replace(old, review=Review.ACCEPTED)) for old in regions], "Accept")

    def there_and_back() -> float:
        began = time.process_time()
        big.apply(accepted)
        taken = time.process_time() - began
        big.undo()
        return taken

    taken_s = benchmark.pedantic(there_and_back, rounds=5)
    assert taken_s < 1.0


FILTERS = {
    "everything": ImageFilter(),
    "pending": ImageFilter(reviews=frozenset({Review.PENDING})),
    "rejected, none": ImageFilter(reviews=frozenset({Review.REJECTED})),
    "damaged": ImageFilter(has_problem=True),
    "class": ImageFilter(class_ids=frozenset({5})),
    "class accepted": ImageFilter(class_ids=frozenset({51}), reviews=frozenset({Review.ACCEPTED})),
    "words": ImageFilter(words="red car "),
    "file name": ImageFilter(words="img_00000777"),
}


@pytest.mark.parametrize("name", FILTERS)
def test_bench_first_page(benchmark, big: Dataset, name: str):
    page = benchmark(big.image_page, FILTERS[name])
    assert len(page) <= 200


@pytest.mark.parametrize("name", FILTERS)
def test_bench_image_ids(benchmark, big: Dataset, name: str):
    ids = benchmark(big.image_ids, FILTERS[name])
    assert ids.ndim == 1


def test_bench_facets(benchmark, big: Dataset):
    def counted_anew() -> None:
        big._facets.clear()
        big.facets()

    benchmark(counted_anew)


def test_bench_words_of_regions(benchmark, big: Dataset):
    assert benchmark(big.regions_with_words, "red ca")


def test_bench_regions_of_an_image(benchmark, big: Dataset):
    assert len(benchmark(big.regions_of, 500)) == 2


def test_bench_snapshot(benchmark, big: Dataset, tmp_path: Path):
    names = iter(range(100))
    benchmark.pedantic(lambda: big.snapshot(tmp_path / f"{next(names)}.sqlite"), rounds=2)


def test_bench_backup(benchmark, big: Dataset):
    benchmark.pedantic(big.backup, rounds=2)


def test_bench_thumbnails(benchmark, tmp_path: Path):
    with ThumbnailStore(tmp_path / "thumbnails.sqlite") as store:
        store.put_many((f"1/{number}", bytes(12_000)) for number in range(2000))
        keys = iter(range(10_000_000))
        assert benchmark(lambda: store.get(f"1/{next(keys) % 2000}")) is not None

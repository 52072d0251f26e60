"""The index of region embeddings: what is found, what survives, what is refused."""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from locstudio.domain.errors import CheckpointMismatch, StaleIndex, StorageFailed, TooNew
from locstudio.index import region_index
from locstudio.index.region_index import RegionIndex
from locstudio.index.rows import PROPOSAL, REGION

DIM = 8
BOX = (0.1, 0.1, 0.5, 0.5)


def vectors_of(num: int, dim: int = DIM, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(num, dim)).astype(np.float32)


def boxes_of(num: int) -> NDArray[np.float32]:
    return np.tile(np.array(BOX, np.float32), (num, 1))


@pytest.fixture
def index(tmp_path):
    index = RegionIndex.create(tmp_path / "index", "cloc-a", DIM)
    yield index
    index.close()


def found_regions(index: RegionIndex, query: NDArray[np.float32], top: int = 5) -> list[int]:
    return index.describe(index.search(query, top).rows).region_ids.tolist()


def test_that_a_region_is_its_own_nearest_neighbour(index):
    vectors = vectors_of(50)
    index.put_regions(range(1, 51), [1] * 50, boxes_of(50), vectors)
    hits = index.search(vectors[7], 3)
    assert index.describe(hits.rows).region_ids[0] == 8
    assert hits.scores[0] == pytest.approx(1.0, abs=1e-3)
    assert (np.diff(hits.scores) <= 0).all()


def test_that_the_length_of_a_vector_changes_nothing(index):
    vectors = vectors_of(20)
    index.put_regions(range(1, 21), [1] * 20, boxes_of(20), vectors * np.arange(1, 21)[:, None])
    expected = (vectors / np.linalg.norm(vectors, axis=1)[:, None]) @ (vectors[3] / np.linalg.norm(vectors[3]))
    hits = index.search(vectors[3] * 100, 20)
    assert hits.scores == pytest.approx(np.sort(expected)[::-1], abs=2e-3)


def test_that_an_edited_region_is_found_where_it_is_now_and_nowhere_else(index):
    old, new = vectors_of(2)
    index.put_regions([5], [1], [BOX], [old])
    index.put_regions([5], [1], [(0.2, 0.2, 0.3, 0.3)], [new])
    hits = index.search(new, 10)
    assert index.describe(hits.rows).region_ids.tolist() == [5]
    assert index.describe(hits.rows).boxes[0] == pytest.approx([0.2, 0.2, 0.3, 0.3])
    assert index.vector_of_region(5) == pytest.approx(new / np.linalg.norm(new), abs=2e-3)


def test_that_of_one_region_given_twice_the_last_counts(index):
    first, last = vectors_of(2)
    index.put_regions([5, 5], [1, 1], boxes_of(2), [first, last])
    assert len(index) == 1
    assert index.search(last, 1).scores[0] == pytest.approx(1.0, abs=1e-3)


def test_that_a_removed_region_is_not_found_and_an_unknown_one_is_ignored(index):
    vectors = vectors_of(3)
    index.put_regions([1, 2, 3], [1, 1, 2], boxes_of(3), vectors)
    index.remove_regions([2, 99])
    assert sorted(found_regions(index, vectors[1])) == [1, 3]
    assert index.vector_of_region(2) is None
    assert index.region_ids().tolist() == [1, 3]


def test_that_new_proposals_replace_those_of_the_same_image_and_leave_regions_alone(index):
    vectors = vectors_of(6)
    index.put_regions([1], [1], [BOX], vectors[:1])
    index.put_proposals([1, 1, 2], boxes_of(3), vectors[1:4])
    index.put_proposals([1, 1], boxes_of(2), vectors[4:])
    assert index.rows_of_image(1).kinds.tolist() == [REGION, PROPOSAL, PROPOSAL]
    assert len(index.rows_of_image(2)) == 1
    assert len(index) == 4


def test_that_a_dropped_image_leaves_nothing_behind(index):
    vectors = vectors_of(4)
    index.put_regions([1, 2], [1, 2], boxes_of(2), vectors[:2])
    index.put_proposals([1, 2], boxes_of(2), vectors[2:])
    index.drop_image(1)
    assert index.describe(index.search(vectors[0], 10).rows).image_ids.tolist() == [2, 2]
    assert index.region_ids().tolist() == [2]


def test_that_a_filter_lets_only_its_images_through(index):
    vectors = vectors_of(30)
    index.put_regions(range(1, 31), [1, 2, 3] * 10, boxes_of(30), vectors)
    allow = index.mask_of_images([2])
    hits = index.search(vectors[0], 30, allow=allow)
    assert set(index.describe(hits.rows).image_ids.tolist()) == {2}
    assert len(hits.rows) == 10
    index.put_regions([99], [2], [BOX], vectors[:1])
    assert 99 not in index.describe(index.search(vectors[0], 30, allow=allow).rows).region_ids


def test_that_an_empty_index_finds_nothing(index):
    assert len(index.search(np.ones(DIM), 10).rows) == 0
    assert len(index.background(np.ones(DIM))) == 0


@pytest.mark.parametrize("query", [np.zeros(DIM), np.full(DIM, np.nan), np.ones(DIM + 1), np.ones((2, DIM))])
def test_that_a_query_that_is_no_direction_is_refused(index, query):
    with pytest.raises(ValueError):
        index.search(query, 5)


@pytest.mark.parametrize(
    ("boxes", "vectors"),
    [
        ([(0.5, 0.1, 0.5, 0.5)], np.ones((1, DIM))),
        ([(0.1, 0.1, 1.5, 0.5)], np.ones((1, DIM))),
        ([BOX], np.zeros((1, DIM))),
        ([BOX], np.full((1, DIM), np.inf)),
        ([BOX], np.ones((1, DIM + 1))),
        ([BOX, BOX], np.ones((1, DIM))),
    ],
)
def test_that_what_cannot_be_an_embedded_box_is_refused_and_changes_nothing(index, boxes, vectors):
    with pytest.raises(ValueError):
        index.put_regions([1], [1], boxes, vectors)
    assert len(index) == 0


def test_that_a_sliver_thinner_than_float32_stays_a_box(index):
    boxes = [(0.7, 0.0, 0.7 + 1e-12, 1e-60), (1 - 1e-12, 0.3, 1.0, 0.3 + 1e-12)]
    index.put_regions([1, 2], [1, 1], boxes, vectors_of(2))
    stored = index.rows_of_image(1).boxes
    assert (stored[:, :2] < stored[:, 2:]).all()
    assert stored.max() <= 1
    assert stored.min() >= 0


operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 12), st.integers(1, 4), st.integers(0, 10_000)),
        st.tuples(st.just("remove"), st.integers(1, 12), st.just(0), st.just(0)),
        st.tuples(st.just("propose"), st.integers(1, 3), st.integers(1, 4), st.integers(0, 10_000)),
        st.tuples(st.just("drop"), st.integers(1, 4), st.just(0), st.just(0)),
        st.tuples(st.just("reopen"), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(operations)
def test_that_search_equals_brute_force_over_what_was_put_last(steps):
    folder = Path(tempfile.mkdtemp())
    try:
        index = RegionIndex.create(folder, "cloc-a", DIM)
        regions: dict[int, tuple[int, NDArray[np.float32]]] = {}
        proposals: dict[int, NDArray[np.float32]] = {}
        for what, number, other, seed in steps:
            if what == "put":
                vector = vectors_of(1, seed=seed)
                index.put_regions([number], [other], [BOX], vector)
                regions[number] = (other, vector[0])
            elif what == "remove":
                index.remove_regions([number])
                regions.pop(number, None)
            elif what == "propose":
                vectors = vectors_of(number, seed=seed)
                index.put_proposals([other] * number, boxes_of(number), vectors)
                proposals[other] = vectors
            elif what == "drop":
                index.drop_image(number)
                regions = {key: value for key, value in regions.items() if value[0] != number}
                proposals.pop(number, None)
            else:
                index.close()
                index = RegionIndex.open(folder, "cloc-a")
        query = np.ones(DIM, np.float32) / np.sqrt(np.float32(DIM))
        rows = [(key, image, vector) for key, (image, vector) in regions.items()]
        rows += [(0, image, vector) for image, vectors in proposals.items() for vector in vectors]
        brute = sorted(((float(v @ query / np.linalg.norm(v)), key, image) for key, image, v in rows), reverse=True)
        hits = index.search(query, 100)
        described = index.describe(hits.rows)
        assert hits.scores.tolist() == pytest.approx([score for score, _, _ in brute], abs=2e-3)
        found = sorted(zip(described.region_ids.tolist(), described.image_ids.tolist(), strict=True))
        assert found == sorted((key, image) for _, key, image in brute)
        index.close()
    finally:
        shutil.rmtree(folder)


def test_that_a_reopened_index_finds_the_same(tmp_path):
    vectors = vectors_of(40)
    index = RegionIndex.create(tmp_path, "cloc-a", DIM)
    index.put_regions(range(1, 41), range(1, 41), boxes_of(40), vectors)
    index.remove_regions([4])
    before = index.search(vectors[3], 5)
    index.close()
    after = RegionIndex.open(tmp_path, "cloc-a").search(vectors[3], 5)
    assert after.rows.tolist() == before.rows.tolist()
    assert after.scores.tolist() == before.scores.tolist()


def test_that_a_batch_becomes_durable_at_its_end(tmp_path):
    index = RegionIndex.create(tmp_path, "cloc-a", DIM)
    vectors = vectors_of(2)
    with index.batch():
        index.put_regions([1], [1], [BOX], vectors[:1])
        assert len(RegionIndex.open(tmp_path, "cloc-a")) == 0
        index.put_regions([2], [1], [BOX], vectors[1:])
        assert len(index) == 2
    assert len(RegionIndex.open(tmp_path, "cloc-a")) == 2


def test_that_a_write_cut_at_any_byte_leaves_the_last_commit(tmp_path):
    """Any prefix of what a put appends, in any of the files, is ignored and then overwritten."""
    vectors = vectors_of(6)
    index = RegionIndex.create(tmp_path / "index", "cloc-a", DIM)
    index.put_regions([1, 2, 3], [1, 1, 1], boxes_of(3), vectors[:3])
    names = ("vectors.f16", "rows.bin", "tombstones.bin")
    before = {name: (tmp_path / "index" / name).read_bytes() for name in names}
    manifest = (tmp_path / "index" / "manifest.json").read_bytes()
    index.put_regions([3, 4], [1, 1], boxes_of(2), vectors[3:5])
    index.close()
    after = {name: (tmp_path / "index" / name).read_bytes() for name in names}
    for number, name in enumerate(names):
        for length in range(len(before[name]), len(after[name]) + 1):
            folder = tmp_path / f"cut-{name}-{length}"
            folder.mkdir()
            (folder / "manifest.json").write_bytes(manifest)
            for other, content in enumerate(names):
                whole = after[content] if other < number else before[content]
                (folder / content).write_bytes(after[name][:length] if content == name else whole)
            cut = RegionIndex.open(folder, "cloc-a")
            assert cut.region_ids().tolist() == [1, 2, 3]
            assert cut.vector_of_region(3) == pytest.approx(vectors[2] / np.linalg.norm(vectors[2]), abs=2e-3)
            cut.put_regions([9], [1], [BOX], vectors[5:])
            cut.close()
            assert found_regions(RegionIndex.open(folder, "cloc-a"), vectors[5], 1) == [9]


def test_that_opening_writes_nothing(tmp_path):
    index = RegionIndex.create(tmp_path, "cloc-a", DIM)
    index.put_regions([1], [1], [BOX], vectors_of(1))
    index.close()
    with open(tmp_path / "vectors.f16", "ab") as file:
        file.write(b"another process is in the middle of a write")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    RegionIndex.open(tmp_path, "cloc-a").search(np.ones(DIM), 1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_that_a_foreign_checkpoint_is_refused_by_both_names(tmp_path):
    """FAULTS row 74."""
    RegionIndex.create(tmp_path, "cloc-a", DIM).close()
    with pytest.raises(CheckpointMismatch, match=r"holds embeddings of cloc-a; the project now uses cloc-b"):
        RegionIndex.open(tmp_path, "cloc-b")


@pytest.mark.parametrize("name", ["vectors.f16", "rows.bin", "tombstones.bin"])
@pytest.mark.parametrize("missing", [1, None])
def test_that_a_truncated_index_asks_to_be_rebuilt(tmp_path, name, missing):
    """FAULTS row 75."""
    index = RegionIndex.create(tmp_path, "cloc-a", DIM)
    index.put_regions([1, 2], [1, 1], boxes_of(2), vectors_of(2))
    index.remove_regions([1])
    index.close()
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    if missing is not None:
        (tmp_path / name).write_bytes(content[:-missing])
    with pytest.raises(StaleIndex, match=rf"{name} is shorter.*rebuild"):
        RegionIndex.open(tmp_path, "cloc-a")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff\x00",
        b'{"\xff":1}',
        b'{"deep":' + b"[" * 100_000,
        b'{"format_version":1,"checkpoint_id":"a","dim":-1,"count":0}',
    ],
)
def test_that_a_manifest_that_is_none_asks_to_be_rebuilt(tmp_path, content):
    RegionIndex.create(tmp_path, "a", DIM).close()
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(StaleIndex, match="rebuild"):
        RegionIndex.open(tmp_path, "a")


def test_that_rows_of_flipped_bits_ask_to_be_rebuilt(tmp_path):
    index = RegionIndex.create(tmp_path, "cloc-a", DIM)
    index.put_regions([1], [1], [BOX], vectors_of(1))
    index.close()
    (tmp_path / "rows.bin").write_bytes(b"\xff" * (tmp_path / "rows.bin").stat().st_size)
    with pytest.raises(StaleIndex, match="rebuild"):
        RegionIndex.open(tmp_path, "cloc-a")


def test_that_a_missing_index_says_how_to_make_one(tmp_path):
    with pytest.raises(StaleIndex, match="Embed the collection first"):
        RegionIndex.open(tmp_path, "cloc-a")


def test_that_an_index_of_a_newer_format_is_left_alone(tmp_path):
    RegionIndex.create(tmp_path, "cloc-a", DIM).close()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"format_version": 99}))
    with pytest.raises(TooNew):
        RegionIndex.open(tmp_path, "cloc-a")


def test_that_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path, monkeypatch):
    index = RegionIndex.create(tmp_path, "cloc-a", DIM)
    vectors = vectors_of(2)
    index.put_regions([1], [1], [BOX], vectors[:1])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(StorageFailed, match="No space left"):
        index.put_regions([2], [1], [BOX], vectors[1:])
    monkeypatch.undo()
    assert index.region_ids().tolist() == [1]
    index.put_regions([3], [1], [BOX], vectors[1:])
    assert RegionIndex.open(tmp_path, "cloc-a").region_ids().tolist() == [1, 3]


def clustered(num: int, dim: int, seed: int = 1) -> NDArray[np.float32]:
    """Unit vectors in clusters, as regions of a collection are: many pictures of the same few hundred things."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(300, 48))
    latent = centres[random.integers(0, 300, num)] + 0.6 * random.normal(size=(num, 48))
    mixed = np.tanh(latent @ random.normal(size=(48, dim)) / 6)
    return (mixed / np.linalg.norm(mixed, axis=1)[:, None]).astype(np.float32)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    pytest.importorskip("faiss")
    vectors = clustered(30_000, 128)
    index = RegionIndex.create(tmp_path_factory.mktemp("large"), "cloc-a", 128)
    index.put_regions(range(1, 30_001), np.arange(30_000) // 10 + 1, boxes_of(30_000), vectors)
    index.prepare()
    yield index, vectors
    index.close()


def test_that_coded_search_finds_what_exact_search_finds(large):
    index, vectors = large
    assert index.codes is not None
    assert index.codes.recall >= 0.99
    random = np.random.default_rng(5)
    shares = []
    for row in random.integers(0, len(vectors), 100):
        query = vectors[row] + 0.3 * random.normal(size=128) / np.sqrt(128)
        exact = np.argsort(-(vectors @ query))[:10]
        shares.append(np.isin(exact, index.search(query, 10).rows).mean())
    assert np.mean(shares) >= 0.99


def test_that_a_row_written_after_the_codes_is_found_at_once(large):
    index, _ = large
    query = -np.ones(128, np.float32)
    index.put_regions([40_000], [5_000], [BOX], [query])
    assert found_regions(index, query, 1) == [40_000]
    index.remove_regions([40_000])
    assert 40_000 not in found_regions(index, query, 5)


@pytest.mark.parametrize("num_images", [1, 50, 2_500])
def test_that_filters_of_any_width_return_the_exact_neighbours(large, num_images):
    index, vectors = large
    allow = index.mask_of_images(np.arange(1, num_images + 1))
    query = vectors[29_999]
    scores = vectors[: num_images * 10] @ query
    expected = np.sort(scores)[::-1][:10]
    assert index.search(query, 10, allow=allow).scores == pytest.approx(expected, abs=2e-3)


def test_that_without_faiss_a_large_index_is_searched_exactly(large, tmp_path, monkeypatch):
    _, vectors = large
    monkeypatch.setattr("locstudio.index.codes._faiss", lambda: None)
    index = RegionIndex.create(tmp_path, "cloc-a", 128)
    index.put_regions(range(1, 30_001), [1] * 30_000, boxes_of(30_000), vectors)
    index.prepare()
    assert index.codes is None
    exact = np.argsort(-(vectors @ vectors[17]))[:10]
    assert set(index.search(vectors[17], 10).rows.tolist()) == set(exact.tolist())


def test_that_vectors_without_structure_are_scanned_in_half_precision(tmp_path, monkeypatch):
    """Isotropic noise is the worst case of compressed codes: the self-check notices and falls back."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(region_index, "EXACT_LIMIT", 1_000)
    monkeypatch.setattr("locstudio.index.codes.CANDIDATES", (20,))
    noise = vectors_of(4_000, 64, seed=3)
    index = RegionIndex.create(tmp_path, "cloc-a", 64)
    index.put_regions(range(1, 4_001), [1] * 4_000, boxes_of(4_000), noise)
    index.prepare()
    assert index.codes is not None
    assert index.codes.name == "SQfp16"
    assert index.codes.recall >= 0.99


def test_that_queries_unlike_any_row_are_checked_on_their_own(tmp_path, monkeypatch):
    """Phrases lie elsewhere than regions do: codes that find every row's neighbours may still miss a phrase's."""
    pytest.importorskip("faiss")
    monkeypatch.setattr(region_index, "EXACT_LIMIT", 1_000)
    monkeypatch.setattr("locstudio.index.codes.CANDIDATES", (40,))
    vectors = clustered(4_000, 64)
    index = RegionIndex.create(tmp_path, "cloc-a", 64)
    index.put_regions(range(1, 4_001), [1] * 4_000, boxes_of(4_000), vectors)
    index.prepare(vectors_of(100, 64, seed=9))
    assert index.codes is not None
    assert index.codes.recall >= 0.99
    query = vectors_of(1, 64, seed=10)[0]
    exact = np.sort(vectors @ query / np.linalg.norm(query))[::-1][:10]
    assert index.search(query, 10).scores == pytest.approx(exact, abs=2e-3)

"""The memory of a consistency run: what is put is read back, and a byte loses nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from locstudio.domain.regions import Image
from locstudio.jobs.heatmaps import Heatmaps
from trainer import heat_memory
from trainer.heat_bytes import threshold_of, to_bytes
from trainer.heat_memory import HeatMemory
from trainer.heat_plan import bytes_of_memory, key_epochs_of

sys.path.insert(0, str(Path(__file__).parent))
from remembered import GRID, do_epoch, header_of, make, values_of


def test_that_a_reader_finds_what_was_put(tmp_path):
    memory, rng = make(tmp_path / "heat"), np.random.default_rng(1)
    rows = np.array([4, 0, 2, 1, 3])
    scores, averages, maps = values_of(rng, rows, 3)
    memory.put(rows[:2], scores[:2], averages[:2], maps[:2])
    memory.put(rows[2:], scores[2:], averages[2:], maps[2:])
    before = Heatmaps.open(tmp_path / "heat")
    memory.end_epoch()
    assert before.is_newer()
    found = Heatmaps.open(tmp_path / "heat")
    assert (found.header.epoch, found.header.side, found.header.key_epochs) == (1, "b", (1,))
    for at, row in enumerate(rows):
        assert found.averages_NL[row].tolist() == averages[at].tolist()
        assert np.abs(found.maps_NKWW[row] - 255 * maps[at]).max() < 0.01
        assert found.scores_of(int(row) + 1, 11) == pytest.approx([scores[at, 1]], abs=0.5 / 255 + 1e-6)
        assert found.map_of(int(row) + 1, 12).tolist() == found.maps_NKWW[row, 2].tolist()
    back, again = memory.rows_before(rows)
    assert back.tolist() == averages.tolist()
    assert again == pytest.approx(maps, abs=1e-6)
    assert not found.is_stale(Image(1, 1, "a.jpg", 4, 4, sha256=f"{0:064x}"))
    assert found.is_stale(Image(1, 1, "a.jpg", 4, 4, sha256="0" * 63 + "9"))


@pytest.mark.parametrize("num_slots", [0, 2])
def test_that_scores_of_what_is_there_begin_with_ones_and_heatmaps_with_zeros(tmp_path, num_slots):
    labels, rows = [[1, -1, 0], [-1, -1, -1]], np.array([0, 1])
    averages, maps = make(tmp_path / "ones", 2, labels=labels, num_slots=num_slots).rows_before(rows)
    assert averages.tolist() == [[1, 0, 0], [0, 0, 0]]
    assert maps.max() == 0
    averages, maps = make(tmp_path / "zeros", 2, labels=labels, starts_with_label=False).rows_before(rows)
    assert averages.max() == maps.max() == 0


def test_that_an_epoch_reads_one_side_however_often_its_rows_are_put(tmp_path):
    memory, rng = make(tmp_path / "heat"), np.random.default_rng(2)
    do_epoch(memory, rng, 3)
    rows = np.arange(5)
    before = [array.copy() for array in memory.rows_before(rows)]
    seen = Heatmaps.open(tmp_path / "heat")
    memory.put(rows, *values_of(rng, rows, 3))
    last = values_of(rng, rows, 3)
    memory.put(rows, *last)
    for known, now in zip(before, memory.rows_before(rows), strict=True):
        assert np.array_equal(known, now)
    assert not seen.is_newer()
    memory.end_epoch()
    assert memory.rows_before(rows)[0].tolist() == last[1].tolist()


def test_that_what_a_reader_has_opened_stays_as_it_is_until_the_next_epoch_is_whole(tmp_path):
    memory, rng, rows = make(tmp_path / "heat", num_slots=2), np.random.default_rng(12), np.arange(5)
    do_epoch(memory, rng, 3)
    seen = Heatmaps.open(tmp_path / "heat")

    def read():
        arrays = (seen.maps_NKWW, seen.slots_NK, seen.averages_NL, seen.scores_ENL, *seen.key_frame(1))
        return [np.array(array) for array in arrays]

    before = read()
    memory.put(rows, *values_of(rng, rows, 3))
    memory.flush()
    assert not seen.is_newer()
    memory.end_epoch()
    assert seen.is_newer()
    assert all(np.array_equal(known, now) for known, now in zip(before, read(), strict=True))
    # Whoever has not opened them anew by then reads the epoch after that, row by row, and never beyond a file's end.
    memory.put(rows[:2], *values_of(rng, rows[:2], 3))
    after = read()
    assert not np.array_equal(before[2][:2], after[2][:2])
    assert np.array_equal(before[2][2:], after[2][2:])
    make(tmp_path / "heat")  # a run that begins anew puts other files in their place
    assert all(np.array_equal(known, now) for known, now in zip(after, read(), strict=True))
    assert Heatmaps.open(tmp_path / "heat").header.epoch == 0


def test_that_rows_that_were_not_put_stay_as_they_were(tmp_path):
    memory, rng = make(tmp_path / "heat"), np.random.default_rng(3)
    do_epoch(memory, rng, 3)
    before = memory.rows_before(np.array([1, 3]))
    do_epoch(memory, rng, 3, rows=np.array([0, 2, 4]))
    for known, now in zip(before, memory.rows_before(np.array([1, 3])), strict=True):
        assert np.array_equal(known, now)
    scores = Heatmaps.open(tmp_path / "heat").scores_of(2, 10)
    assert scores[0] == scores[1] > 0


def test_that_a_value_within_the_dead_band_of_a_byte_is_reached_all_the_same():
    # With a momentum of 0.8 a byte that is rounded to the nearest rests 2 below what it should become.
    wanted, plain, values = 100.0, 90.0, []
    stored = np.full((1, 1, GRID, GRID), 90, np.uint8)
    for epoch in range(1, 200):
        plain = np.rint(0.8 * plain + 0.2 * wanted)
        running = (0.8 * stored.astype(np.float32) + 0.2 * wanted).astype(np.float32) / 255
        stored = to_bytes(running, threshold_of(GRID, epoch))
        values.append(stored.astype(float))
    assert plain == 98
    settled = np.array(values[50:])
    assert settled.mean() == pytest.approx(wanted, abs=0.1)
    assert np.abs(settled.mean(axis=0) - wanted).max() < 0.3
    assert np.abs(settled - wanted).max() <= 3


def test_that_whole_bytes_are_fixed_points_in_every_epoch():
    every = np.tile(np.arange(256, dtype=np.uint8)[:, None, None, None], (1, 1, GRID, GRID))
    scaled = np.multiply(every, np.float32(1 / 255), dtype=np.float32)
    for epoch in range(50):
        assert np.array_equal(to_bytes(scaled, threshold_of(GRID, epoch)), every)


def test_that_few_maps_are_kept_where_there_are_many_classes_and_a_score_stands_for_the_others(tmp_path):
    labels = np.full((5, 30), -1)
    labels[0, 7], labels[0, 3] = 1, 0
    memory, rng = make(tmp_path / "heat", 5, 30, labels=labels, num_slots=4), np.random.default_rng(7)
    rows = np.arange(5)
    scores, averages, maps = values_of(rng, rows, 30)
    averages *= 0.9
    averages[0, 3] = 0.99
    memory.put(rows, scores, averages, maps)
    memory.end_epoch()
    found = Heatmaps.open(tmp_path / "heat")
    kept = found.maps_of(1)
    assert len(kept) == 4
    assert 17 in kept  # a class that is known to be there, whatever its score
    assert 13 not in kept  # a person has said that it is not there
    best = np.argsort(-averages[1])[:4]
    assert set(found.maps_of(2)) == {10 + int(position) for position in best}
    for position in best:
        assert found.map_of(2, 10 + int(position)) == pytest.approx(255 * maps[1, position], abs=0.01)
    _, dense = memory.rows_before(rows)
    other = int(np.argsort(averages[1])[0])
    assert dense[1, other] == pytest.approx(np.full((GRID, GRID), averages[1, other]))
    assert dense[1, int(best[0])] == pytest.approx(maps[1, best[0]], abs=1e-6)
    assert set(found.maps_of(2, epoch=1)) == {10 + int(position) for position in best[:2]}
    assert found.map_of(2, 10 + int(best[0]), epoch=1) == pytest.approx(255 * maps[1, best[0]], abs=0.01)


def test_that_key_frames_stay_as_later_epochs_pass(tmp_path):
    memory, rng = make(tmp_path / "heat"), np.random.default_rng(8)
    do_epoch(memory, rng, 3)
    first = Heatmaps.open(tmp_path / "heat")
    kept = {class_id: one.copy() for class_id, one in first.maps_of(3, epoch=1).items()}
    assert len(kept) == 2
    assert all(np.array_equal(one, first.map_of(3, class_id)) for class_id, one in kept.items())
    for _ in range(3):
        do_epoch(memory, rng, 3)
    found = Heatmaps.open(tmp_path / "heat")
    assert found.header.key_epochs == (1, 3)
    assert all(np.array_equal(one, found.map_of(3, class_id, epoch=1)) for class_id, one in kept.items())
    with pytest.raises(LookupError):
        found.maps_of(3, epoch=2)


def test_that_a_new_run_begins_with_what_an_earlier_one_remembers_of_the_same_files(tmp_path):
    memory, rng = make(tmp_path / "old"), np.random.default_rng(9)
    do_epoch(memory, rng, 3)
    known = Heatmaps.open(tmp_path / "old")
    header = replace(header_of(3, 3), class_ids=(12, 10, 99), class_names=("c", "a", "new"))
    new = HeatMemory.create(
        tmp_path / "new",
        header,
        image_ids=np.array([1, 2, 7]),
        contents=[f"{0:064x}", "f" * 64, ""],
        labels_NL=np.array([[-1, 1, 1], [-1, 1, -1], [-1, -1, 1]], np.int8),
        starts_with_label=True,
        known=known,
    )
    averages, maps = new.rows_before(np.arange(3))
    assert averages[0].tolist() == [known.averages_NL[0, 2], known.averages_NL[0, 0], 1.0]
    assert np.array_equal(np.rint(255 * maps[0, 0]), known.map_of(1, 12))
    assert averages[1:].tolist() == [[0, 1, 0], [0, 0, 1]]  # another file, and one that the old run did not see


@pytest.mark.parametrize(
    ("num_classes", "num_slots", "gigabytes"),
    # 80 classes: 3.14 GB of maps, 0.06 of averages, 0.24 of scores and 2.85 of key frames.
    [(80, 0, 6.31), (1000, 24, 7.71)],
)
def test_that_the_memory_of_100_000_images_takes_what_is_said(tmp_path, num_classes, num_slots, gigabytes):
    num_images, num_epochs = 100_000, 30
    header = replace(header_of(num_images, num_classes, num_slots=num_slots, num_epochs=num_epochs), grid=14)
    files = heat_memory._files_of(tmp_path, header, makes=True)  # full of holes: nothing of it is on the disk
    sizes = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert sum(path.stat().st_blocks for path in tmp_path.iterdir()) * 512 < 1 << 20
    said = bytes_of_memory(
        num_images,
        num_classes,
        grid=14,
        num_slots=num_slots,
        num_epochs=num_epochs,
        num_key_frames=12,
        num_key_slots=12,
    )
    key_frames = num_images * 12 * 12 * (14 * 14 + 2)
    fixed = num_images * (8 + 64 + num_classes)
    assert said == pytest.approx(sizes + key_frames + fixed, abs=128 * len(files))
    assert said / 1e9 == pytest.approx(gigabytes, abs=0.01)
    rows = np.array([99_999, 3])
    maps = np.zeros((2, header.num_maps, 14, 14), np.uint8)
    maps[0, 5, 3, 3] = 200
    files["maps_b"].write(rows, maps)
    assert np.array_equal(files["maps_b"].read(rows), maps)


def test_that_key_frames_are_spread_over_the_run_and_hold_its_end():
    assert key_epochs_of(30, 12) == (1, 4, 6, 9, 12, 14, 17, 19, 22, 25, 27, 30)
    assert key_epochs_of(5, 12) == (1, 2, 3, 4, 5)
    assert key_epochs_of(5, 1) == (5,)
    assert key_epochs_of(5, 0) == ()

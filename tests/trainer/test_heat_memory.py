"""The memory of a consistency run: what is put is read back, an epoch is whole or not there, a byte loses nothing."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.domain.regions import Image
from locstudio.jobs.heatmaps import HeatHeader, Heatmaps
from trainer import heat_memory
from trainer.heat_bytes import threshold_of, to_bytes
from trainer.heat_memory import HeatMemory
from trainer.heat_plan import bytes_of_memory, key_epochs_of

GRID = 4


def header_of(num_images, num_classes, *, num_slots=0, num_epochs=6):
    return HeatHeader(
        run_id="run",
        class_ids=tuple(range(10, 10 + num_classes)),
        class_names=tuple(f"class {number}" for number in range(num_classes)),
        grid=GRID,
        num_images=num_images,
        num_slots=num_slots,
        num_epochs=num_epochs,
        momentum=0.8,
    )


def make(folder, num_images=5, num_classes=3, *, labels=None, known=None, starts_with_label=True, **changes):
    header = header_of(num_images, num_classes, **changes)
    labels_NL = np.full((num_images, num_classes), -1, np.int8) if labels is None else np.asarray(labels, np.int8)
    return HeatMemory.create(
        folder,
        header,
        image_ids=np.arange(1, num_images + 1),
        contents=[f"{number:064x}" for number in range(num_images)],
        labels_NL=labels_NL,
        starts_with_label=starts_with_label,
        known=known,
        key_epochs=(1, 3),
        num_key_slots=2,
    )


def values_of(rng, rows, num_classes):
    """Scores, averages and maps; the maps are whole bytes, so that they come back as they are."""
    maps = rng.integers(0, 256, (len(rows), num_classes, GRID, GRID)).astype(np.float32) / 255
    scores, averages = rng.random((2, len(rows), num_classes), dtype=np.float32)
    return scores, averages, maps


def do_epoch(memory, rng, num_classes, rows=None, batch=2):
    rows = np.arange(memory.header.num_images) if rows is None else rows
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        memory.put(some, *values_of(rng, some, num_classes))
    memory.end_epoch()


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


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


@pytest.mark.parametrize("ends_epoch", [False, True])
def test_that_an_epoch_done_again_from_its_middle_ends_bitwise_as_if_it_had_not_been_broken(tmp_path, ends_epoch):
    def value(epoch, rows):
        return values_of(np.random.default_rng([epoch, *rows.tolist()]), rows, 3)

    orders = [np.array([0, 3, 1, 4, 2]), np.array([2, 4, 0, 1, 3])]
    for name in ("whole", "broken"):
        memory = make(tmp_path / name)
        for start in (0, 2, 4):
            memory.put(orders[0][start : start + 2], *value(0, orders[0][start : start + 2]))
        memory.end_epoch()
        if name == "broken":
            # What was put after the checkpoint, by a process that is gone, is put again.
            for start in (0, 2, 4) if ends_epoch else (0, 2):
                memory.put(orders[1][start : start + 2], *value(1, orders[1][start : start + 2]))
            if ends_epoch:
                memory.end_epoch()
            memory.close()
            memory = HeatMemory.resume(tmp_path / name, 1, key_epochs=(1, 3), num_key_slots=2)
            assert memory.epoch == 1
            memory.begin_epoch(done=orders[1][:2])
            for start in (2, 4):
                memory.put(orders[1][start : start + 2], *value(1, orders[1][start : start + 2]))
        else:
            for start in (0, 2, 4):
                memory.put(orders[1][start : start + 2], *value(1, orders[1][start : start + 2]))
        memory.end_epoch()
        memory.close()
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "broken")


def test_that_a_side_that_was_written_over_is_not_taken_for_the_epoch_before(tmp_path):
    memory, rng = make(tmp_path / "heat"), np.random.default_rng(4)
    do_epoch(memory, rng, 3)
    do_epoch(memory, rng, 3)
    memory.put(np.array([0]), *values_of(rng, np.array([0]), 3))
    newest = memory.rows_before(np.arange(5))
    memory.close()
    memory = HeatMemory.resume(tmp_path / "heat", 1)
    assert memory.epoch == 2
    memory.count_from(1, np.array([0, 3]))
    assert np.array_equal(memory.rows_before(np.arange(5))[1], newest[1])
    assert Heatmaps.open(tmp_path / "heat").header.epoch == 1
    # What the weights have learnt from already is not put again: such rows keep what is remembered of them.
    memory.begin_epoch(done=np.array([0, 3]))
    memory.put(np.array([1, 2, 4]), *values_of(rng, np.array([1, 2, 4]), 3))
    memory.end_epoch()
    for known, now in zip(newest, memory.rows_before(np.arange(5)), strict=True):
        assert np.array_equal(known[[0, 3]], now[[0, 3]])


def test_that_a_process_killed_while_it_writes_leaves_the_epochs_before(tmp_path):
    program = (
        "import os, sys, numpy as np; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from test_heat_memory import make, do_epoch, values_of\n"
        "memory, rng = make(Path(sys.argv[1])), np.random.default_rng(5)\n"
        "do_epoch(memory, rng, 3)\n"
        "memory.put(np.array([0, 1]), *values_of(rng, np.array([0, 1]), 3))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here.parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "heat"), str(here)],
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )
    assert done.returncode == -9
    do_epoch(unbroken := make(tmp_path / "unbroken"), np.random.default_rng(5), 3)
    memory = HeatMemory.resume(tmp_path / "heat", 1)
    for known, found in zip(unbroken.rows_before(np.arange(5)), memory.rows_before(np.arange(5)), strict=True):
        assert np.array_equal(known, found)
    assert Heatmaps.open(tmp_path / "heat").header.epoch == 1


class Ends(BaseException):
    """Stands for kill -9 between two system calls."""


def ending_after(does, count, calls):
    def ends(*values):
        calls.append(1)
        if len(calls) > count:
            raise Ends
        return does(*values)

    return ends


def test_row_2_a_process_that_ends_at_any_write_of_an_epoch_leaves_a_whole_one_and_goes_on_exactly(
    tmp_path, monkeypatch
):
    def epoch(memory, number):
        for rows in np.array_split(np.random.default_rng(number).permutation(5), 2):
            memory.put(rows, *values_of(np.random.default_rng([number, *rows.tolist()]), rows, 3))
        memory.end_epoch()

    def resume(folder):
        return HeatMemory.resume(folder, 2, key_epochs=(1, 3), num_key_slots=2)

    memory = make(tmp_path / "begun", num_slots=2)
    epoch(memory, 0)
    epoch(memory, 1)
    memory.close()
    shutil.copytree(tmp_path / "begun", tmp_path / "whole")
    epoch(resume(tmp_path / "whole"), 2)
    averages = {2: Heatmaps.open(tmp_path / "begun").averages_NL, 3: Heatmaps.open(tmp_path / "whole").averages_NL}
    num_ends, is_over = 0, False
    while not is_over:
        broken, calls = tmp_path / f"broken {num_ends}", []
        shutil.copytree(tmp_path / "begun", broken)
        memory = resume(broken)
        with monkeypatch.context() as patch:
            for name in ("pwrite", "replace", "fsync"):
                patch.setattr(f"os.{name}", ending_after(getattr(os, name), num_ends, calls))
            try:
                epoch(memory, 2)
                is_over = True
            except Ends:
                num_ends += 1
        memory.close()
        seen = Heatmaps.open(broken)
        assert np.array_equal(seen.averages_NL, averages[seen.header.epoch])
        memory = resume(broken)
        assert memory.epoch == 2
        epoch(memory, 2)
        memory.close()
        kept = {name: content for name, content in files_of(broken).items() if not name.endswith(".partial")}
        assert kept == files_of(tmp_path / "whole")
    assert num_ends > 30


def test_that_a_full_disk_is_said_and_the_epochs_before_stand(tmp_path, monkeypatch):
    memory, rng = make(tmp_path / "heat"), np.random.default_rng(6)
    do_epoch(memory, rng, 3)
    before = files_of(tmp_path / "heat")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("trainer.row_file.os.pwrite", full)
    with pytest.raises(StorageFailed, match=r"disk is full; those of epoch 1 stand; free some space and resume"):
        memory.put(np.array([0]), *values_of(rng, np.array([0]), 3))
    monkeypatch.setattr("trainer.row_file.os.pwrite", lambda _file, piece, _at: len(piece) // 2)
    with pytest.raises(StorageFailed, match="disk is full"):
        memory.put(np.array([0]), *values_of(rng, np.array([0]), 3))
    with pytest.raises(StorageFailed, match="could not be written"):
        make(tmp_path / "other")
    assert not (tmp_path / "other").exists()
    assert not (tmp_path / "other.partial").exists()
    monkeypatch.undo()
    after = files_of(tmp_path / "heat")
    assert {name for name in before if before[name] != after[name]} == {"header.json"}  # the other side is spoilt
    assert Heatmaps.open(tmp_path / "heat").header.other_epoch == -1
    do_epoch(memory, rng, 3)
    assert Heatmaps.open(tmp_path / "heat").header.epoch == 2


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


def test_that_what_a_stranger_s_heatmaps_hold_is_no_way_to_break_a_run(tmp_path):
    memory, rng = make(tmp_path / "old"), np.random.default_rng(13)
    do_epoch(memory, rng, 3)
    np.save(tmp_path / "old" / "contents.npy", np.array([b"\xff\xfe", *[b""] * 4], "S64"))
    np.save(tmp_path / "old" / "averages_b.npy", np.full((5, 3), np.nan, np.float32))
    known = Heatmaps.open(tmp_path / "old")
    assert known.is_stale(Image(1, 1, "a.jpg", 4, 4, sha256="0" * 64))
    averages, maps = make(tmp_path / "new", known=known).rows_before(np.arange(5))
    assert (averages == 0).all()
    assert np.isfinite(maps).all()


def test_that_damaged_files_are_refused(tmp_path):
    memory, rng = make(tmp_path / "heat"), np.random.default_rng(10)
    do_epoch(memory, rng, 3)
    memory.close()
    for name in ("maps_a.npy", "averages_b.npy", "scores.npy"):
        copy = tmp_path / f"without {name}"
        shutil.copytree(tmp_path / "heat", copy)
        content = (copy / name).read_bytes()
        for broken in (content[:-3], b"no array" + content[8:], content + b"more", b""):
            (copy / name).write_bytes(broken)
            with pytest.raises(BadInput, match=f"damaged.*{name}|{name} is damaged"):
                HeatMemory.resume(copy, 1)
        (copy / name).unlink()
        with pytest.raises(BadInput, match=name):
            HeatMemory.resume(copy, 1)
    with pytest.raises(BadInput, match="no heatmaps"):
        HeatMemory.resume(tmp_path / "nowhere", 1)


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

"""The memory of a consistency run: an epoch is whole or not there, and is done again exactly."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.domain.regions import Image
from locstudio.jobs.heatmaps import Heatmaps
from trainer.heat_memory import HeatMemory

sys.path.insert(0, str(Path(__file__).parent))
from remembered import do_epoch, files_of, make, values_of


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
        "from remembered import make, do_epoch, values_of\n"
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

"""Snapshots and backups."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from locstudio.domain.edits import add_regions
from locstudio.domain.errors import BadInput, DatasetInUse, NotAProject, StorageFailed
from locstudio.store import backup as backup_module
from locstudio.store.backup import Backup, backups_of, restore, superfluous
from locstudio.store.connections import connect
from locstudio.store.dataset import Dataset, ImageFilter, open_snapshot
from locstudio.store.snapshot import snapshot_hash


def test_that_a_snapshot_reads_like_the_dataset_at_its_revision(dataset: Dataset, make_region, tmp_path: Path):
    regions = [make_region(1, "a dog"), make_region(2, "a cat")]
    dataset.apply(add_regions(regions))
    info = dataset.snapshot(tmp_path / "snapshot.sqlite")
    dataset.apply(add_regions([make_region(3)]))
    assert (info.num_images, info.num_regions, info.revision) == (10, 2, dataset.revision() - 1)
    with open_snapshot(info.path) as frozen:
        assert frozen.is_read_only
        assert frozen.region_page() == regions
        assert frozen.images([1, 2]) == dataset.images([1, 2])
        assert frozen.regions_with_words("cat") == [regions[1].id]
        assert frozen.image_ids(ImageFilter(words="dog")).tolist() == [1]
        assert frozen.revision() == info.revision
        assert frozen.history() == []
        assert frozen.integrity() == []
        with pytest.raises(StorageFailed):
            frozen.apply(add_regions([make_region()]))
    assert sorted(os.listdir(tmp_path)) == ["project", "snapshot.sqlite"]


def test_that_equal_content_has_an_equal_hash_wherever_it_lies(dataset: Dataset, make_region, tmp_path: Path):
    region = make_region()
    dataset.apply(add_regions([region]))
    first = dataset.snapshot(tmp_path / "first.sqlite")
    dataset.undo()
    second = dataset.snapshot(tmp_path / "second.sqlite")
    dataset.redo()
    dataset.set_setting("a", "b")
    dataset.relink_root(1, tmp_path / "elsewhere")
    third = dataset.snapshot(tmp_path / "third.sqlite")
    assert first.sha256 == third.sha256 != second.sha256
    assert snapshot_hash(first.path) == first.sha256


def test_that_nothing_deleted_travels_with_a_snapshot(dataset: Dataset, make_region, tmp_path: Path):
    dataset.apply(add_regions([make_region(1, "something embarrassing")]))
    dataset.undo()
    dataset.set_setting("secret", "something embarrassing too")
    info = dataset.snapshot(tmp_path / "snapshot.sqlite")
    assert b"embarrassing" not in info.path.read_bytes()


def test_that_a_snapshot_says_where_its_roots_are_on_this_machine(dataset: Dataset, tmp_path: Path):
    info = dataset.snapshot(tmp_path / "snapshot.sqlite")
    with open_snapshot(info.path, {1: "/mnt/here"}) as frozen:
        assert frozen.image_file(frozen.images([1])[0]) == Path("/mnt/here/dir/image 0.jpg")


def test_that_a_snapshot_is_not_written_over_a_file(dataset: Dataset, tmp_path: Path):
    taken = tmp_path / "taken.sqlite"
    taken.write_text("mine")
    with pytest.raises(StorageFailed, match="already"):
        dataset.snapshot(taken)
    assert taken.read_text() == "mine"


def test_that_edits_queued_before_a_snapshot_are_in_it(dataset: Dataset, make_region, tmp_path: Path):
    for _ in range(20):
        dataset.apply_async(add_regions([make_region()]))
    assert dataset.snapshot(tmp_path / "snapshot.sqlite").num_regions == 20


def test_that_the_first_to_write_on_a_day_makes_a_backup_and_the_second_does_not(dataset: Dataset, project):
    dataset.close()
    assert backups_of(project) == []
    for _ in range(2):
        Dataset.open(project).close()
    assert [backup.reason for backup in backups_of(project)] == ["daily"]
    assert not list(project.backups.glob("*.partial*"))


def test_that_a_backup_can_be_put_back_and_what_it_replaces_is_kept(dataset: Dataset, project, make_region):
    first, second = make_region(), make_region()
    dataset.apply(add_regions([first]))
    path = dataset.backup()
    dataset.apply(add_regions([second]))
    with pytest.raises(DatasetInUse):
        restore(project, path)
    dataset.close()
    kept = restore(project, path)
    with Dataset.open(project) as again:
        assert again.region_page() == [first]
        assert again.integrity() == []
        with again._readers.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        again.undo()
    restore(project, kept)
    with Dataset.open(project) as again:
        assert again.region_page() == [first, second]


def test_that_a_backup_replaces_a_damaged_dataset_which_is_kept_as_it_is(dataset: Dataset, project, make_region):
    region = make_region()
    dataset.apply(add_regions([region]))
    path = dataset.backup()
    dataset.close()
    damaged = project.dataset_path.read_bytes()[:5000] + b"\xff" * 5000
    project.dataset_path.write_bytes(damaged)
    kept = restore(project, path)
    assert kept.read_bytes() == damaged
    with Dataset.open(project) as again:
        assert again.region_page() == [region]


def test_that_a_damaged_or_foreign_backup_is_refused_and_the_dataset_stays(dataset: Dataset, project, make_region):
    dataset.apply(add_regions([make_region()]))
    path = dataset.backup()
    dataset.close()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises((BadInput, StorageFailed), match="damaged"):
        restore(project, path)
    path.write_bytes(b"")
    with pytest.raises(NotAProject):
        restore(project, path)
    with Dataset.open(project) as again:
        assert again.count_regions() == 1


def test_that_seven_days_four_weeks_and_every_other_backup_are_kept():
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    daily = [Backup(Path(str(days)), now - timedelta(days=days), "daily", 1) for days in range(60)]
    others = [Backup(Path("m"), now - timedelta(days=400), "migration", 1)]
    gone = superfluous(daily + others)
    kept = [backup for backup in daily if backup not in gone]
    assert kept[:7] == daily[:7]
    weeks = [backup.at.isocalendar()[:2] for backup in kept[7:]]
    assert len(weeks) == len(set(weeks)) == 4
    assert others[0] not in gone


def test_that_backups_beyond_that_are_removed_when_a_new_one_is_made(dataset: Dataset, project):
    project.backups.mkdir(exist_ok=True)
    for days in range(1, 40):
        at = datetime.now(UTC) - timedelta(days=days)
        (project.backups / f"{at.strftime(backup_module._STAMP)}-daily.sqlite").write_bytes(b"x")
    (project.backups / "notes.sqlite").write_text("not ours")
    dataset.backup("daily")
    assert len([backup for backup in backups_of(project) if backup.reason == "daily"]) <= 11
    assert (project.backups / "notes.sqlite").exists()


def test_that_a_backup_is_one_file_that_opens_by_itself(dataset: Dataset):
    path = dataset.backup()
    connection = connect(path, "frozen")
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal"
    assert connection.execute("SELECT count(*) FROM image").fetchone()[0] == 10
    connection.close()

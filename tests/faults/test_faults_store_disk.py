"""Rows 5, 6, 8, 10, 18 and 62, 63 as far as they are the store's: nothing half saved, and a sentence."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from locstudio.domain.edits import add_regions, change_regions
from locstudio.domain.errors import EditConflict, StorageFailed
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Origin, Region
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

BOX = UnitBox(0.1, 0.1, 0.5, 0.5)


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Dataset]:
    with Dataset.create(create_project(tmp_path / "project")) as opened:
        root = opened.add_root(tmp_path)
        opened.add_images([Image(0, root.id, f"{number}.jpg", 10, 10) for number in range(3)])
        yield opened


def fill_the_disk(dataset: Dataset) -> None:
    """Let the writer's file grow no more."""

    def work(connection):
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    dataset._writer.run_outside(work)


def test_row_5_that_a_full_disk_is_said_and_nothing_is_lost(dataset: Dataset):
    kept = Region(dataset.next_region_id(), 1, BOX, "a dog")
    dataset.apply(add_regions([kept]))
    fill_the_disk(dataset)
    long = [Region(dataset.next_region_id(), 2, BOX, f"word{number} " * 400) for number in range(50)]
    revision = dataset.revision()
    with pytest.raises(StorageFailed, match="Not saved: the disk is full") as refused:
        dataset.apply(add_regions(long))
    assert refused.value.exit_status == 5
    assert dataset.region_page() == [kept]
    assert dataset.revision() == revision
    assert len(dataset.history()) == 1
    dataset.apply(add_regions(long))  # the same edit again, once there is space
    assert dataset.count_regions() == 51
    assert dataset.integrity() == []


def test_row_6_that_images_that_do_not_fit_leave_whole_pieces_only(dataset: Dataset):
    fill_the_disk(dataset)
    with pytest.raises(StorageFailed, match="disk is full"):
        dataset.add_images([Image(0, 1, f"new/{number} {'x' * 200}.jpg", 1, 1) for number in range(2000)])
    assert dataset.count_images() == 3
    assert dataset.integrity() == []


def test_row_18_that_a_deleted_file_is_noticed_before_anything_is_said_to_be_saved(dataset: Dataset):
    moved = dataset.path.with_name("moved.sqlite")
    dataset.path.rename(moved)
    with pytest.raises(StorageFailed, match="deleted or replaced"):
        dataset.apply(add_regions([Region(dataset.next_region_id(), 1, BOX)]))
    moved.rename(dataset.path)
    dataset.apply(add_regions([Region(dataset.next_region_id(), 1, BOX)]))
    assert dataset.count_regions() == 1


def test_row_10_that_an_error_of_the_disk_at_commit_is_a_failed_commit(dataset: Dataset, monkeypatch):
    from sqlalchemy.exc import OperationalError

    from locstudio.store import writer

    def broken(connection):
        raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    region = Region(dataset.next_region_id(), 1, BOX)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "bump_revision", broken)
        with pytest.raises(StorageFailed, match="disk reported an error"):
            dataset.apply(add_regions([region]))
    assert dataset.count_regions() == 0
    dataset.apply(add_regions([region]))
    assert dataset.region_page() == [region]


def test_row_62_that_the_same_images_and_regions_again_add_nothing(dataset: Dataset):
    images = dataset.images([1, 2, 3])
    region = Region(dataset.next_region_id(), 1, BOX, origin=Origin.IMPORTED, source="coco", external_id="7")
    dataset.apply(add_regions([region], "Import"), actor="import", group="import-1")
    assert dataset.add_images(images) == [1, 2, 3]
    with pytest.raises(EditConflict):
        dataset.apply(add_regions([region], "Import"), actor="import", group="import-2")
    assert dataset.count_images() == 3
    assert dataset.region_page() == [region]


def test_row_63_that_an_import_made_against_an_older_value_never_overwrites_a_persons_correction(dataset: Dataset):
    imported = Region(dataset.next_region_id(), 1, BOX, "dog", origin=Origin.IMPORTED, source="coco", external_id="7")
    dataset.apply(add_regions([imported], "Import"), actor="import")
    corrected = replace(imported, phrase="a small dog")
    dataset.apply(change_regions([(imported, corrected)], "Correct"))
    (mine,) = dataset.region_page()
    assert mine.origin is Origin.EDITED
    with pytest.raises(EditConflict, match="changed since"):
        dataset.apply(change_regions([(imported, replace(imported, phrase="cat"))], "Import"), actor="import")
    assert dataset.region_page() == [mine]


def test_that_readers_never_wait_for_the_writer_and_never_see_half_an_edit(dataset: Dataset):
    stop = threading.Event()
    seen: set[int] = set()
    failures: list[Exception] = []

    def read() -> None:
        try:
            while not stop.is_set():
                seen.add(dataset.count_regions() % 10)
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        dataset.apply(add_regions([Region(dataset.next_region_id(), 1, BOX) for _ in range(10)]))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen == {0}


def test_row_26_that_a_library_with_the_wal_reset_bug_gets_the_delete_journal(dataset: Dataset, monkeypatch):
    from locstudio.store import connections

    def journal_of(opened: Dataset) -> str:
        return opened._writer.run_outside(lambda connection: connection.exec_driver_sql("PRAGMA journal_mode").scalar())

    assert journal_of(dataset) == "wal"
    dataset.close()
    with monkeypatch.context() as patch:
        patch.setattr(connections, "journal_mode", lambda: "delete")
        with Dataset.open(dataset.project) as careful:
            assert journal_of(careful) == "delete"
            careful.apply(add_regions([Region(careful.next_region_id(), 1, BOX)]))
    with Dataset.open(dataset.project) as again:
        assert journal_of(again) == "wal"
        assert again.count_regions() == 1

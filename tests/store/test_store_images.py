"""Images, roots, classes, records: what is put in comes out."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locstudio.domain.edits import Edit, ImageChange
from locstudio.domain.regions import Image, Problem
from locstudio.store.dataset import CheckpointRow, Dataset, RunRow
from locstudio.store.project import create_project, find_project
from locstudio.store.rows import path_of, stored_path


def test_that_the_same_images_again_are_the_same_rows(dataset: Dataset):
    images = dataset.images(list(range(1, 11)))
    assert dataset.add_images(list(reversed(images))) == list(range(10, 0, -1))
    assert dataset.count_images() == 10


def test_that_a_scan_leaves_what_a_person_said_and_takes_what_the_file_says(dataset: Dataset):
    image = dataset.images([1])[0]
    dataset.apply(Edit("Verify", (ImageChange(image, replace(image, is_verified=True, split="test")),)))
    seen = replace(image, width=9, problem=Problem.DAMAGED, note="The file ends early.", is_verified=False, split="")
    dataset.add_images([seen])
    assert dataset.image(1) == replace(seen, is_verified=True, split="test")


def test_that_a_known_hash_stays_while_size_and_date_stay(dataset: Dataset):
    image = replace(dataset.images([1])[0], sha256="12" * 32, size_bytes=5, mtime_ns=7)
    dataset.add_images([image])
    dataset.add_images([replace(image, sha256="")])
    assert dataset.images_with_content("12" * 32) == [image]
    dataset.add_images([replace(image, sha256="", mtime_ns=8)])
    assert dataset.image(1).sha256 == ""


def test_that_one_path_twice_in_one_call_is_one_image(dataset: Dataset):
    twice = [Image(0, 1, "new.jpg", 1, 1), Image(0, 1, "new.jpg", 2, 2)]
    assert dataset.add_images(twice) == [11, 11]
    assert dataset.image(11).width == 2


@pytest.mark.parametrize(
    "name", ["caf\udce9.jpg", "new\nline.jpg", "emoji 🐕.png", "\x1a.jpg", "e\u0301.jpg", "a" * 255]
)
def test_that_any_name_a_file_system_gives_comes_back_as_it_was(dataset: Dataset, name: str):
    (key,) = dataset.add_images([Image(0, 1, f"dir/{name}", 3, 4)])
    image = dataset.image(key)
    assert image.name == name
    assert dataset.images_at(1, [image.path]) == {image.path: image}
    changed = replace(image, split="val")
    dataset.apply(Edit("Split", (ImageChange(image, changed),)))
    dataset.undo()
    assert dataset.image(key) == image


@given(raw=st.binary(min_size=1, max_size=40).filter(lambda raw: 0 not in raw))
def test_that_bytes_of_a_path_survive_the_database(raw: bytes):
    path = raw.decode("utf-8", "surrogateescape")
    stored = stored_path(path)
    assert stored.encode("utf-8").decode() == stored
    assert path_of(stored) == path


def test_that_images_are_found_by_path_by_name_and_by_a_part_of_it(dataset: Dataset):
    for name in ("dir/image 3.jpg", "image 3.jpg", "age 3"):
        assert [image.id for image in dataset.images_named(name)] == [4]
    assert len(dataset.images_named("image", limit=4)) == 4
    assert dataset.images_named("%") == []


def test_that_a_moved_root_takes_its_images_along(dataset: Dataset, tmp_path: Path):
    image = dataset.images([1])[0]
    assert dataset.image_file(image) == tmp_path / "images" / "dir" / "image 0.jpg"
    dataset.relink_root(image.root_id, tmp_path / "elsewhere")
    assert dataset.image_file(image) == tmp_path / "elsewhere" / "dir" / "image 0.jpg"
    assert dataset.add_root(tmp_path / "elsewhere").id == image.root_id


def test_that_unknown_identities_are_left_out_and_order_is_kept(dataset: Dataset):
    assert [image.id for image in dataset.images([7, 99, 2])] == [7, 2]
    assert dataset.image(99) is None
    assert dataset.regions_of_images([3, 4]) == {3: [], 4: []}


def test_that_one_checkpoint_is_active_or_none(dataset: Dataset):
    assert dataset.active_checkpoint() is None
    dataset.record_run(RunRow("run-1", "cloc", revision=4))
    dataset.record_run(RunRow("run-1", "cloc", status="done", ended_at="now", revision=4))
    for name in ("a", "b"):
        dataset.record_checkpoint(CheckpointRow(f"cloc-{name}", "cloc", name, f"runs/{name}", run_id="run-1"))
        dataset.activate_checkpoint(f"cloc-{name}")
    dataset.record_checkpoint(CheckpointRow("cloc-b", "cloc", "renamed", "runs/b"))
    assert [run.status for run in dataset.runs()] == ["done"]
    active = dataset.active_checkpoint()
    assert active is not None
    assert (active.id, active.name) == ("cloc-b", "renamed")
    with pytest.raises(LookupError):
        dataset.activate_checkpoint("cloc-c")
    assert dataset.active_checkpoint() == active
    dataset.activate_checkpoint("")
    assert dataset.active_checkpoint() is None


def test_that_a_checkpoint_of_another_model_leaves_the_active_one_in_use(dataset: Dataset):
    dataset.record_checkpoint(CheckpointRow("cloc-a", "cloc", "a", "runs/a"))
    dataset.record_checkpoint(CheckpointRow("consistency-b", "consistency", "b", "runs/b"))
    dataset.activate_checkpoint("cloc-a")
    dataset.activate_checkpoint("consistency-b")
    active = [dataset.active_checkpoint(), dataset.active_checkpoint("consistency")]
    assert [row and row.id for row in active] == ["cloc-a", "consistency-b"]
    dataset.activate_checkpoint("", "consistency")
    assert dataset.active_checkpoint("consistency") is None
    assert dataset.active_checkpoint() == active[0]


def test_that_settings_and_searches_are_remembered(dataset: Dataset, project):
    dataset.set_setting("gallery.size", "192")
    dataset.save_search("dogs", '{"text": "dog"}')
    dataset.save_search("dogs", '{"text": "dogs"}')
    dataset.close()
    with Dataset.open(project) as again:
        assert again.get_setting("gallery.size") == "192"
        assert again.get_setting("unknown", "default") == "default"
        (search,) = again.saved_searches()
        assert search.query == '{"text": "dogs"}'
        again.forget_search(search.id)
        assert again.saved_searches() == []


def test_that_the_revision_grows_with_every_write_and_survives(dataset: Dataset, project):
    before = dataset.revision()
    dataset.set_setting("a", "b")
    assert dataset.revision() == before + 1
    dataset.close()
    with Dataset.open(project, read_only=True) as again:
        assert again.revision() == before + 1


def test_that_a_project_is_found_from_its_file_and_from_inside(dataset: Dataset, project):
    for place in (project.path, project.dataset_path, project.runs):
        assert find_project(place) == project


def test_that_a_project_is_not_made_over_another(dataset: Dataset, project):
    from locstudio.domain.errors import StorageFailed

    with pytest.raises(StorageFailed, match="already"):
        create_project(project.path)

"""Making a collection from folders, and keeping up with the files: FAULTS.md rows 28, 38, 41 to 44."""

import os
import shutil
from dataclasses import replace

import platformdirs
import pytest
from PIL import Image

from locstudio.domain.edits import Edit, ImageChange, add_regions
from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Problem, Region
from locstudio.services.collection import (
    accept_changed,
    add_folder,
    new_project,
    open_images,
    project_for_images,
    refresh,
)
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project, find_project


def picture(path, shade=9, size=(20, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, shade, shade)).save(path, format="PNG")
    return path


@pytest.fixture
def images(tmp_path):
    for number, name in enumerate(("a.png", "b.png", "sub/c.png")):
        picture(tmp_path / "images" / name, number)
    return tmp_path / "images"


@pytest.fixture
def dataset(tmp_path, images):
    with Dataset.create(create_project(tmp_path / "project")) as opened:
        add_folder(opened, images)
        yield opened


def draw_on(dataset, image_id):
    dataset.apply(add_regions([Region(dataset.next_region_id(), image_id, UnitBox(0, 0, 1, 1))]))


def problems(dataset):
    return {image.path: str(image.problem) for image in dataset.image_page()}


def test_that_a_new_project_holds_the_pictures_of_its_folders(tmp_path, images):
    (images / "notes.txt").write_text("words")
    (images / "drawing.svg").write_text("<svg/>")
    (images / "broken.jpg").write_text("words")
    report = new_project(tmp_path / "project", [images])
    assert (report.added, report.known, len(report.skipped)) == (4, 0, 1)
    assert report.problems == {"unreadable": 1}
    assert report.to_text().splitlines() == [
        "4 images added, 0 known, 1 file skipped, 1 unreadable.",
        "  broken.jpg is a text file; LocStudio reads JPEG, PNG, WebP, BMP, TIFF, GIF and AVIF.",
        "  drawing.svg is a SVG file; LocStudio reads JPEG, PNG, WebP, BMP, TIFF, GIF and AVIF.",
    ]
    assert report.to_json()["problems"] == {"unreadable": 1}
    with Dataset.open(find_project(tmp_path / "project"), read_only=True) as dataset:
        image = dataset.image_page()[0]
        assert (image.path, image.width, image.height, image.format) == ("a.png", 20, 10, "PNG")
        assert len(image.sha256) == 64


def test_that_a_folder_that_is_not_there_makes_no_project(tmp_path):
    with pytest.raises(BadInput, match="nowhere is not a folder"):
        new_project(tmp_path / "project", [tmp_path / "nowhere"])
    assert not (tmp_path / "project").exists()


def test_that_a_project_does_not_go_into_its_own_image_folder(images):
    with pytest.raises(BadInput, match="Choose a place for the project outside"):
        new_project(images / "project", [images])
    assert not (images / "project").exists()


def test_that_a_project_is_not_made_over_another(tmp_path, images):
    new_project(tmp_path / "project", [images])
    with pytest.raises(StorageFailed, match="is a LocStudio project already"):
        new_project(tmp_path / "project", [images])


def test_that_the_project_of_an_image_folder_lies_in_the_persons_data_and_is_found_again(tmp_path, images):
    path = project_for_images(images)
    assert path.parent == platformdirs.user_data_path("locstudio") / "projects"
    assert path.name.startswith("images-")
    assert project_for_images(tmp_path / "sub" / ".." / "images") == path
    assert project_for_images(tmp_path / "other" / "images") != path
    before = sorted(images.rglob("*"))
    project = open_images(images)
    picture(images / "new.png", 77)
    assert open_images(images) == project
    with Dataset.open(project, read_only=True) as dataset:
        assert dataset.count_images() == 3
    (images / "new.png").unlink()
    assert sorted(images.rglob("*")) == before


def test_that_adding_a_folder_again_adds_only_what_is_new(dataset, images):
    picture(images / "new.png", 77)
    report = add_folder(dataset, images)
    assert (report.added, report.known) == (1, 3)


def test_that_a_folder_inside_or_around_a_known_one_shares_its_images(dataset, images, tmp_path):
    assert add_folder(dataset, images / "sub").known == 1
    picture(tmp_path / "around.png", 50)
    report = add_folder(dataset, tmp_path)
    assert (report.added, report.known) == (1, 3)
    assert len(dataset.roots()) == 2
    assert dataset.count_images() == 4


def test_that_adding_stops_soon_after_it_is_cancelled(tmp_path, images):
    with Dataset.create(create_project(tmp_path / "project")) as dataset:
        report = add_folder(dataset, images, cancel=lambda: True)
    assert (report.added, report.is_cancelled) == (0, True)
    assert "stopped early" in report.to_text()


def test_row_38_a_linked_folder_of_images_is_one_folder(dataset, images, tmp_path):
    (tmp_path / "link").symlink_to(images)
    assert add_folder(dataset, tmp_path / "link").known == 3


def test_row_39_a_name_of_any_bytes_is_kept_and_opened(dataset, images):
    name = os.fsdecode(b"caf\xe9\n.png")
    picture(images / name, 60)
    add_folder(dataset, images)
    (image,) = dataset.images_at(1, [name]).values()
    assert dataset.image_file(image).exists()
    assert refresh(dataset).missing == 0


def test_row_41_a_deleted_file_is_marked_missing_and_its_regions_stay(dataset, images):
    draw_on(dataset, 1)
    (images / "a.png").rename(images.parent / "elsewhere")
    report = refresh(dataset)
    assert (report.missing, problems(dataset)["a.png"]) == (1, "missing")
    assert dataset.image(1).note == "a.png is missing."
    assert len(dataset.regions_of(1)) == 1
    (images.parent / "elsewhere").rename(images / "a.png")
    report = refresh(dataset)
    assert (report.missing, report.returned, problems(dataset)["a.png"]) == (0, 1, "")


def test_row_41_a_folder_that_is_gone_marks_its_images_until_it_is_back(dataset, images):
    images.rename(images.parent / "unplugged")
    assert refresh(dataset).missing == 3
    (images.parent / "unplugged").rename(images)
    assert refresh(dataset).returned == 3
    assert set(problems(dataset).values()) == {""}


def test_row_42_a_replaced_picture_with_regions_is_marked_changed_until_the_old_one_is_back(dataset, images):
    draw_on(dataset, 1)
    shutil.copy2(images / "a.png", images.parent / "old")
    picture(images / "a.png", 200, (30, 30))
    for _ in range(2):
        assert (refresh(dataset).changed, problems(dataset)["a.png"]) == (1, "changed")
    assert dataset.image(1).note == "a.png was replaced by another picture since its regions were drawn."
    shutil.copy2(images.parent / "old", images / "a.png")
    assert (refresh(dataset).returned, problems(dataset)["a.png"]) == (1, "")


def test_row_42_a_person_may_say_that_the_new_picture_is_meant(dataset, images):
    draw_on(dataset, 1)
    verified = dataset.image(1)
    dataset.apply(Edit("Verify", (ImageChange(verified, replace(verified, is_verified=True)),)))
    picture(images / "a.png", 200, (30, 40))
    refresh(dataset)
    accept_changed(dataset, [1])
    image = dataset.image(1)
    assert (image.problem, image.width, image.height, image.is_verified) == (Problem.NONE, 30, 40, True)
    assert refresh(dataset).to_text() == "3 images checked: nothing has changed."


def test_row_42_a_replaced_picture_without_regions_is_simply_read_again(dataset, images):
    picture(images / "a.png", 200, (30, 40))
    assert refresh(dataset).updated == 1
    assert (dataset.image(1).width, dataset.image(1).problem) == (30, Problem.NONE)


def test_that_a_file_with_a_new_date_and_the_same_content_is_the_same_picture(dataset, images):
    draw_on(dataset, 1)
    os.utime(images / "a.png", (1, 1))
    report = refresh(dataset)
    assert (report.changed, report.updated, problems(dataset)["a.png"]) == (0, 0, "")
    assert dataset.image(1).mtime_ns == 10**9


def test_row_43_a_renamed_or_moved_file_is_found_again_by_its_content(dataset, images):
    draw_on(dataset, 1)
    (images / "deep").mkdir()
    (images / "a.png").rename(images / "deep" / "renamed.png")
    report = refresh(dataset)
    assert (report.missing, report.relinked, report.new_files) == (0, 1, 0)
    image = dataset.image(1)
    assert (image.path, image.problem) == ("deep/renamed.png", Problem.NONE)
    assert len(dataset.regions_of(1)) == 1
    assert dataset.history()[0].title == "Find renamed image"


def test_row_43_a_moved_file_in_another_folder_is_found_when_that_folder_is_added(dataset, images, tmp_path):
    draw_on(dataset, 1)
    (tmp_path / "other").mkdir()
    (images / "a.png").rename(tmp_path / "other" / "z.png")
    report = add_folder(dataset, tmp_path / "other")
    assert (report.added, report.relinked) == (0, 1)
    assert dataset.image_file(dataset.image(1)) == tmp_path / "other" / "z.png"


def test_row_44_a_second_copy_is_added_and_counted(dataset, images):
    shutil.copy(images / "a.png", images / "copy.png")
    shutil.copy(images / "a.png", images / "copy2.png")
    report = add_folder(dataset, images)
    assert (report.added, report.duplicates, report.relinked) == (2, 2, 0)
    assert refresh(dataset).relinked == 0


def test_that_new_files_are_counted_but_not_taken_in_by_a_refresh(dataset, images):
    picture(images / "new.png", 77)
    report = refresh(dataset)
    assert (report.new_files, dataset.count_images()) == (1, 3)
    assert report.to_text() == "3 images checked: 1 new in the folders."

"""Taking in captions: beside and inside images, once, undoable, and never over what a person has made of them."""

from dataclasses import replace

import pytest
from PIL import Image as Picture

from locstudio.domain.edits import CaptionChange, Edit
from locstudio.domain.errors import StorageFailed
from locstudio.domain.regions import Caption, Image, Origin
from locstudio.services.captioning import take_captions_in


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "images"
    path.mkdir()
    return path


@pytest.fixture
def images(dataset, folder):
    """Three pictures: with words in the file, beside it, and none."""
    exif = Picture.Exif()
    exif[0x010E] = "A dog in the file"
    picture = Picture.new("RGB", (8, 6), "red")
    picture.save(folder / "inside.jpg", exif=exif)
    picture.save(folder / "beside.jpg")
    picture.save(folder / "none.jpg")
    (folder / "beside.txt").write_text("A dog beside it\nA cat beside it\n")
    root = dataset.add_root(folder)
    names = ("inside.jpg", "beside.jpg", "none.jpg")
    return dataset.images(dataset.add_images([Image(0, root.id, name, 8, 6) for name in names]))


def captions_of(dataset, image):
    return [(caption.text, caption.source) for caption in dataset.captions_of(image.id)]


def test_that_captions_come_in_with_their_source_in_one_undo_step(dataset, images):
    report = take_captions_in(dataset)
    assert captions_of(dataset, images[0]) == [("A dog in the file", "metadata")]
    assert captions_of(dataset, images[1]) == [("A dog beside it", "sidecar"), ("A cat beside it", "sidecar")]
    assert captions_of(dataset, images[2]) == []
    assert all(caption.origin is Origin.IMPORTED for caption in dataset.captions_of(images[1].id))
    assert (report.num_images, report.num_added, report.num_notes) == (3, 3, 0)
    assert [entry.title for entry in dataset.history()] == ["Take in captions"]
    dataset.undo()
    assert not any(captions_of(dataset, image) for image in images)


def test_that_many_batches_are_one_undo_step(dataset, images, monkeypatch):
    monkeypatch.setattr("locstudio.services.captioning.IMAGES_PER_EDIT", 1)
    assert take_captions_in(dataset).num_added == 3
    dataset.undo()
    assert not any(captions_of(dataset, image) for image in images)


def test_that_a_second_time_adds_nothing(dataset, images):
    take_captions_in(dataset)
    revision = len(dataset.history())
    report = take_captions_in(dataset)
    assert (report.num_added, report.num_known, report.num_updated) == (0, 3, 0)
    assert len(dataset.history()) == revision


def test_that_after_an_undo_everything_may_come_again(dataset, images):
    take_captions_in(dataset)
    dataset.undo()
    assert take_captions_in(dataset).num_added == 3


def test_that_one_source_and_some_images_can_be_chosen(dataset, images):
    assert take_captions_in(dataset, ["metadata"]).num_added == 1
    assert take_captions_in(dataset, ["sidecar"], image_ids=[images[0].id, images[2].id]).num_added == 0
    assert captions_of(dataset, images[1]) == []


def test_that_a_file_which_says_something_new_changes_its_caption(dataset, images, folder):
    take_captions_in(dataset)
    before = dataset.captions_of(images[1].id)[0]
    (folder / "beside.txt").write_text("A horse beside it\nA cat beside it\n")
    report = take_captions_in(dataset)
    assert (report.num_updated, report.num_known) == (1, 2)
    assert dataset.captions_of(images[1].id)[0] == replace(before, text="A horse beside it")


def test_that_what_a_person_has_edited_or_deleted_stays_as_she_made_it(dataset, images, folder):
    take_captions_in(dataset)
    first, second = dataset.captions_of(images[1].id)
    edited = replace(first, text="A very small dog", origin=Origin.EDITED)
    dataset.apply(Edit("Edit", (CaptionChange(first, edited), CaptionChange(second, None))))
    report = take_captions_in(dataset)
    assert (report.num_added, report.num_kept) == (0, 2)
    assert dataset.captions_of(images[1].id) == [edited]
    (folder / "beside.txt").write_text("Something else\nAnd something else again\n")
    assert take_captions_in(dataset).num_kept == 2
    assert dataset.captions_of(images[1].id) == [edited]


def test_that_what_an_image_has_as_a_caption_already_is_not_added_again(dataset, images):
    own = Caption(dataset.next_caption_id(), images[0].id, "A dog in the file", Origin.HUMAN)
    dataset.apply(Edit("Caption", (CaptionChange(None, own),)))
    report = take_captions_in(dataset)
    assert dataset.captions_of(images[0].id) == [own]
    assert (report.num_added, report.num_known) == (2, 1)


def test_that_a_cancelled_taking_in_says_so_and_goes_on_later(dataset, images, monkeypatch):
    monkeypatch.setattr("locstudio.services.captioning.IMAGES_PER_EDIT", 1)
    seen = []
    report = take_captions_in(dataset, progress=lambda *done: seen.append(done), cancel=lambda: len(seen) == 1)
    assert report.is_cancelled
    assert seen == [(1, 3)]
    assert "stopped early" in report.to_text()
    assert take_captions_in(dataset).num_added + report.num_added == 3


def test_that_a_missing_image_and_a_broken_file_are_notes(dataset, images, folder):
    (folder / "inside.jpg").unlink()
    (folder / "none.json").write_text("{")
    report = take_captions_in(dataset)
    assert report.num_added == 2
    assert report.num_notes == 2
    assert "none.json is ignored" in report.to_text()
    assert report.to_json()["num_notes"] == 2
    assert len(report.to_json()["notes"]) == 2


def test_that_captions_which_could_not_be_written_come_with_the_next_time(dataset, images, folder, monkeypatch):
    (folder / "none.txt").write_text("A bird beside it\n")
    monkeypatch.setattr("locstudio.services.captioning.IMAGES_PER_EDIT", 1)
    write, edits = dataset.apply, []

    def refused(edit, **how):
        edits.append(edit)
        if len(edits) == 3:
            raise StorageFailed("The disk is full.")
        return write(edit, **how)

    monkeypatch.setattr(dataset, "apply", refused)
    with pytest.raises(StorageFailed):
        take_captions_in(dataset)
    monkeypatch.setattr(dataset, "apply", write)

    report = take_captions_in(dataset)

    assert (report.num_added, report.num_kept) == (1, 0)
    assert captions_of(dataset, images[2]) == [("A bird beside it", "sidecar")]

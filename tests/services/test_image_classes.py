"""What class an image shows, put right in one edit that undo takes back."""

import pytest
from PIL import Image as PillowImage

from locstudio.domain.edits import ClassChange, Edit, LabelChange, RegionChange
from locstudio.domain.errors import UserError
from locstudio.domain.geometry import UnitBox
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import LabelClass, Origin, Region, Review
from locstudio.services.collection import new_project
from locstudio.services.image_classes import classes_of_images, say_instead
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

DOG, CAT, OLD = 1, 2, 3


@pytest.fixture
def dataset(tmp_path):
    """Two images: the first is labelled a dog, the second has a box of one."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        PillowImage.new("RGB", (32, 24), (200, 90, 40)).save(folder / name)
    new_project(tmp_path / "p", [folder])
    with Dataset.open(Project(tmp_path / "p")) as made:
        entries = (LabelClass(DOG, "dog", "#56b4e9"), LabelClass(CAT, "cat", "#e69f00"))
        entries += (LabelClass(OLD, "old", "#999999", is_retired=True),)
        made.apply(Edit("Classes", tuple(ClassChange(None, entry) for entry in entries)))
        made.apply(Edit("Label", (LabelChange(None, ImageLabel(1, DOG, origin=Origin.IMPORTED)),)))
        box = Region(1, 2, UnitBox(0.1, 0.1, 0.5, 0.5), "", DOG, Review.PENDING, Origin.IMPORTED)
        made.apply(Edit("Box", (RegionChange(None, box),)))
        yield made


def test_that_the_other_class_is_denied_and_its_boxes_change(dataset):
    edit = say_instead(dataset, {1: DOG, 2: DOG}, CAT)
    assert edit.title == "Change the class of 2 images to “cat”"
    dataset.apply(edit)
    said = {(label.class_id, label.presence) for label in dataset.labels_of(1)}
    assert said == {(DOG, Presence.NEGATIVE), (CAT, Presence.POSITIVE)}
    (box,) = dataset.regions_of(2)
    assert (box.class_id, box.origin) == (CAT, Origin.EDITED)
    assert classes_of_images(dataset, [1, 2]) == {1: (CAT,), 2: (CAT,)}
    dataset.undo()
    assert classes_of_images(dataset, [1, 2]) == {1: (DOG,), 2: (DOG,)}
    assert dataset.labels_of(2) == []


def test_that_an_image_without_a_class_gets_one(dataset):
    dataset.apply(Edit("Take back", (LabelChange(dataset.labels_of(1)[0], None),)))
    edit = say_instead(dataset, {1: 0}, CAT)
    assert edit.title == "Say that it shows “cat”"
    dataset.apply(edit)
    assert classes_of_images(dataset, [1]) == {1: (CAT,)}
    assert not say_instead(dataset, {1: 0}, CAT).changes
    assert not say_instead(dataset, {1: CAT}, CAT).changes


def test_that_locked_boxes_stay_and_are_named(dataset):
    (box,) = dataset.regions_of(2)
    locked = Region(1, 2, box.box, "", DOG, Review.PENDING, Origin.IMPORTED, is_locked=True)
    dataset.apply(Edit("Lock", (RegionChange(box, locked),)))
    with pytest.raises(UserError, match="locked"):
        say_instead(dataset, {2: DOG}, CAT)
    edit = say_instead(dataset, {1: DOG, 2: DOG}, CAT)
    assert edit.title == "Change the class “dog” to “cat” (1 with locked boxes left out)"


def test_that_a_class_that_is_not_in_use_is_refused(dataset):
    for gone in (OLD, 99):
        with pytest.raises(UserError, match="not in use"):
            say_instead(dataset, {1: DOG}, gone)


def test_that_what_is_denied_shows_nothing_also_with_boxes(dataset):
    dataset.apply(Edit("Deny", (LabelChange(None, ImageLabel(2, DOG, Presence.NEGATIVE)),)))
    assert classes_of_images(dataset, [1, 2]) == {1: (DOG,), 2: ()}

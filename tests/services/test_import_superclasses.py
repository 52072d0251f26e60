"""COCO's supercategory: written for every class, and read where a person asks for it and a class has none."""

import json
from dataclasses import replace

import pytest
from PIL import Image as PillowImage

from locstudio.cli import main
from locstudio.domain.edits import ClassChange, Edit, ImageChange
from locstudio.domain.regions import LabelClass
from locstudio.interchange import rows
from locstudio.services.collection import add_folder
from locstudio.services.exporting import export_annotations
from locstudio.services.importing import import_annotations
from locstudio.services.superclasses import made, read_grouping
from locstudio.store.dataset import Dataset


@pytest.fixture
def dataset(project, tmp_path):
    """One image, and the class bus in the superclass "my cars"."""
    (tmp_path / "images").mkdir()
    PillowImage.new("RGB", (20, 10)).save(tmp_path / "images" / "a.png")
    with Dataset.create(project) as opened:
        add_folder(opened, tmp_path / "images")
        bus = LabelClass(opened.next_class_id(), "bus", "#000000")
        opened.apply(Edit("Class", (ClassChange(None, bus),)))
        opened.apply(made(read_grouping(opened), opened.next_superclass_id(), "my cars", [bus.id]))
        yield opened


@pytest.fixture
def file(tmp_path):
    """Writes a COCO file of these categories: pairs of name and supercategory."""

    def write(*categories):
        image = {"id": 1, "file_name": "a.png", "width": 20, "height": 10}
        listed = [
            {"id": number, "name": name, **({} if group is None else {"supercategory": group})}
            for number, (name, group) in enumerate(categories, 1)
        ]
        path = tmp_path / "coco.json"
        path.write_text(json.dumps({"images": [image], "annotations": [], "categories": listed}))
        return path

    return write


def groups(dataset: Dataset) -> dict[str, list[str]]:
    found = read_grouping(dataset)
    named = {each.name: [entry.name for entry in found.members_of(each.id)] for each in found.superclasses}
    return named | {"": [entry.name for entry in found.members_of(None)]}


def imported(dataset, path, tmp_path, **options):
    return import_annotations(dataset, path, tmp_path / "images", format="coco", **options)


def test_that_superclasses_of_a_file_are_offered_and_taken_only_where_a_person_asks(dataset, file, tmp_path):
    path = file(("cat", "animal"), ("dog", " Animal "), ("bus", "vehicle"), ("tree", None), ("rock", "none"))
    report = imported(dataset, path, tmp_path)
    (offer,) = report.offers
    assert offer == "The file names 2 superclasses; import again and let classes without one be put into them."
    assert groups(dataset) == {"my cars": ["bus"], "": ["cat", "dog", "tree", "rock"]}
    report = imported(dataset, path, tmp_path, group_classes=True)
    assert groups(dataset) == {"my cars": ["bus"], "animal": ["cat", "dog"], "": ["tree", "rock"]}
    assert (report.num_classes_grouped, report.offers) == (2, [])
    assert [(note.reason, note.detail) for note in report.notes] == [
        ("it is in another superclass already, and stays there", "vehicle, not my cars")
    ]
    step = dataset.history()[0]
    assert (step.title, step.actor, step.num_changes) == ("Import coco.json", "import", 3)
    assert imported(dataset, path, tmp_path, group_classes=True).num_classes_grouped == 0
    assert dataset.history()[0].id == step.id
    dataset.undo()
    assert groups(dataset)[""] == ["cat", "dog", "tree", "rock"]
    assert dataset.integrity() == []


def test_that_new_classes_and_their_superclasses_are_one_undo_step(dataset, file, tmp_path):
    imported(dataset, file(("cat", "animal"), ("CAT", "beast")), tmp_path, group_classes=True)
    assert groups(dataset) == {"my cars": ["bus"], "animal": ["cat"], "": []}
    dataset.undo()
    assert groups(dataset) == {"my cars": ["bus"], "": []}


@pytest.mark.parametrize("group", [7, None, ["animal"], {"a": 1}, "x" * 100_000, "", " None ", "\x00\x07", "y" * 101])
def test_that_a_strange_supercategory_leaves_the_class_without_one(dataset, file, tmp_path, group):
    report = imported(dataset, file(("cat", group), ("dog", "animal")), tmp_path, group_classes=True)
    assert groups(dataset) == {"my cars": ["bus"], "animal": ["dog"], "": ["cat"]}
    assert report.num_rejected == 0


def test_that_an_export_says_each_class_s_superclass_and_comes_back_whole(dataset, tmp_path, project, capsys):
    cat = LabelClass(dataset.next_class_id(), "cat", "#000000")
    dataset.apply(Edit("Class", (ClassChange(None, cat),)))
    out = tmp_path / "out.json"
    export_annotations(dataset, out, format="coco")
    written = {row["name"]: row["supercategory"] for row in json.loads(out.read_text())["categories"]}
    assert written == {"bus": "my cars", "cat": "", "no class": ""}
    image = dataset.image(1)
    dataset.apply(Edit("Verify", (ImageChange(image, replace(image, is_verified=True)),)))
    report = export_annotations(dataset, tmp_path / "out", format="yolo")
    assert report.left_out["superclasses: YOLO does not hold them"] == 1
    (bus, *_), (cars,) = dataset.classes(), dataset.superclasses()
    bare = replace(bus, superclass_id=None)
    dataset.apply(Edit("Out", (ClassChange(bus, bare),)))
    dataset.close()
    words = ["import", str(project.path), str(out), "--format", "coco", "--images", str(tmp_path / "images")]
    assert main([*words, "--superclasses", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_classes_grouped"] == 1
    with Dataset.open(project) as again:
        assert groups(again) == {"my cars": ["bus"], "": ["cat"]}
        assert again.superclasses() == [cars]  # of the same name, it is used again


def test_that_an_export_whose_superclasses_were_not_read_again_is_none(dataset, tmp_path, monkeypatch):
    def read_otherwise(key, name, is_no_class, _):
        return rows.ClassRow(key, name, is_no_class, "else")

    monkeypatch.setattr("locstudio.interchange.coco.ClassRow", read_otherwise)
    with pytest.raises(Exception, match="superclasses"):
        export_annotations(dataset, tmp_path / "out.json", format="coco")
    assert not (tmp_path / "out.json").exists()

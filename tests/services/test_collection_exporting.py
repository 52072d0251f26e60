"""COCO out: new file, whole or not at all, read again and compared; and back in without a difference."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.edits import CaptionChange, ClassChange, Edit, RegionChange, add_regions
from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Caption, LabelClass, Origin, Region, Review
from locstudio.interchange import coco_writer
from locstudio.interchange.formats import FORMATS
from locstudio.services import exporting
from locstudio.services.collection import add_folder
from locstudio.services.exporting import export_annotations
from locstudio.services.importing import import_annotations
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

BOX = UnitBox(0.1, 0.25, 0.4, 0.75)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80), (9, 9, 9)).save(folder / name)
    return folder


@pytest.fixture
def dataset(tmp_path, images):
    with Dataset.create(create_project(tmp_path / "project")) as opened:
        add_folder(opened, images)
        dog, cat = LabelClass(1, "dog", "#112233", external_id="18"), LabelClass(2, "cat", "#112233")
        opened.apply(Edit("Add classes", (ClassChange(None, dog), ClassChange(None, cat))))
        yield opened


def put(dataset, **fields):
    region = Region(**{"id": dataset.next_region_id(), "image_id": 1, "box": BOX, "review": Review.ACCEPTED, **fields})
    dataset.apply(add_regions([region]))
    return region


def exported(dataset, path):
    report = export_annotations(dataset, path, format="coco")
    return report, json.loads(path.read_text())


def test_that_an_export_is_plain_coco(dataset, tmp_path):
    put(dataset, class_id=1, phrase="dog", mask="[[10,20,40,20,40,60]]")
    dataset.apply(Edit("Add caption", (CaptionChange(None, Caption(1, 2, "nothing")),)))
    report, document = exported(dataset, tmp_path / "out.json")
    assert document["images"][0] == {"id": 1, "file_name": "a.png", "width": 100, "height": 80}
    assert document["annotations"] == [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 18,
            "bbox": [10, 20, 30, 40],
            "area": 600,  # half of 30 x 40: the polygon is a triangle
            "iscrowd": 0,
            "origin": "human",
            "segmentation": [[10, 20, 40, 20, 40, 60]],
        }
    ]
    assert document["captions"] == [{"id": 1, "image_id": 2, "caption": "nothing"}]
    assert [(c["id"], c["name"]) for c in document["categories"][:2]] == [(18, "dog"), (19, "cat")]
    assert (report.num_images, report.num_regions, report.num_captions, report.num_classes) == (2, 1, 1, 2)
    assert "read again and compared" in report.to_text()
    assert report.to_json()["num_regions"] == 1


def test_that_phrases_scores_and_reviews_stand_beside_what_coco_knows(dataset, tmp_path):
    put(dataset, phrase="a red car", review=Review.PENDING, score=0.5)
    put(dataset, class_id=2, phrase="cat", review=Review.REJECTED)
    report, document = exported(dataset, tmp_path / "out.json")
    (row,) = document["annotations"]
    assert (row["phrase"], row["review"], row["score"], row["segmentation"]) == ("a red car", "pending", 0.5, [])
    assert document["categories"][-1] == {"id": 20, "name": "no class", "supercategory": "", "is_no_class": True}
    assert report.left_out == {"rejected regions": 1}
    assert "left out: 1 rejected regions" in report.to_text()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_row_65_what_is_there_is_never_overwritten(dataset, tmp_path, kind):
    path = tmp_path / "out.json"
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nothing")
    with pytest.raises(BadInput, match="is there already; an export never overwrites"):
        export_annotations(dataset, path, format="coco")
    assert kind != "file" or path.read_text() == "mine"
    assert not list(tmp_path.glob("*.partial"))


def test_row_65_a_file_that_comes_while_the_export_is_written_stays(dataset, tmp_path, monkeypatch):
    path = tmp_path / "out.json"
    give_name = exporting._give_name
    monkeypatch.setattr(exporting, "_give_name", lambda *names: (path.write_text("mine"), give_name(*names)))
    with pytest.raises(BadInput, match="is there already"):
        export_annotations(dataset, path, format="coco")
    assert path.read_text() == "mine"


def test_row_65_an_export_that_reads_differently_is_not_kept(dataset, tmp_path, monkeypatch):
    put(dataset, class_id=1)
    region_row = coco_writer.region_row
    monkeypatch.setattr(coco_writer, "region_row", lambda *a: region_row(*a).replace('"bbox":[10', '"bbox":[11'))
    with pytest.raises(StorageFailed, match=r"out\.json was not written: read again, it differs from the dataset"):
        export_annotations(dataset, tmp_path / "out.json", format="coco")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "project"]


@pytest.mark.parametrize("break_row", ["", "half"])
def test_row_65_an_export_that_lacks_a_row_or_is_cut_off_is_not_kept(dataset, tmp_path, monkeypatch, break_row):
    put(dataset, class_id=1)
    put(dataset, class_id=1)

    def write_less(contents, partial):
        coco_writer.write_coco(contents, partial)
        document = json.loads(partial.read_text())
        del document["annotations"][1]
        text = json.dumps(document)
        partial.write_text(text if not break_row else text[: len(text) // 2])

    monkeypatch.setitem(FORMATS, "coco", replace(FORMATS["coco"], writer=write_less))
    with pytest.raises((StorageFailed, BadInput)):
        export_annotations(dataset, tmp_path / "out.json", format="coco")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "project"]


def test_that_an_export_begun_before_an_edit_is_written_anew(dataset, tmp_path, monkeypatch):
    put(dataset, class_id=1)
    num_writes = []

    def write_and_edit(contents, partial):
        coco_writer.write_coco(contents, partial)
        num_writes.append(1)
        if len(num_writes) == 1:
            put(dataset, class_id=2)

    monkeypatch.setitem(FORMATS, "coco", replace(FORMATS["coco"], writer=write_and_edit))
    assert export_annotations(dataset, tmp_path / "out.json", format="coco").num_regions == 2
    assert len(num_writes) == 2


def test_that_a_folder_that_is_not_there_is_one_sentence(dataset, tmp_path):
    with pytest.raises(StorageFailed, match=r"out\.json was not written: no such file or directory"):
        export_annotations(dataset, tmp_path / "nowhere" / "out.json", format="coco")


@pytest.mark.parametrize(
    ("name", "reason"), [("a file/out.json", "not a directory"), ("a" * 250, "file name too long")]
)
def test_that_a_place_where_nothing_can_be_is_one_sentence(dataset, tmp_path, name, reason):
    (tmp_path / "a file").touch()
    with pytest.raises(StorageFailed, match=reason):
        export_annotations(dataset, tmp_path / name, format="coco")


def test_that_a_cancelled_export_leaves_nothing(dataset, tmp_path):
    put(dataset, class_id=1)
    assert export_annotations(dataset, tmp_path / "out.json", cancel=lambda: True, format="coco") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "project"]


def test_that_images_without_a_file_are_listed_and_exported(dataset, images, tmp_path):
    (images / "a.png").unlink()
    report, document = exported(dataset, tmp_path / "out.json")
    assert report.missing == ["a.png"]
    assert len(document["images"]) == 2
    assert "no file at the moment, but in the export: 1 image" in report.to_text()


def test_that_images_of_several_folders_are_named_from_the_folder_above(dataset, images, tmp_path):
    other = tmp_path / "other" / "sub"
    other.mkdir(parents=True)
    Image.new("RGB", (5, 5)).save(other / "a.png")
    add_folder(dataset, other)
    put(dataset, image_id=3, class_id=1)
    report, document = exported(dataset, tmp_path / "out.json")
    assert report.image_root == str(tmp_path)
    assert [row["file_name"] for row in document["images"]] == ["images/a.png", "images/b.png", "other/sub/a.png"]
    with Dataset.create(create_project(tmp_path / "copy")) as copy:
        again = import_annotations(copy, tmp_path / "out.json", Path(report.image_root), format="coco")
    assert again.num_regions_added == 1


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
CORNER = st.floats(0, 1, allow_subnormal=False).map(lambda value: round(value, 5))
BOXES = (
    st.tuples(CORNER, CORNER, CORNER, CORNER)
    .filter(lambda c: abs(c[0] - c[2]) > 1e-3 and abs(c[1] - c[3]) > 1e-3)
    .map(lambda c: UnitBox(min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])))
)
COORDINATE = st.floats(0, 100, allow_nan=False) | st.integers(0, 100)
POLYGONS = st.lists(
    st.lists(COORDINATE, min_size=6, max_size=12).filter(lambda p: len(p) % 2 == 0), min_size=1, max_size=3
)
RUNS = st.integers(0, 8000).map(lambda first: {"size": [80, 100], "counts": [first, 8000 - first]})
REGIONS = st.fixed_dictionaries(
    {
        "image_id": st.sampled_from([1, 2]),
        "box": BOXES,
        "phrase": TEXT | st.sampled_from(["dog", "cat"]),
        "class_id": st.sampled_from([None, 1, 2]),
        "review": st.sampled_from([Review.ACCEPTED, Review.PENDING]),
        "score": st.none() | st.floats(-1e6, 1e6),
        "mask": st.none() | (POLYGONS | RUNS).map(json.dumps),
        "is_crowd": st.booleans(),
        "origin": st.sampled_from(Origin),
    }
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(REGIONS, max_size=6), captions=st.lists(TEXT.filter(str.strip), max_size=3))
def test_that_what_goes_out_comes_back_the_same(tmp_path_factory, rows, captions):
    folder = tmp_path_factory.mktemp("round")
    (folder / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80)).save(folder / "images" / name)
    with Dataset.create(create_project(folder / "one")) as one:
        add_folder(one, folder / "images")
        labels = [LabelClass(1, "dog", "#112233", external_id="18"), LabelClass(2, "cat", "#112233")]
        changes = [ClassChange(None, label) for label in labels]
        changes += [RegionChange(None, Region(id=one.next_region_id(), **row)) for row in rows]
        changes += [CaptionChange(None, Caption(one.next_caption_id(), 1, text)) for text in captions]
        one.apply(Edit("Fill", tuple(changes)))
        export_annotations(one, folder / "out.json", format="coco")
        mine, my_captions = one.region_page(0, 100), one.captions_page(0, 100)
        names = {label.id: label.name for label in one.classes()} | {None: ""}
    with Dataset.create(create_project(folder / "two")) as two:
        report = import_annotations(two, folder / "out.json", folder / "images", format="coco")
        theirs, their_captions = two.region_page(0, 100), two.captions_page(0, 100)
        their_names = {label.id: label.name for label in two.classes()} | {None: ""}
        again = import_annotations(two, folder / "out.json", folder / "images", format="coco")
    assert report.num_rejected == again.num_new == again.num_regions_updated == 0
    assert [c.text for c in their_captions] == [c.text.strip() for c in my_captions]
    for a, b in zip(sorted(mine, key=lambda region: (region.image_id, region.id)), theirs, strict=True):
        assert b.box.as_tuple() == pytest.approx(a.box.as_tuple(), abs=1e-7)
        assert their_names[b.class_id] == names[a.class_id]
        assert (json.loads(a.mask) if a.mask else None) == (json.loads(b.mask) if b.mask else None)
        fields = {"id": 0, "box": BOX, "class_id": None, "mask": None}
        assert replace(b, **fields, source="", external_id="") == replace(a, **fields)

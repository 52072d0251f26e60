"""VOC, YOLO and labelme: what goes out comes back the same where the format can hold it, and the rest is counted."""

import json
import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.edits import CaptionChange, ClassChange, Edit, ImageChange, RegionChange
from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Caption, LabelClass, Origin, Region, Review
from locstudio.interchange.formats import FORMATS, guess_format
from locstudio.services.collection import add_folder
from locstudio.services.exporting import export_annotations
from locstudio.services.importing import default_image_root, import_annotations
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

NAMES = ("a.png", "b.png", "sub/a.png", "sub/deep er/ü&<c>.png")
SIZE = (100, 80)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
CORNER = st.floats(0, 1, allow_subnormal=False).map(lambda value: round(value, 5))
BOXES = (
    st.tuples(CORNER, CORNER, CORNER, CORNER)
    .filter(lambda c: abs(c[0] - c[2]) > 1e-3 and abs(c[1] - c[3]) > 1e-3)
    .map(lambda c: UnitBox(min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])))
)
COORDINATE = st.floats(0, 80, allow_nan=False) | st.integers(0, 80)
POLYGON = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=5).filter(
    lambda points: len({x for x, _ in points}) > 1 and len({y for _, y in points}) > 1
)
POLYGONS = st.lists(POLYGON.map(lambda points: [v for point in points for v in point]), min_size=1, max_size=3)
REGIONS = st.fixed_dictionaries(
    {
        "image_id": st.sampled_from([1, 2, 3, 4]),
        "box": BOXES,
        "phrase": TEXT | st.sampled_from(["dog", "no class", "<b>hot dog</b>"]),
        "class_id": st.sampled_from([None, 1, 2, 3]),
        "review": st.sampled_from([Review.ACCEPTED, Review.PENDING, Review.REJECTED]),
        "origin": st.sampled_from(Origin),
        "score": st.none() | st.floats(-1e6, 1e6),
        "mask": st.none() | POLYGONS.map(json.dumps),
    }
)
LABELS = [
    LabelClass(1, "dog", "#112233", external_id="18"),
    LabelClass(2, "<b>hot  dog</b>, no: yes", "#112233"),
    LabelClass(3, "no", "#112233"),
]


def make_images(folder):
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, (9, 9, 9)).save(folder / name)
    return folder


def fill(dataset, images, rows, captions=()):
    add_folder(dataset, images)
    by_path = {image.path: image.id for image in dataset.image_page(limit=10)}
    ids = [by_path[name] for name in NAMES]
    changes = [ClassChange(None, label) for label in LABELS]
    for row in rows:
        region = Region(id=dataset.next_region_id(), **{**row, "image_id": ids[row["image_id"] - 1]})
        changes.append(RegionChange(None, region))
    changes += [CaptionChange(None, Caption(dataset.next_caption_id(), ids[0], text)) for text in captions]
    dataset.apply(Edit("Fill", tuple(changes)))


def everything(dataset):
    """Regions by image and order, with the class by its name."""
    names = {label.id: label.name for label in dataset.classes()} | {None: ""}
    images = {image.id: image.path for image in dataset.image_page(limit=10)}
    regions = dataset.region_page(0, 1000)
    return sorted(((images[r.image_id], r.id, names[r.class_id], r) for r in regions), key=lambda row: row[:2])


def there_and_back(folder, name, rows, captions=(), **options):
    images = make_images(folder / "images")
    with Dataset.create(create_project(folder / "one")) as one:
        fill(one, images, rows, captions)
        exported = export_annotations(one, folder / "out", format=name, **options)
        mine = everything(one)
    with Dataset.create(create_project(folder / "two")) as two:
        report = import_annotations(two, folder / "out", images, format=name)
        theirs = everything(two)
        again = import_annotations(two, folder / "out", images, format=name)
    assert report.num_rejected == report.num_images_rejected == 0
    assert again.num_new == again.num_regions_updated == again.num_conflicts == 0
    assert report.num_regions_added == exported.num_regions == len(theirs)
    return mine, theirs, exported, report


def mask_of(region):
    return json.loads(region.mask) if region.mask else None


@pytest.mark.parametrize("name", ["voc", "labelme"])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(REGIONS, max_size=6), captions=st.lists(TEXT.filter(str.strip), max_size=2))
def test_that_boxes_classes_phrases_reviews_origins_and_scores_come_back(tmp_path_factory, name, rows, captions):
    text = FORMATS[name].carries.text
    rows = [*rows, region()]
    mine, theirs, report, _ = there_and_back(tmp_path_factory.mktemp("round"), name, rows, captions)
    sent = [row for row in mine if row[3].review is not Review.REJECTED]
    for (path, _, class_name, a), (their_path, _, their_class, b) in zip(sent, theirs, strict=True):
        assert their_path == path
        assert b.box.as_tuple() == pytest.approx(a.box.as_tuple(), abs=2e-7)
        assert their_class == class_name
        assert text(b.phrase) == text(a.phrase)
        assert (b.review, b.origin, b.score) == (a.review, a.origin, a.score)
        assert mask_of(b) == (mask_of(a) if name == "labelme" else None)
    lost = sum(count for what, count in report.left_out.items() if what.startswith("captions"))
    assert lost == len(captions)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(REGIONS, min_size=1, max_size=6))
def test_that_yolo_gives_back_accepted_boxes_with_their_classes(tmp_path_factory, rows):
    if not any(row["class_id"] and row["review"] is Review.ACCEPTED for row in rows):
        rows = [*rows, {**rows[0], "class_id": 1, "review": Review.ACCEPTED}]
    mine, theirs, report, _ = there_and_back(tmp_path_factory.mktemp("round"), "yolo", rows)
    sent = [row for row in mine if row[3].review is Review.ACCEPTED and row[2]]
    for (path, _, class_name, a), (their_path, _, their_class, b) in zip(sent, theirs, strict=True):
        assert (their_path, their_class, b.phrase) == (path, class_name, class_name)
        assert b.box.as_tuple() == pytest.approx(a.box.as_tuple(), abs=1.5e-6)
        assert (b.review, b.origin, b.score, b.mask) == (Review.ACCEPTED, Origin.IMPORTED, None, None)
    num_pending = sum(row["review"] is Review.PENDING for row in rows)
    assert report.left_out["pending regions: YOLO cannot say that they are"] == num_pending


def region(**fields):
    return {"image_id": 1, "box": UnitBox(0.1, 0.25, 0.4, 0.75), "class_id": 1, "phrase": "dog"} | {
        "review": Review.ACCEPTED,
        **fields,
    }


@pytest.fixture
def dataset(tmp_path):
    make_images(tmp_path / "images")
    with Dataset.create(create_project(tmp_path / "project")) as opened:
        yield opened


@pytest.mark.parametrize("name", ["voc", "yolo", "labelme"])
def test_that_an_export_of_nothing_is_refused_with_the_reasons(dataset, tmp_path, name):
    fill(dataset, tmp_path / "images", [region(review=Review.REJECTED)])
    with pytest.raises(BadInput, match=r"There is nothing here that a .* export could hold; 4 images that nobody"):
        export_annotations(dataset, tmp_path / "out", format=name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["voc", "yolo", "labelme"])
def test_that_what_a_format_cannot_hold_is_counted(dataset, tmp_path, name):
    rows = [
        region(mask="[[10,20,40,20,40,60]]", score=0.5, phrase="a brown dog"),
        region(mask='{"size":[80,100],"counts":[0,8000]}', is_crowd=True),
        region(class_id=None, phrase="a cat"),
        region(review=Review.PENDING),
        region(review=Review.REJECTED),
    ]
    fill(dataset, tmp_path / "images", rows, ["One sentence.", "Another."])
    report = export_annotations(dataset, tmp_path / "out", format=name)
    title = FORMATS[name].title
    expected = {
        f"captions: {title} does not hold them": 2,
        f"crowd regions: {title} does not hold them": 1,
        "rejected regions": 1,
        "images that nobody has verified and that have nothing to write": 3,
    }
    if name != "labelme":
        expected[f"masks: {title} does not hold them"] = 1
    if name == "yolo":
        expected["regions without a class: YOLO wants one for each"] = 1
        expected["pending regions: YOLO cannot say that they are"] = 1
        expected["scores: YOLO does not hold them"] = 1
        expected["phrases that differ from the class: YOLO does not hold them"] = 1
    assert dict(report.left_out) == expected
    assert "left out: 2 captions" in report.to_text()
    assert report.num_regions == (1 if name == "yolo" else 3)


@pytest.mark.parametrize("name", ["voc", "yolo", "labelme"])
@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_row_65_a_folder_that_is_there_is_never_written_into(dataset, tmp_path, name, kind):
    fill(dataset, tmp_path / "images", [region()])
    target = tmp_path / "out"
    {"folder": target.mkdir, "file": target.touch, "link": lambda: target.symlink_to(tmp_path / "nothing")}[kind]()
    with pytest.raises(BadInput, match="is there already; an export never overwrites"):
        export_annotations(dataset, target, format=name)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("name", ["voc", "yolo", "labelme"])
def test_row_65_an_export_that_reads_differently_is_not_kept(dataset, tmp_path, name, monkeypatch):
    fill(dataset, tmp_path / "images", [region(), region(image_id=2)])
    kind = FORMATS[name]
    suffix = {"voc": ".xml", "yolo": ".txt", "labelme": ".json"}[name]

    def write_less(contents, target):
        kind.writer(contents, target)
        files = sorted(target.rglob(f"b{suffix}"))
        files[0].write_text(files[0].read_text().replace("0.25", "0.26").replace("40", "41"))

    monkeypatch.setitem(FORMATS, name, type(kind)(**{**_fields(kind), "writer": write_less}))
    with pytest.raises(StorageFailed, match="out was not written: read again, it differs from the dataset"):
        export_annotations(dataset, tmp_path / "out", format=name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "project"]


def _fields(kind):
    return {name: getattr(kind, name) for name in type(kind).__slots__}


@pytest.mark.parametrize("name", ["voc", "yolo", "labelme"])
def test_row_66_images_without_a_file_are_listed_and_exported(dataset, tmp_path, name):
    fill(dataset, tmp_path / "images", [region(), region(image_id=2)])
    (tmp_path / "images" / "a.png").unlink()
    report = export_annotations(dataset, tmp_path / "out", format=name)
    assert (report.missing, report.num_images) == (["a.png"], 2)


@pytest.mark.parametrize("name", ["voc", "yolo", "labelme"])
def test_that_an_exported_folder_is_recognised_and_a_cancelled_one_leaves_nothing(dataset, tmp_path, name):
    fill(dataset, tmp_path / "images", [region(), region(image_id=3)])
    assert export_annotations(dataset, tmp_path / "out", format=name, cancel=lambda: True) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "project"]
    export_annotations(dataset, tmp_path / "out", format=name)
    found = guess_format(tmp_path / "out")
    assert found is not None
    assert found.name == name


def test_that_an_image_that_was_verified_and_is_empty_goes_out_as_such(dataset, tmp_path):
    fill(dataset, tmp_path / "images", [region()])
    (image,) = dataset.images([2])
    dataset.apply(Edit("Verify", (ImageChange(image, replace(image, is_verified=True)),)))
    report = export_annotations(dataset, tmp_path / "out", format="yolo")
    assert (tmp_path / "out/labels/b.txt").read_bytes() == b""
    assert report.num_images == 2


def test_that_a_yolo_export_can_be_trained_on_where_it_lies(dataset, tmp_path):
    fill(dataset, tmp_path / "images", [region(), region(image_id=3, class_id=3)])
    export_annotations(dataset, tmp_path / "out", format="yolo")
    out = tmp_path / "out"
    listed = out.joinpath("train.txt").read_text().splitlines()
    assert listed == ["./images/a.png", "./images/sub/a.png"]
    assert all((out / line).is_file() for line in listed)
    assert out.joinpath("labels/a.txt").read_text() == "0 0.250000 0.500000 0.300000 0.500000\n"
    assert out.joinpath("labels/sub/a.txt").read_text().startswith("2 ")
    text = out.joinpath("data.yaml").read_text()
    assert "train: train.txt\nval: train.txt\nnames:\n  0: dog\n  1: '<b>hot  dog</b>, no: yes'\n  2: 'no'\n" in text
    assert os.readlink(out / "images") == str(tmp_path / "images")


def test_that_yolo_refuses_two_images_with_one_label_file(dataset, tmp_path):
    Image.new("RGB", SIZE).save(tmp_path / "images" / "a.jpg")
    fill(dataset, tmp_path / "images", [])
    ids = {image.path: image.id for image in dataset.image_page(limit=10)}
    changes = [
        RegionChange(None, Region(id=n + 1, **region(image_id=ids[f"a.{s}"]))) for n, s in enumerate(["jpg", "png"])
    ]
    dataset.apply(Edit("Fill", tuple(changes)))
    with pytest.raises(BadInput, match=r"a\.jpg and a\.png would share a label file"):
        export_annotations(dataset, tmp_path / "out", format="yolo")
    for name in ("voc", "labelme"):
        assert export_annotations(dataset, tmp_path / name, format=name).num_images == 2


@pytest.mark.parametrize("name", ["voc", "labelme"])
def test_that_names_of_files_that_are_no_text_come_back(tmp_path, name):
    folder = tmp_path / "images"
    folder.mkdir()
    names = [b"a\xff.png", b"new\nline.png", b" space .png"]
    for each in names:
        Image.new("RGB", SIZE).save(os.path.join(os.fsencode(folder), each).decode("utf-8", "surrogateescape"))
    with Dataset.create(create_project(tmp_path / "one")) as one:
        add_folder(one, folder)
        rows = [RegionChange(None, Region(id=n, **region(image_id=n, class_id=None))) for n in (1, 2, 3)]
        one.apply(Edit("Fill", tuple(rows)))
        assert export_annotations(one, tmp_path / "out", format=name).num_images == 3
    with Dataset.create(create_project(tmp_path / "two")) as two:
        assert import_annotations(two, tmp_path / "out", folder, format=name).num_regions_added == 3


def test_that_labelme_finds_the_pictures_of_an_export(dataset, tmp_path):
    fill(dataset, tmp_path / "images", [region(image_id=3)])
    export_annotations(dataset, tmp_path / "out", format="labelme")
    document = json.loads((tmp_path / "out/sub/a.json").read_text())
    assert (tmp_path / "out/sub" / document["imagePath"]).resolve() == (tmp_path / "images/sub/a.png").resolve()
    assert document["imagePath"] == "../../images/sub/a.png"


def test_that_an_export_comes_in_on_a_machine_where_the_images_lie_elsewhere(dataset, tmp_path):
    fill(dataset, tmp_path / "images", [region(image_id=3)])
    for name in ("voc", "yolo", "labelme"):
        export_annotations(dataset, tmp_path / name, format=name)
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    for name in ("voc", "yolo", "labelme"):
        with Dataset.create(create_project(tmp_path / f"to {name}")) as two:
            report = import_annotations(two, tmp_path / name, tmp_path / "elsewhere", format=name)
            assert report.num_regions_added == 1, report.to_text()
            assert [image.path for image in two.image_page(limit=9)] == ["sub/a.png"]


def test_that_file_names_start_in_a_folder_or_beside_a_file(tmp_path):
    (tmp_path / "a.xml").touch()
    assert default_image_root(tmp_path) == default_image_root(tmp_path / "a.xml") == tmp_path

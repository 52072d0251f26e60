"""FAULTS.md, Pascal VOC in: rows 47 to 50, 53, 54, 56, 58, 59, 61 to 63.  A bad object never takes the good with it."""

import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.edits import change_regions
from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Origin, Review
from locstudio.services.importing import import_annotations
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

SQUARE = "<xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax>"
SIZE = "<size><width>100</width><height>80</height><depth>3</depth></size>"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80), (9, 9, 9)).save(folder / name)
    return folder


@pytest.fixture
def dataset(tmp_path):
    with Dataset.create(create_project(tmp_path / "project")) as opened:
        yield opened


def thing(corners=SQUARE, name="dog", more=""):
    return f"<object><name>{name}</name><bndbox>{corners}</bndbox>{more}</object>"


def voc(*objects, filename="a.png", size=SIZE, head=""):
    return f"{head}<annotation><filename>{filename}</filename>{size}{''.join(objects)}</annotation>"


def imported(dataset, images, **files):
    """Import files by their stems; ``options`` go to the importer."""
    options = files.pop("options", {})
    folder = images.parent / "annotations"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_annotations(dataset, folder, images, format="voc", **options)


def corners(dataset):
    regions = dataset.region_page(0, 1000)
    return [tuple(round(value, 6) for value in region.box.to_pixels(100, 80)) for region in regions]


def reasons(report):
    return [(note.id, note.row, str(note.outcome), note.reason) for note in report.notes]


def test_row_59_corners_are_counted_from_one_and_the_last_pixel_belongs_to_the_box(dataset, images):
    report = imported(dataset, images, a=voc(thing()))
    assert corners(dataset) == [(10, 20, 40, 60)]
    (region,) = dataset.region_page(0, 10)
    assert (region.review, region.origin, region.phrase) == (Review.ACCEPTED, Origin.IMPORTED, "dog")
    assert (region.source, region.external_id) == ("voc:annotations", "a.xml#0")
    assert (report.num_images_added, report.num_classes_added, report.num_rejected) == (1, 1, 0)


def test_row_59_a_box_of_one_pixel_has_an_area(dataset, images):
    imported(dataset, images, a=voc(thing("<xmin>5</xmin><ymin>6</ymin><xmax>5</xmax><ymax>6</ymax>")))
    assert corners(dataset) == [(4, 5, 5, 6)]


def test_row_59_corners_the_wrong_way_round_are_turned_with_a_note(dataset, images):
    turned = "<xmin>40</xmin><ymin>60</ymin><xmax>11</xmax><ymax>21</ymax>"
    report = imported(dataset, images, a=voc(thing(turned)))
    assert corners(dataset) == [(10, 20, 40, 60)]
    assert reasons(report) == [("a.xml", 0, "kept", "its corners stood the wrong way round and were turned")]


def test_row_59_floats_are_taken_and_decimal_commas_only_with_a_note(dataset, images):
    point, comma = (SQUARE.replace("11<", f"11{sign}5<") for sign in ".,")
    report = imported(dataset, images, a=voc(thing(point), thing(comma)))
    assert corners(dataset) == [(10.5, 20, 40, 60)] * 2
    assert reasons(report) == [("a.xml", 1, "kept", "its box has decimal commas, which were read as points")]


@pytest.mark.parametrize("size", ["", "<size/>", "<size><width>0</width><height>0</height></size>"])
def test_row_59_a_missing_size_is_the_pictures_own(dataset, images, size):
    report = imported(dataset, images, a=voc(thing(), size=size))
    assert (report.num_regions_added, report.notes) == (1, [])


def test_row_59_a_size_that_is_none_is_noted(dataset, images):
    size = "<size><width>-5</width><height>ten</height></size>"
    report = imported(dataset, images, a=voc(thing(), size=size))
    assert reasons(report) == [("a.xml", 0, "kept", "its size is none, and the picture's own was taken")]


@pytest.mark.parametrize("number", ["nan", "NaN", "inf", "-Infinity", "1e300"])
def test_row_47_a_box_that_is_not_finite_costs_its_object_only(dataset, images, number):
    report = imported(dataset, images, a=voc(thing(), thing(SQUARE.replace("11", number)), thing()))
    assert reasons(report) == [("a.xml", 1, "dropped", "its box is not finite")]
    assert (report.num_regions_added, report.num_rejected) == (2, 1)


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ("<object><name>dog</name></object>", "it has no bndbox"),
        (f"<object><bndbox>{SQUARE}</bndbox></object>", "it has no name"),
        (thing(name=" "), "it has no name"),
        (thing(name="x" * 1001), "its name is too long"),
        (thing(name="x" * 30_000), "its name is too long"),
        (thing("<xmin>1</xmin><ymin>1</ymin><xmax>5</xmax>"), "its box has something in it that is no number"),
        (thing(SQUARE.replace("11", "1_1")), "its box has something in it that is no number"),
        (thing(SQUARE.replace("11", "<b>1</b>")), "its box has something in it that is no number"),
        (thing(SQUARE.replace("11", "400").replace("40<", "500<")), "its box lies outside the image"),
    ],
)
def test_row_53_a_malformed_object_is_named_with_its_reason(dataset, images, element, reason):
    report = imported(dataset, images, a=voc(element, thing()))
    assert [(note.row, str(note.outcome), note.reason) for note in report.notes] == [(0, "dropped", reason)]
    assert (report.num_regions_added, report.num_rejected) == (1, 1)


def test_row_49_a_box_partly_outside_is_cut_and_counted(dataset, images):
    report = imported(dataset, images, a=voc(thing("<xmin>0</xmin><ymin>1</ymin><xmax>120</xmax><ymax>80</ymax>")))
    assert corners(dataset) == [(0, 0, 100, 80)]
    assert report.num_clamped == 1


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "head",
    [
        BOMB + "]>",
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        "<!DOCTYPE annotation>",
    ],
)
def test_row_58_entities_document_types_and_anything_outside_are_refused(dataset, images, head):
    entity = thing(name="&i;" if head.startswith(BOMB) else "&a;" if "passwd" in head else "dog")
    report = imported(dataset, images, a=voc(entity, head=head), b=voc(thing(), filename="b.png"))
    assert reasons(report) == [
        ("a.xml", 0, "dropped", "it brings a document type or entities of its own, which are never read")
    ]
    assert (report.num_regions_added, report.num_rejected) == (1, 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is no valid XML"),
        (b"<annotation><object>", "it is no valid XML"),
        (b"\xff\xfe\x00", "it is no valid XML"),
        (b'<?xml version="1.0" encoding="no-such"?><annotation/>', "its encoding is not known; save it as UTF-8"),
        (b"<annotations><image/></annotations>", "it does not begin with <annotation>"),
        (b"<annotation/>", "it has no filename"),
        (b"<annotation>" + b"<x>" * 100_000, "it is no valid XML"),
        (b" " * (17 << 20), "it is too large for the annotations of one image"),
    ],
)
def test_row_53_a_broken_file_is_one_line_and_the_others_go_in(dataset, images, content, reason):
    tracemalloc.start()
    report = imported(dataset, images, a=content, b=voc(thing(), filename="b.png"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons(report) == [("a.xml", 0, "dropped", reason)]
    assert (report.num_regions_added, report.num_rejected) == (1, 1)
    assert peak < 100 << 20


def test_that_a_folder_without_annotations_is_one_sentence(dataset, images):
    with pytest.raises(BadInput, match=r"annotations holds no Pascal VOC annotations, \.xml files that begin"):
        imported(dataset, images)
    with pytest.raises(BadInput, match="of the first file: it is no valid XML"):
        imported(dataset, images, a="nothing")


def test_that_deep_nesting_is_no_crash(dataset, images):
    deep = "<x>" * 50_000 + "</x>" * 50_000
    report = imported(dataset, images, a=voc(thing(more=deep)))
    assert report.num_regions_added == 1


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "C:\\x.png", "\\\\host\\x.png", "file:///etc/passwd", "http://127.0.0.1/a.png"],
)
def test_row_54_a_filename_that_leads_out_of_the_image_folder_is_rejected(dataset, images, name):
    report = imported(dataset, images, a=voc(thing(), filename=name))
    assert report.notes[0].reason in (
        "its file_name leads out of the image folder",
        "its file is not in the image folder",
    )
    assert (report.num_images_added, report.num_rejected) == (0, 1)


def test_row_54_links_in_the_folder_of_annotations_are_passed_over(dataset, images, tmp_path):
    outside = tmp_path / "outside.xml"
    outside.write_text(voc(thing(), filename="b.png"))
    folder = tmp_path / "annotations"
    folder.mkdir()
    (folder / "link.xml").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    report = imported(dataset, images, a=voc(thing()))
    assert report.num_images_added == 1


def test_row_56_another_size_than_the_file_is_rejected_and_can_be_scaled(dataset, images):
    size = SIZE.replace("100", "50").replace("80", "40")
    report = imported(dataset, images, a=voc(thing(), size=size))
    assert report.num_images_rejected == 1
    assert "rescaling" in report.offers[0]
    imported(dataset, images, options={"rescale": True})
    assert corners(dataset) == [(20, 40, 80, 80)]


def test_row_61_names_are_text_and_are_folded_by_case_and_space(dataset, images):
    names = ["Hot  Dog", "hot dog", "&lt;b&gt;x&lt;/b&gt;", "\u202eevil"]
    imported(dataset, images, a=voc(*(thing(name=name) for name in names)))
    assert [label.name for label in dataset.classes()] == ["Hot  Dog", "<b>x</b>", "\u202eevil"]


def test_row_62_and_63_a_second_import_adds_nothing_and_never_overwrites_a_correction(dataset, images):
    imported(dataset, images, a=voc(thing(), thing(name="cat")))
    again = imported(dataset, images)
    assert (again.num_new, again.num_regions_known) == (0, 2)
    (first, _) = dataset.region_page(0, 10)
    dataset.apply(change_regions([(first, replace(first, phrase="mine", origin=Origin.EDITED))], "Correct"))
    third = imported(dataset, images, a=voc(thing(name="cow"), thing(name="cat")))
    assert [conflict.reason for conflict in third.conflicts] == ["you have corrected this region"]
    assert dataset.region_page(0, 10)[0].phrase == "mine"


def test_that_what_voc_knows_and_we_do_not_is_said(dataset, images):
    more = "<difficult>1</difficult><part><name>head</name></part><pose>Left</pose><truncated>1</truncated>"
    report = imported(dataset, images, a=voc(thing(more=more)))
    assert [note.reason for note in report.notes] == [
        "it is marked as difficult, which was not kept",
        "its parts were left out",
    ]


def test_that_pictures_are_found_beside_the_annotations_as_the_devkit_lays_them_out(dataset, tmp_path):
    kit = tmp_path / "VOC"
    (kit / "Annotations").mkdir(parents=True)
    (kit / "JPEGImages").mkdir()
    Image.new("RGB", (100, 80)).save(kit / "JPEGImages/000001.jpg")
    (kit / "Annotations/000001.xml").write_text(voc(thing(), filename="000001"))
    report = import_annotations(dataset, kit, kit, format="voc")
    assert report.num_regions_added == 1, report.to_text()
    assert [image.path for image in dataset.image_page()] == ["JPEGImages/000001.jpg"]


def exported_object(name="dog", xmin=11, **extras):
    attributes = {"id": "7", "class": "dog", "phrase": "a brown dog", "review": "pending", "origin": "model"}
    attributes |= {"x0": "10.25", "y0": "20.25", "x1": "40.25", "y1": "60.25", "width": "100", "height": "80", **extras}
    text = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    return thing(SQUARE.replace("11", str(xmin)), name, f'<region xmlns="urn:locstudio:voc" {text}/>')


def test_that_what_an_export_says_beside_voc_is_taken_while_nobody_has_changed_the_object(dataset, images):
    imported(dataset, images, a=voc(exported_object()))
    (region,) = dataset.region_page(0, 10)
    assert corners(dataset) == [(10.25, 20.25, 40.25, 60.25)]
    assert (region.phrase, region.review, region.origin) == ("a brown dog", Review.PENDING, Origin.MODEL)


def test_that_a_box_moved_or_a_name_changed_by_another_program_wins(dataset, images):
    imported(dataset, images, a=voc(exported_object(xmin=16)), b=voc(exported_object("cat"), filename="b.png"))
    moved, renamed = dataset.region_page(0, 10)
    assert corners(dataset)[0] == (15, 20, 40, 60)
    assert (moved.phrase, moved.origin) == ("a brown dog", Origin.EDITED)
    assert (renamed.phrase, renamed.origin) == ("cat", Origin.EDITED)


@pytest.mark.parametrize(
    "extras",
    [
        {"x0": "nan"},
        {"width": "1e400"},
        {"x1": ""},
        {"width": "0"},
        {"score": "inf"},
        {"review": "x"},
        {"id": "x" * 5000},
    ],
)
def test_that_nonsense_beside_voc_is_passed_over(dataset, images, extras):
    report = imported(dataset, images, a=voc(exported_object(**extras)))
    assert report.num_regions_added == 1
    assert dataset.region_page(0, 10)[0].score is None


ANY = st.text(st.characters(exclude_characters="<&\0"), max_size=8) | st.sampled_from(
    ["nan", "1e999", "-5", "7,5", "1"]
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    objects=st.lists(
        st.builds(
            lambda name, a, b, c, d: thing(f"<xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>", name),
            ANY, ANY, ANY, ANY, ANY,
        ),
        max_size=4,
    ),
    cut=st.none() | st.integers(0, 400),
)  # fmt: skip
def test_row_53_whatever_a_file_holds_the_sound_ones_go_in(tmp_path_factory, objects, cut):
    folder = tmp_path_factory.mktemp("any")
    (folder / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80)).save(folder / "images" / name)
    content = voc(*objects).encode("utf-8", "surrogatepass")[:cut]
    with Dataset.create(create_project(folder / "project")) as dataset:
        report = imported(dataset, folder / "images", a=content, b=voc(thing(name="sound"), filename="b.png"))
        assert [region.phrase for region in dataset.region_page(0, 10)][-1] == "sound"
        assert report.to_json()
        assert imported(dataset, folder / "images").num_new == 0

"""FAULTS.md, labelme in: rows 47 to 49, 53 to 57, 61 to 63.  A bad shape never takes the good with it."""

import json
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

BOX = (10, 20, 40, 60)
CORNERS = [[10, 20], [40, 60]]
TRIANGLE = [[10, 20], [40, 20], [40, 60]]


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


def shape(points=CORNERS, kind="rectangle", label="dog", **more):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


def labelme(*shapes, path="a.png", size=(100, 80), **more):
    head = {"version": "5.5.0", "flags": {}, "imagePath": path, "imageData": None}
    return head | {"shapes": list(shapes), "imageWidth": size[0], "imageHeight": size[1], **more}


def imported(dataset, images, options=None, **files):
    for name, document in files.items():
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        (images / f"{name}.json").write_bytes(content)
    return import_annotations(dataset, images, images, format="labelme", **(options or {}))


def corners(dataset):
    regions = dataset.region_page(0, 1000)
    return [tuple(round(value, 6) for value in region.box.to_pixels(100, 80)) for region in regions]


def reasons(report):
    return [(note.id, note.row, str(note.outcome), note.reason) for note in report.notes]


def test_that_a_rectangle_becomes_a_region_whichever_corner_was_drawn_first(dataset, images):
    report = imported(dataset, images, a=labelme(shape(), shape([[40, 20], [10, 60]]), shape(description="a big dog")))
    assert corners(dataset) == [BOX] * 3
    first, _, third = dataset.region_page(0, 10)
    assert (first.review, first.origin, first.phrase) == (Review.ACCEPTED, Origin.IMPORTED, "dog")
    assert (first.source, first.external_id, third.phrase) == ("labelme:images", "a.json#0", "a big dog")
    assert (report.num_images_added, report.num_classes_added, report.notes) == (1, 1, [])


def test_row_57_a_polygon_becomes_a_mask_as_it_came_with_the_smallest_box_around_it(dataset, images):
    imported(dataset, images, a=labelme(shape(TRIANGLE, "polygon")))
    (region,) = dataset.region_page(0, 10)
    assert (corners(dataset), region.mask) == ([BOX], "[[10,20,40,20,40,60]]")


def test_row_57_polygons_of_one_group_and_label_are_one_region(dataset, images):
    far = [[50, 70], [60, 70], [60, 75]]
    parts = [shape(TRIANGLE, "polygon", group_id=4), shape(TRIANGLE, "polygon", "cat", group_id=4)]
    imported(dataset, images, a=labelme(*parts, shape(far, "polygon", group_id=4), shape(group_id=4)))
    first, second, third = dataset.region_page(0, 10)
    assert json.loads(first.mask) == [[10, 20, 40, 20, 40, 60], [50, 70, 60, 70, 60, 75]]
    assert corners(dataset) == [(10, 20, 60, 75), BOX, BOX]
    assert (second.phrase, third.mask) == ("cat", None)


@pytest.mark.parametrize("kind", ["point", "points", "line", "linestrip"])
def test_that_what_has_no_box_is_left_out_by_name(dataset, images, kind):
    report = imported(dataset, images, a=labelme(shape([[1, 1], [50, 50]], kind), shape()))
    assert reasons(report) == [("a.json", 0, "dropped", f"a {kind} has no box")]
    assert report.num_regions_added == 1


def test_that_a_circle_and_a_painted_mask_give_their_box(dataset, images):
    report = imported(
        dataset, images, a=labelme(shape([[50, 40], [50, 50]], "circle"), shape(CORNERS, "mask", mask="…"))
    )
    assert corners(dataset) == [(40, 30, 60, 50), BOX]
    assert [note.reason for note in report.notes] == [
        "of its circle the box was taken",
        "of its painted mask the box was taken",
    ]


def test_that_four_corners_and_a_score_come_in_too(dataset, images):
    four = [[10, 20], [40, 20], [40, 60], [10, 60]]
    imported(dataset, images, a=labelme(shape(four, score=0.5), shape(four, "rotation")))
    assert corners(dataset) == [BOX, BOX]
    assert [region.score for region in dataset.region_page(0, 9)] == [0.5, None]


def test_that_flags_are_left_out_with_a_note(dataset, images):
    report = imported(dataset, images, a=labelme(shape(flags={"old": True}), flags={"blurred": True, "x": False}))
    assert [note.reason for note in report.notes] == ["its flags were left out"] * 2
    assert report.num_rejected == 0


def test_that_the_picture_inside_a_file_is_never_decoded(dataset, images):
    report = imported(dataset, images, a=labelme(shape(), imageData="not base64 " * 1000))
    assert (report.num_regions_added, report.notes) == (1, [])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1" * 400])
def test_row_47_a_corner_that_is_not_finite_costs_its_shape_only(dataset, images, number):
    text = json.dumps(labelme(shape([["x", 20], [40, 60]]), shape()))
    report = imported(dataset, images, a=text.replace('"x"', number).encode())
    assert reasons(report) == [("a.json", 0, "dropped", "its box is not finite")]
    assert report.num_regions_added == 1


def test_row_53_an_integer_without_end_is_no_number_anybody_reads(dataset, images):
    text = json.dumps(labelme(shape([["x", 20], [40, 60]]))).replace('"x"', "1" * 5000)
    report = imported(dataset, images, a=text.encode(), b=labelme(shape(), path="b.png"))
    assert [note.reason for note in report.notes] == ["it is no valid JSON"]
    assert report.num_regions_added == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (shape(label=""), "it has no label"),
        (shape(label=" \t"), "it has no label"),
        (shape(label=7), "it has no label"),
        (shape(label="x" * 1001), "its label is too long"),
        (shape(label="x" * 30_000), "its label is too long"),
        (shape([[10, 20], [10, 60]]), "its box has no area"),
        (shape([[10, 20]]), "its shape is not known"),
        (shape(kind="heart"), "its shape is not known"),
        (shape(kind=["rectangle"]), "its shape is not known"),
        (shape(points="10,20"), "its points are no list of two numbers each"),
        (shape(points=None), "its points are no list of two numbers each"),
        (shape([[1, 2, 3], [4, 5, 6]]), "its points are no list of two numbers each"),
        (shape([["1", 2], [3, 4]]), "its points are no list of two numbers each"),
        (shape([[True, 2], [3, 4]]), "its points are no list of two numbers each"),
        (shape(CORNERS, "polygon"), "its polygon has fewer than three points"),
        (shape([[1, 1], [2, 2], [3, 3]], "circle"), "its shape is not known"),
        (shape([[500, 20], [600, 60]]), "its box lies outside the image"),
        ("a shape", "it is no JSON object"),
        (None, "it is no JSON object"),
    ],
)
def test_row_53_a_malformed_shape_is_named_with_its_reason(dataset, images, bad, reason):
    report = imported(dataset, images, a=labelme(bad, shape()))
    assert [(note.row, str(note.outcome), note.reason) for note in report.notes] == [(0, "dropped", reason)]
    assert (report.num_regions_added, report.num_rejected) == (1, 1)


def test_row_53_a_key_that_stands_twice_costs_its_shape_only(dataset, images):
    text = json.dumps(labelme(shape(), shape())).replace('"label": "dog"', '"label": "dog", "label": "cat"', 1)
    report = imported(dataset, images, a=text.encode())
    assert reasons(report) == [("a.json", 0, "dropped", "one key stands there twice")]
    assert report.num_regions_added == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is no valid JSON"),
        (b"{", "it is no valid JSON"),
        (b"[]", "it has no shapes; is it a labelme file?"),
        (b'{"images": [], "annotations": []}', "it has no shapes; is it a labelme file?"),
        (b'{"shapes": {}}', "it has no shapes; is it a labelme file?"),
        (b'{"shapes": [], "shapes": []}', "one key stands there twice"),
        (b'{"shapes": [], "imagePath": 7}', "its imagePath is no text"),
        (b'{"shapes": ' + b"[" * 100_000, "it is nested too deeply"),
        (b'{"shapes": [], "imagePath": "\xff"}', "it is not UTF-8 text"),
    ],
)
def test_row_53_a_broken_file_is_one_line_and_the_others_go_in(dataset, images, content, reason):
    report = imported(dataset, images, a=content, b=labelme(shape(), path="b.png"))
    assert reasons(report) == [("a.json", 0, "dropped", reason)]
    assert (report.num_regions_added, report.num_rejected) == (1, 1)


def test_row_53_a_byte_order_mark_is_no_trouble(dataset, images):
    report = imported(dataset, images, a=b"\xef\xbb\xbf" + json.dumps(labelme(shape())).encode())
    assert (report.num_regions_added, report.notes) == (1, [])


@pytest.mark.parametrize(
    "path",
    [
        *(
            "../../etc/passwd",
            "/etc/passwd",
            "C:\\x.png",
            "\\\\host\\x.png",
            "file:///etc/passwd",
            "http://127.0.0.1/a",
        ),
        *("a\0.png", "\ud800.png"),
    ],
)
def test_row_54_an_image_path_that_leads_out_of_the_image_folder_is_rejected(dataset, images, path):
    report = imported(dataset, images, a=labelme(shape(), path=path))
    assert reasons(report)[0] == ("a.json", 0, "dropped", "its file_name leads out of the image folder")
    assert (report.num_images_added, report.num_rejected) == (0, 1)


@pytest.mark.parametrize("path", ["../images/a.png", "..\\images\\a.png"])
def test_row_54_a_path_to_a_neighbouring_folder_is_taken_when_that_is_the_image_folder(dataset, images, path):
    folder = images.parent / "labels"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(labelme(shape(), path=path)))
    report = import_annotations(dataset, folder, images, format="labelme")
    assert (report.num_regions_added, report.notes) == (1, [])
    with Dataset.create(create_project(images.parent / "other")) as other:
        assert import_annotations(other, folder, folder, format="labelme").num_images_rejected == 1


def test_row_54_what_an_export_says_of_its_file_is_believed_no_more_than_the_path(dataset, images):
    secret = images.parent / "secret.png"
    Image.new("RGB", (100, 80)).save(secret)
    wrong = [("../secret.png", "secret.png"), ("../secret.png", "../secret.png"), (str(secret), str(secret))]
    for path, file in [*wrong, ("\ud800/a.png", "a.png"), ("x\0/a.png", "a.png")]:
        report = imported(dataset, images, a=labelme(shape(), path=path, locstudio={"file": file}))
        assert report.num_images_added == 0


def test_that_a_file_without_image_path_means_the_picture_of_its_name(dataset, images):
    report = imported(dataset, images, a=labelme(shape(), path=""), b=labelme(shape(), path=None))
    assert (report.num_images_added, report.num_regions_added) == (2, 2)


def test_row_56_another_size_than_the_file_is_rejected_and_can_be_scaled(dataset, images):
    report = imported(dataset, images, a=labelme(shape(TRIANGLE, "polygon"), size=(50, 40)))
    assert report.num_images_rejected == 1
    imported(dataset, images, {"rescale": True})
    assert corners(dataset) == [(20, 40, 80, 80)]


@pytest.mark.parametrize("size", [(None, None), (0, 0), (-5, 10), ("100", "80"), (1e300, 5)])
def test_that_a_missing_or_senseless_size_is_the_pictures_own(dataset, images, size):
    report = imported(dataset, images, a=labelme(shape(), size=size))
    assert report.num_regions_added == 1
    assert [note.reason for note in report.notes] in ([], ["its size is none, and the picture's own was taken"])


def test_row_61_names_are_text_and_are_folded_by_case_and_space(dataset, images):
    labels = ["Hot  Dog", " hot dog ", "<b>x</b>", "\u202eevil", "half \ud800"]
    imported(dataset, images, a=labelme(*(shape(label=label) for label in labels)))
    assert [label.name for label in dataset.classes()] == ["Hot  Dog", "<b>x</b>", "\u202eevil", "half \ufffd"]


def test_row_62_and_63_a_second_import_adds_nothing_and_never_overwrites_a_correction(dataset, images):
    imported(dataset, images, a=labelme(shape(), shape(label="cat")))
    again = imported(dataset, images)
    assert (again.num_new, again.num_regions_known) == (0, 2)
    (first, _) = dataset.region_page(0, 10)
    dataset.apply(change_regions([(first, replace(first, phrase="mine", origin=Origin.EDITED))], "Correct"))
    third = imported(dataset, images, a=labelme(shape(label="cow"), shape(label="cat")))
    assert [conflict.reason for conflict in third.conflicts] == ["you have corrected this region"]
    assert dataset.region_page(0, 10)[0].phrase == "mine"


EXTRAS = {"id": 7, "class": "dog", "phrase": "a big dog", "review": "pending", "origin": "model"}
EXTRAS |= {"box": [9.5, 20, 40, 60], "shape_box": [10, 20, 40, 60]}


def test_that_what_an_export_says_beside_labelme_is_taken_while_nobody_has_changed_the_shape(dataset, images):
    imported(dataset, images, a=labelme(shape(TRIANGLE, "polygon", description="a big dog", locstudio=EXTRAS)))
    (region,) = dataset.region_page(0, 10)
    assert corners(dataset) == [(9.5, 20, 40, 60)]
    assert (region.phrase, region.review, region.origin) == ("a big dog", Review.PENDING, Origin.MODEL)
    assert region.external_id == "a.json#7"


def test_that_a_shape_changed_in_labelme_wins(dataset, images):
    moved = shape([[12, 20], [40, 60]], description="a big dog", locstudio=EXTRAS)
    renamed = shape(label="cat", description="a big dog", locstudio=EXTRAS)
    imported(dataset, images, a=labelme(moved, renamed))
    first, second = dataset.region_page(0, 10)
    assert corners(dataset)[0] == (12, 20, 40, 60)
    assert [(r.phrase, r.origin) for r in (first, second)] == [("a big dog", Origin.EDITED)] * 2
    assert [label.name for label in dataset.classes()] == ["dog", "cat"]
    assert [r.external_id for r in (first, second)] == ["a.json#7", "a.json#7#1"]


def test_that_a_folder_without_annotations_is_one_sentence(dataset, images):
    with pytest.raises(BadInput, match=r"images holds no labelme annotations, \.json files with shapes"):
        imported(dataset, images)


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["dog", "polygon"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "label": VALUE | st.just("dog"),
        "points": VALUE | st.just(CORNERS) | st.just(TRIANGLE),
        "shape_type": VALUE | st.sampled_from(["rectangle", "polygon", "circle", "mask"]),
        "group_id": VALUE,
        "flags": VALUE,
        "description": VALUE,
        "score": VALUE,
        "locstudio": VALUE
        | st.fixed_dictionaries({}, optional=dict.fromkeys(EXTRAS, VALUE) | {"box": VALUE | st.just([1, 2, 3, 4])}),
    },
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(shapes=st.lists(SHAPES | VALUE, max_size=4), more=st.dictionaries(st.text(max_size=4), VALUE, max_size=2))
def test_row_53_whatever_a_file_holds_the_sound_ones_go_in(tmp_path_factory, shapes, more):
    folder = tmp_path_factory.mktemp("any")
    (folder / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80)).save(folder / "images" / name)
    with Dataset.create(create_project(folder / "project")) as dataset:
        document = {**more, **labelme(*shapes)}
        report = imported(dataset, folder / "images", a=document, b=labelme(shape(label="sound"), path="b.png"))
        assert [region.phrase for region in dataset.region_page(0, 10)][-1] == "sound"
        assert report.to_json()
        assert imported(dataset, folder / "images").num_new == 0

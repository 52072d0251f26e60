"""Label Studio: what each result becomes, whose annotation counts, and which file an address names."""

import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Origin, Review
from locstudio.interchange.label_studio import LabelStudioFile
from locstudio.interchange.label_studio_brush import brush_of_runs, runs_of_brush
from locstudio.interchange.label_studio_paths import address_of, file_name_of
from locstudio.interchange.masks import BadMask
from locstudio.interchange.report import ImportReport
from locstudio.interchange.rows import BadRow, CaptionRow

PLACE = {"x": 10, "y": 25, "width": 30, "height": 50, "rotation": 0}


def result(kind="rectanglelabels", value=None, key="r1", labels=("dog",), **more):
    value = dict(PLACE if value is None else value)
    if kind.endswith("labels"):
        value[kind] = list(labels)
    size = {"original_width": 200, "original_height": 100, "image_rotation": 0}
    return {"id": key, "type": kind, "from_name": "l", "to_name": "image", "value": value, **size, **more}


def annotation(*results, **more):
    return {"id": 1, "result": list(results), "was_cancelled": False, **more}


def task(*annotations, image="/data/local-files/?d=a.png", predictions=(), **more):
    return {
        "id": 1,
        "data": {"image": image},
        "annotations": list(annotations),
        "predictions": list(predictions),
        **more,
    }


def read(tmp_path, *tasks):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    report = ImportReport(str(path))
    file = LabelStudioFile(path, report)
    tables = file.tables()
    return tables, list(file.rows()), report


def reasons(report):
    return [(str(note.outcome), note.reason) for note in report.notes]


def test_that_percent_become_pixels_of_the_picture(tmp_path):
    tables, (row,), report = read(tmp_path, task(annotation(result())))
    assert (row.box, row.class_key, row.image_key, row.external_id) == ((20, 25, 80, 75), "dog", "a.png", "r1")
    assert (row.phrase, row.review, row.origin, row.score) == (None, None, None, None)
    (image,) = tables.images.values()
    assert (image.file_name, image.width, image.height) == ("a.png", 200, 100)
    assert not report.notes


def test_that_a_turned_rectangle_turns_about_its_first_corner(tmp_path):
    value = {"x": 50, "y": 50, "width": 10, "height": 10, "rotation": 90}  # 20 x 10 pixels at (100, 50)
    _, (row,), report = read(tmp_path, task(annotation(result(value=value))))
    assert row.box == pytest.approx((90, 50, 100, 70))
    assert reasons(report) == [("kept", "it is turned, and the box around it was taken")]


def test_that_polygons_and_brush_strokes_bring_masks(tmp_path):
    polygon = result("polygonlabels", {"points": [[10, 20], [20, 20], [20, 40]]}, "p")
    stroke = brush_of_runs([200 + 10, 5, 20_000 - 215])  # on line 1, from 10 to 15
    brush = result("brushlabels", {"format": "rle", "rle": stroke}, "b")
    _, (first, second), _ = read(tmp_path, task(annotation(polygon, brush)))
    assert (first.segmentation, first.box) == ([[20, 20, 40, 20, 40, 40]], (20, 20, 40, 40))
    assert second.box == (10, 1, 15, 2)
    assert second.segmentation["size"] == [100, 200]
    assert second.segmentation["counts"][:3] == [10 * 100 + 1, 1, 99]


def test_that_an_ellipse_becomes_the_box_around_it(tmp_path):
    value = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 10, "rotation": 90}
    _, (row,), _ = read(tmp_path, task(annotation(result("ellipselabels", value))))
    assert row.box == pytest.approx((90, 30, 110, 70))


def test_that_words_of_a_region_are_its_phrase_and_words_without_one_a_caption(tmp_path):
    words = result("textarea", {"text": ["a red", "dog"]})
    sentence = {
        "id": "c",
        "type": "textarea",
        "from_name": "caption",
        "to_name": "image",
        "value": {"text": ["One.", " "]},
    }
    _, (caption, row), _ = read(tmp_path, task(annotation(result(), words, sentence)))
    assert isinstance(caption, CaptionRow)
    assert (caption.text, caption.external_id) == ("One.", "c")
    assert (row.phrase, row.class_key) == ("a red dog", "dog")


def test_that_a_shape_and_its_label_may_be_two_results_of_one_id(tmp_path):
    shape = result("rectangle")
    label = result("labels", {**PLACE, "labels": ["cat"]}, labels=("cat",))
    _, (row,), _ = read(tmp_path, task(annotation(shape, label)))
    assert row.class_key == "cat"


def test_that_the_newest_annotation_counts_and_ground_truth_before_it_and_a_cancelled_one_never(tmp_path):
    def by(label, **more):
        return annotation(result(labels=(label,), key=label), **more)

    old, new = by("old", updated_at="2025-01-01T00:00:00Z"), by("new", updated_at="2026-01-01T00:00:00Z")
    cancelled = by("cancelled", updated_at="2027-01-01T00:00:00Z") | {"was_cancelled": True}
    _, rows, report = read(tmp_path, task(new, old, cancelled))
    assert [row.class_key for row in rows] == ["new"]
    assert reasons(report) == [("dropped", "another annotation of its task counts")]
    _, rows, _ = read(tmp_path, task(new, {**old, "ground_truth": True}))
    assert [row.class_key for row in rows] == ["old"]


def test_that_predictions_are_pending_regions_of_a_model_while_nobody_has_annotated(tmp_path):
    guess = {"score": 0.4, "result": [result(key="g"), result(key="h", score=0.9)], "model_version": "1"}
    _, (first, second), _ = read(tmp_path, task(predictions=[guess]))
    assert (first.review, first.origin, first.score) == (Review.PENDING, Origin.MODEL, 0.4)
    assert second.score == 0.9
    _, rows, _ = read(tmp_path, task(annotation(result(origin="prediction-changed")), predictions=[guess]))
    assert [(row.external_id, row.origin, row.review) for row in rows] == [("r1", Origin.EDITED, None)]


def test_that_in_our_own_file_annotations_and_predictions_stand_beside_each_other_in_one_order(tmp_path):
    ours = {"meta": {"locstudio": {"image": 1}}}
    guess = {"result": [result(key="3", meta={"locstudio": {"review": "rejected", "origin": "imported"}})]}
    _, rows, _ = read(tmp_path, task(annotation(result(key="5")), predictions=[guess], **ours))
    assert [row.external_id for row in rows] == ["3", "5"]
    assert (rows[0].review, rows[0].origin) == (Review.REJECTED, Origin.IMPORTED)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (result("keypointlabels", {"x": 1, "y": 1}), "it is no region"),
        ({"id": "c", "type": "choices", "value": {"choices": ["sunny"]}}, "it is no region"),
        ({"type": "relation", "from_id": "a", "to_id": "b"}, "it is no region"),
        (result(labels=()), "it has neither a label nor words"),
        (result(value={**PLACE, "x": float("nan")}), "its x is no finite number"),
        (result(value={**PLACE, "x": "10"}), "its x is no finite number"),
        (result(value={**PLACE, "width": 0}), "its box has no area"),
        (result(image_rotation=90), "its picture was turned in Label Studio"),
        (result("polygonlabels", {"points": [[1, 1], [2, 2]]}), "a polygon is not a list of three or more points"),
        (
            result("polygonlabels", {"points": [[1, 1], [2, 2], ["x", 3]]}),
            "a polygon has a corner that is no finite number",
        ),
        (result("brushlabels", {"format": "rle", "rle": [1, 2]}), "the brush stroke ends in the middle"),
        (
            result("brushlabels", {"format": "rle", "rle": brush_of_runs([1, 2])}),
            "the brush stroke does not fill its picture",
        ),
        (result("brushlabels", {"format": "rle", "rle": ["x"]}), "the brush stroke is no list of bytes"),
        (result("brushlabels", {"url": "http://example.org/x"}), "the brush stroke has no run lengths"),
    ],
)
def test_row_53_a_result_that_cannot_be_used_is_named_and_the_next_is_kept(tmp_path, bad, reason):
    _, rows, report = read(tmp_path, task(annotation({**bad, "id": "bad"}, result())))
    assert reasons(report) == [("dropped", reason)]
    assert [row.external_id for row in rows] == ["r1"]


def test_that_a_result_without_the_size_of_its_picture_is_a_share_of_it(tmp_path):
    stroke = {"format": "rle", "rle": brush_of_runs([1, 2])}
    bare = [
        {key: value for key, value in whole.items() if not key.startswith("original")}
        for whole in (result(), result("brushlabels", stroke, "b"))
    ]
    tables, (row,), report = read(tmp_path, task(annotation(*bare)))
    assert tables.images["a.png"].is_unit
    assert row.box == pytest.approx((0.1, 0.25, 0.4, 0.75))
    assert reasons(report) == [("dropped", "the brush stroke's picture has no size")]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=pets/a%20b.jpg", "pets/a b.jpg"),
        ("https://studio.example.org/data/local-files/?d=a.jpg&x=1", "a.jpg"),
        ("/data/upload/3/0c8f2f11-a.jpg", "a.jpg"),
        ("/data/upload/a.jpg", "a.jpg"),
        ("s3://bucket/pets/a.jpg", "pets/a.jpg"),
        ("gs://bucket/a.jpg", "a.jpg"),
        ("https://example.org/x/a.jpg?token=1#top", "x/a.jpg"),
        ("pets/a.jpg", "pets/a.jpg"),
        ("../../etc/passwd", "../../etc/passwd"),  # `paths.inside` refuses it
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("C:\\a.jpg", "C:\\a.jpg"),
        ("/data/local-files/?d=../../etc/passwd", "../../etc/passwd"),
    ],
)
def test_row_54_an_address_becomes_a_name_and_is_never_fetched(address, name):
    assert file_name_of(address) == name


@pytest.mark.parametrize("address", ["", "data:image/png;base64,AAAA", "s3://bucket/", "http://[::1", "x" * 10_000])
def test_row_54_an_address_that_names_no_file_is_refused(address):
    with pytest.raises(BadRow):
        file_name_of(address)


@given(st.text(min_size=1, max_size=30) | st.just("a\udcff b.png"))
def test_that_an_address_of_ours_gives_the_name_back(name):
    assert file_name_of(address_of(name)) == name


@given(st.lists(st.integers(1, 90_000), min_size=1, max_size=8), st.booleans())
def test_that_a_brush_stroke_gives_its_runs_back(lengths, starts_covered):
    runs = [0, *lengths] if starts_covered else lengths
    assert runs_of_brush(brush_of_runs(runs), sum(runs)) == runs


def test_that_a_brush_stroke_of_literal_bytes_is_read_by_its_alpha():
    # Two pixels of RGBA, told byte by byte: the first has colour and no alpha, the second alpha.
    pixels = [255, 255, 255, 0, 0, 0, 0, 9]
    bits = (
        f"{8:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}" + "0" + "00" + f"{7:03b}" + "".join(f"{p:08b}" for p in pixels)
    )
    bits += "0" * (-len(bits) % 8)
    packed = [int(bits[begin:end], 2) for begin, end in pairwise(range(0, len(bits) + 1, 8))]
    assert runs_of_brush(packed, 2) == [1, 1]


@given(st.binary(max_size=60), st.integers(1, 100))
def test_row_53_whatever_a_brush_stroke_holds_it_is_a_mask_or_a_reason(packed, num_pixels):
    head = list((4 * num_pixels).to_bytes(4, "big"))
    for bytes_ in (list(packed), head + list(packed)):
        with suppress(BadMask):
            assert sum(runs_of_brush(bytes_, num_pixels)) == num_pixels


@pytest.mark.parametrize("document", [[], {"images": []}, [[]], [{"image": "a.png", "label": []}], "x"])
def test_that_a_file_of_another_kind_is_refused_or_told_row_by_row(tmp_path, document):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(document))
    report = ImportReport(str(path))
    file = LabelStudioFile(path, report)
    with suppress(BadInput):
        assert not file.tables().images
        assert report.num_images_rejected == 1
        assert list(file.rows()) == []

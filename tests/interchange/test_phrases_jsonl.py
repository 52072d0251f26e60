"""Lines of regions and their phrases: the forms that are read, and where a phrase stands in its caption."""

import json

import pytest

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Origin, Review
from locstudio.interchange.phrases_jsonl import PhrasesFile
from locstudio.interchange.report import ImportReport
from locstudio.interchange.rows import CaptionRow

BOX = [10, 20, 40, 60]
SIZE = {"filename": "a.png", "height": 80, "width": 100}


def grounding(*regions, caption="a red dog and a cat", **more):
    return {**SIZE, "grounding": {"caption": caption, "regions": list(regions), **more}}


def read(tmp_path, *lines):
    path = tmp_path / "phrases.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    report = ImportReport(str(path))
    file = PhrasesFile(path, report)
    tables = file.tables()
    return tables, list(file.rows()), report


def reasons(report):
    return [(note.table, note.row, str(note.outcome), note.reason) for note in report.notes]


def test_that_a_line_of_grounding_is_a_caption_and_its_phrases_with_their_place(tmp_path):
    tables, (caption, dog, cat), report = read(
        tmp_path, grounding({"bbox": BOX, "phrase": "red dog"}, {"bbox": BOX, "phrase": "A cat", "score": 0.5})
    )
    assert isinstance(caption, CaptionRow)
    assert (caption.text, caption.external_id) == ("a red dog and a cat", "a.png:1")
    assert (dog.box, dog.phrase, dog.class_key) == ((10, 20, 40, 60), "red dog", None)
    assert (dog.caption, dog.span, cat.span, cat.score) == ("a.png:1", (2, 9), (14, 19), 0.5)
    assert (tables.images["a.png"].width, tables.images["a.png"].height) == (100, 80)
    assert not report.notes


@pytest.mark.parametrize(
    ("region", "caption", "span"),
    [
        ({"phrase": "dog"}, "a dog and a dog", None),  # which one?
        ({"phrase": "dog"}, "a hotdog", None),
        ({"phrase": "dog (red)"}, "a dog (red)", (2, 11)),
        ({"phrase": "dog", "tokens_positive": [[12, 15]]}, "a dog and a dog", (12, 15)),
        ({"phrase": "dog", "tokens_positive": [[12, 99]]}, "a dog and a dog", None),
        ({"phrase": "dog", "tokens_positive": [[0, 1], [2, 5]]}, "a dog", None),
        ({"phrase": "dog", "tokens_positive": [[4, 7]]}, "  a dog", (2, 5)),  # margins are cut off
        ({"phrase": "hound"}, "a dog", None),
    ],
)
def test_that_a_phrase_is_placed_where_it_is_told_or_stands_once(tmp_path, region, caption, span):
    _, (_, row), _ = read(tmp_path, grounding({"bbox": BOX, **region}, caption=caption))
    assert row.span == span
    assert row.caption == ("a.png:1" if span else None)


def test_that_a_phrase_of_several_boxes_is_as_many_regions(tmp_path):
    _, rows, _ = read(tmp_path, grounding({"bbox": [BOX, [0, 0, 5, 5]], "phrase": "dogs"}, caption=""))
    assert [(row.box, row.external_id) for row in rows] == [((10, 20, 40, 60), "a.png:1"), ((0, 0, 5, 5), "a.png:2")]


def test_that_instances_of_a_detection_are_regions_of_their_category(tmp_path):
    instances = [{"bbox": BOX, "label": 3, "category": "dog"}, {"bbox": BOX, "label": 4}]
    tables, (named, nameless), _ = read(tmp_path, {**SIZE, "detection": {"instances": instances}})
    assert (named.class_key, named.phrase) == ("dog", None)
    assert nameless.class_key == 4
    assert list(tables.classes) == ["dog"]


def test_that_plain_lines_are_read_too(tmp_path):
    tables, (first, second), _ = read(
        tmp_path, {"image": "a.png", "phrase": "dog", "box": BOX}, {"file_name": "a.png", "phrase": "cat", "bbox": BOX}
    )
    assert (first.phrase, second.phrase, second.external_id) == ("dog", "cat", "a.png:2")
    assert (tables.images["a.png"].width, len(tables.images)) == (0, 1)


def test_that_lines_of_one_image_come_together_captions_first_and_ours_in_their_order(tmp_path):
    first = grounding({"bbox": BOX, "phrase": "cat", "id": 9}, caption="a cat", caption_id=2)
    second = grounding({"bbox": BOX, "phrase": "dog", "id": 4, "review": "pending", "origin": "model"}, caption="")
    _, rows, _ = read(tmp_path, first, second)
    assert [row.external_id for row in rows] == ["2", "4", "9"]
    assert (rows[1].review, rows[1].origin) == (Review.PENDING, Origin.MODEL)


def test_that_one_caption_in_two_lines_is_one(tmp_path):
    line = grounding({"bbox": BOX, "phrase": "cat"})
    _, rows, _ = read(tmp_path, line, line)
    assert [isinstance(row, CaptionRow) for row in rows] == [True, False, False]


def test_that_captions_which_say_the_same_are_two_where_the_file_has_two_ids_for_them(tmp_path):
    first = grounding({"bbox": BOX, "phrase": "cat", "id": 3}, caption="a cat", caption_id=1)
    second = grounding({"bbox": BOX, "phrase": "cat", "id": 4}, caption="a cat", caption_id=2)
    _, rows, _ = read(tmp_path, first, second)
    assert [row.external_id for row in rows] == ["1", "2", "3", "4"]
    assert [row.caption for row in rows[2:]] == ["1", "2"]


def test_row_52_a_name_with_two_sizes_is_nobody_s(tmp_path):
    other = {**grounding({"bbox": BOX, "phrase": "cat"}), "width": 99}
    tables, _, report = read(tmp_path, grounding(), other)
    assert (tables.images, tables.ambiguous_images) == ({}, {"a.png"})
    assert report.num_images_rejected == 1


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        ({"phrase": "x"}, "its box is not a list of four numbers"),
        ({"phrase": "x", "bbox": [1, 2, 3]}, "its box is not a list of four numbers"),
        ({"phrase": "x", "bbox": [1, 2, 3, "4"]}, "its box has something in it that is no number"),
        ({"phrase": "x", "bbox": [1, 2, 3, True]}, "its box has something in it that is no number"),
        ({"phrase": "x", "bbox": [1, 2, float("inf"), 4]}, "its box is not finite"),
        ({"phrase": "x", "bbox": [1, 2, 10**400, 4]}, "its box is not finite"),
        ({"phrase": "x", "bbox": [5, 2, 3, 4]}, "its box has no area"),
        ({"bbox": BOX}, "it has neither a phrase nor a category"),
        ({"bbox": BOX, "phrase": " \n"}, "it has neither a phrase nor a category"),
        ({"bbox": BOX, "phrase": 7}, "it has neither a phrase nor a category"),
        ({"bbox": BOX, "phrase": "x", "segmentation": "y"}, "the segmentation is neither polygons nor run lengths"),
        (7, "it is no JSON object"),
    ],
)
def test_row_53_a_region_that_cannot_be_used_is_named_and_the_next_is_kept(tmp_path, region, reason):
    _, rows, report = read(tmp_path, grounding(region, {"bbox": BOX, "phrase": "cat"}, caption=""))
    assert reasons(report) == [("regions", 0, "dropped", reason)]
    assert [row.phrase for row in rows] == ["cat"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "it is no valid JSON"),
        ("9" * 5000, "it is no valid JSON"),
        ("[" * 100_000, "it is nested too deeply"),
        ("[]", "it is no JSON object"),
        ('{"filename": "a.png", "filename": "b.png", "grounding": {}}', "one key stands there twice"),
        ('{"grounding": {}}', "it has no filename"),
        ('{"filename": "a.png"}', "it has neither grounding nor detection nor a phrase"),
        ('{"filename": "a.png", "grounding": 3}', "it has neither grounding nor detection nor a phrase"),
        ('{"filename": "a.png", "grounding": {}, "width": -1, "height": 3}', "its width and height are no sizes"),
    ],
)
def test_row_53_a_broken_line_costs_itself_alone(tmp_path, line, reason):
    tables, rows, report = read(tmp_path, line, grounding({"bbox": BOX, "phrase": "cat"}, caption=""))
    assert reasons(report) == [("lines", 0, "dropped", reason)]
    assert len(rows) == 1
    assert list(tables.images) == ["a.png"]


def test_row_53_a_line_that_is_no_text_or_has_no_end_costs_itself_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("locstudio.interchange.json_lines.MAX_LINE", 1000)
    path = tmp_path / "phrases.jsonl"
    sound = json.dumps(grounding({"bbox": BOX, "phrase": "cat"}, caption="")).encode()
    path.write_bytes(b"\xef\xbb\xbf" + sound + b'\n{"a": "\xff"}\n' + b"x" * 5000 + b"\n\r\n" + sound)
    report = ImportReport(str(path))
    file = PhrasesFile(path, report)
    file.tables()
    assert len(list(file.rows())) == 2
    assert [reason for *_, reason in reasons(report)] == ["it is no UTF-8 text", "its line is too long"]


@pytest.mark.parametrize("text", ["", "\n\n", "[]", "<annotations/>", '{"images": [], "annotations": []}'])
def test_that_a_file_of_another_kind_is_refused_in_a_sentence(tmp_path, text):
    path = tmp_path / "phrases.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"^phrases\.jsonl has no line with a picture"):
        PhrasesFile(path, ImportReport(str(path))).tables()

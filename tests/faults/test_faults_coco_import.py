"""FAULTS.md, COCO in: rows 33, 47 to 54, 56, 57, 62, 63, 103.  A bad row never takes the good ones with it."""

import json
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.edits import CaptionChange, ClassChange, Edit, change_regions, delete_regions
from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import UnitBox
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Origin, Problem, Review
from locstudio.interchange.paths import inside
from locstudio.services.importing import import_annotations
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

SQUARE = [10, 20, 30, 40]


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


def annotation(**changes):
    return {"id": 1, "image_id": 1, "category_id": 7, "bbox": SQUARE, **changes}


def coco(*annotations, images=None, categories=None, **more):
    return {
        "images": images or [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "annotations": list(annotations),
        "categories": categories or [{"id": 7, "name": "dog"}],
        **more,
    }


def imported(dataset, images, document, **options):
    path = images.parent / "annotations.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return import_annotations(dataset, path, images, format="coco", **options)


def boxes(dataset):
    return [tuple(round(c, 6) for c in region.box.to_pixels(100, 80)) for region in dataset.region_page(0, 1000)]


def reasons(report):
    return [(note.id, str(note.outcome), note.reason) for note in report.notes]


def test_that_a_sound_row_becomes_an_accepted_region_with_class_phrase_and_provenance(dataset, images):
    report = imported(dataset, images, coco(annotation(id=55)))
    (region,) = dataset.region_page(0, 10)
    assert (report.num_regions_added, report.num_images_added, report.num_classes_added) == (1, 1, 1)
    assert region.box == UnitBox(0.1, 0.25, 0.4, 0.75)
    assert (region.review, region.origin, region.phrase) == (Review.ACCEPTED, Origin.IMPORTED, "dog")
    assert (region.source, region.external_id) == ("coco:annotations.json", "55")
    (label,) = dataset.classes()
    assert (label.id, label.name, label.external_id) == (region.class_id, "dog", "7")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_row_47_a_box_that_is_not_finite_costs_its_row_only(dataset, images, number):
    text = json.dumps(coco(annotation(id=1), annotation(id=2, bbox=["x", 0, 5, 5]), annotation(id=3)))
    report = imported(dataset, images, text.replace('"x"', number))
    assert reasons(report) == [("2", "dropped", "its box is not finite")]
    assert (report.num_regions_added, report.num_rejected) == (2, 1)
    assert report.notes[0].to_text() == "annotations row 1 (id 2): dropped, its box is not finite"


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-5, 5), (5, -1)])
def test_row_48_a_box_of_zero_or_negative_size_is_rejected(dataset, images, size):
    report = imported(dataset, images, coco(annotation(bbox=[10, 10, *size]), annotation(id=2)))
    assert reasons(report) == [("1", "dropped", "its box has no area")]
    assert report.num_regions_added == 1


def test_row_49_a_box_partly_outside_is_cut_and_counted_and_one_wholly_outside_is_rejected(dataset, images):
    rows = [annotation(id=1, bbox=[-10, 20, 30, 100]), annotation(id=2, bbox=[100, 0, 5, 5])]
    rows += [annotation(id=3, bbox=[0, -9, 5, 9]), annotation(id=4, bbox=[90, 70, 10.005, 10])]
    report = imported(dataset, images, coco(*rows))
    assert reasons(report) == [
        ("1", "clamped", "its box was cut at the edge of the image"),
        ("2", "dropped", "its box lies outside the image"),
        ("3", "dropped", "its box lies outside the image"),
    ]
    assert (report.num_clamped, report.num_rejected) == (1, 2)
    assert boxes(dataset) == [(0, 20, 20, 80), (90, 70, 100, 80)]  # a hundredth outside is rounding, not news


def test_row_50_unknown_images_and_categories_are_listed_and_classes_can_be_made(dataset, images):
    document = coco(annotation(id=1, image_id=9), annotation(id=2, category_id=8), annotation(id=3))
    report = imported(dataset, images, document)
    assert reasons(report) == [
        ("1", "dropped", "its image is not in the file"),
        ("2", "dropped", "its class is not in the file"),
    ]
    assert report.offers == ["Some classes have no name in the file; import again and let classes be made for them."]
    again = imported(dataset, images, document, create_classes=True)
    assert (again.num_regions_added, again.num_regions_known) == (1, 1)
    assert [label.name for label in dataset.classes()] == ["dog", "class 8"]


def test_row_51_annotations_with_one_id_are_all_kept_under_new_ids(dataset, images):
    document = coco(annotation(id=1), annotation(id=1, bbox=[1, 1, 2, 2]), annotation(id=1))
    report = imported(dataset, images, document)
    assert [r.external_id for r in dataset.region_page(0, 10)] == ["1", "1#2", "1#3"]
    assert [(note.outcome, note.detail) for note in report.notes] == [("kept", "1#2"), ("kept", "1#3")]
    assert imported(dataset, images, document).num_regions_added == 0


def test_row_52_all_annotations_of_an_image_id_that_two_images_have_are_rejected(dataset, images):
    rows = [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}, {"id": 2, "file_name": "b.png"}]
    report = imported(dataset, images, coco(annotation(id=1), annotation(id=2, image_id=2), images=rows))
    assert reasons(report) == [
        ("1", "dropped", "its id belongs to another image too"),
        ("1", "dropped", "its image id belongs to several images"),
    ]
    assert report.num_regions_added == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": 1, "image_id": 1, "category_id": 7}, "it has neither a box nor a mask"),
        ({"id": 1, "category_id": 7, "bbox": SQUARE}, "its image_id is missing"),
        ({"id": 1, "image_id": 1, "bbox": SQUARE}, "it has no category_id"),
        (annotation(bbox=[1, 2, 3]), "its box is not a list of four numbers"),
        (annotation(bbox={"x": 1}), "its box is not a list of four numbers"),
        (annotation(bbox=["1", "2", "3", "4"]), "its box has something in it that is no number"),
        (annotation(bbox=[True, 2, 3, 4]), "its box has something in it that is no number"),
        (annotation(bbox=[10**400, 2, 3, 4]), "its box is not finite"),
        (annotation(id=10**400), "its id is too large a number"),
        (annotation(id=[1]), "its id is neither a number nor text"),
        (annotation(image_id={}), "its image_id is neither a number nor text"),
        (annotation(category_id="x" * 300), "its category_id is too long"),
        ({"id": 1, "image_id": 1, "caption": " "}, "its caption is empty or no text"),
        (7, "it is no JSON object"),
        (None, "it is no JSON object"),
    ],
)
def test_row_53_a_malformed_row_is_named_with_its_reason(dataset, images, row, reason):
    report = imported(dataset, images, coco(row, annotation(id=2)))
    assert [note.reason for note in report.notes] == [reason]
    assert (report.num_regions_added, report.num_rejected) == (1, 1)
    assert f"1 x annotations dropped: {reason}" in report.to_text()
    json.dumps(report.to_json(), allow_nan=False)


def test_row_53_ids_as_text_mean_the_same_as_numbers(dataset, images):
    report = imported(dataset, images, coco(annotation(id="1", image_id="1", category_id="7"), annotation(id="x")))
    assert report.num_regions_added == 2
    assert [r.external_id for r in dataset.region_page(0, 10)] == ["1", "x"]


def test_row_53_a_row_without_an_id_is_kept_and_known_again(dataset, images):
    row = annotation()
    del row["id"]
    assert imported(dataset, images, coco(row, row)).num_regions_added == 2
    assert imported(dataset, images, coco(row, row)).num_regions_known == 2


def test_row_53_a_key_that_stands_twice_costs_its_row_only(dataset, images):
    text = json.dumps(coco(annotation(id=1), annotation(id=2))).replace(
        '{"id": 1, "image_id"', '{"id": 1, "id": 3, "image_id"'
    )
    report = imported(dataset, images, text)
    assert [(note.reason, note.detail) for note in report.notes] == [
        ("one key stands there twice", "the key 'id' stands there twice")
    ]
    assert report.num_regions_added == 1


def test_row_53_a_byte_order_mark_is_no_trouble(dataset, images):
    assert imported(dataset, images, "\ufeff" + json.dumps(coco(annotation()))).num_regions_added == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"images": 3}',
        '{"annotations": [' + "[" * 100_000,
        '{"annotations": [' + '{"a":' * 100_000,
        '{"info": ' + "[" * 100_000,
        '{"annotations": [{"id": ' + "9" * 5000 + "}]}",
        '{"annotations": [{"bbox": [' + "9" * 400 + "}",
        '{"images": [{"id": 1}',
        "<html>",
    ],
)
def test_row_53_a_broken_file_is_one_sentence_within_a_second_and_a_hundred_megabytes(dataset, images, text):
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(BadInput, match=r"^annotations\.json [^\n]{1,200}[.?]$"):
            imported(dataset, images, text)
        assert time.process_time() - begin < 1
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert dataset.count_regions() == 0


VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 10**40)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([1, 7, "a.png"]),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["id", "size", "counts", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "id": VALUE,
        "image_id": VALUE,
        "category_id": VALUE,
        "bbox": VALUE | st.lists(st.floats() | st.integers(-100, 200), min_size=4, max_size=4),
        "segmentation": VALUE | st.fixed_dictionaries({"size": st.just([80, 100]), "counts": VALUE}),
        "iscrowd": VALUE,
        "score": VALUE,
        "caption": VALUE,
        "file_name": VALUE,
        "width": VALUE,
        "height": VALUE,
        "name": VALUE,
        "phrase": VALUE,
        "review": VALUE,
        "presence": VALUE | st.sampled_from(["positive", "negative"]),
    },
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=st.lists(ROW | VALUE, max_size=4), others=st.lists(ROW | VALUE, max_size=3))
def test_row_53_whatever_the_rows_hold_the_good_ones_go_in(dataset, images, rows, others):
    document = coco(*rows, annotation(id=777_777), captions=others, image_labels=[*rows, *others])
    document["images"] += others
    document["categories"] += others
    report = imported(dataset, images, document)
    assert report.num_regions_added + report.num_regions_known + report.num_regions_updated + report.num_conflicts >= 1
    report.to_text()
    json.dumps(report.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\x.png",
        "c:/x.png",
        "file:///etc/passwd",
        "http://example.org/a.png",
        "\\\\server\\share\\a.png",
        "//server/share/a.png",
        "sub/../../secret.png",
        "..",
        ".",
        "a\0.png",
        "\ud800.png",
        "x" * 5000,
    ],
)
def test_row_54_a_file_name_that_leads_out_of_the_image_folder_is_rejected(dataset, images, name):
    Image.new("RGB", (100, 80)).save(images.parent / "secret.png")
    rows = [{"id": 1, "file_name": name}, {"id": 2, "file_name": "a.png"}]
    report = imported(dataset, images, coco(annotation(id=1), annotation(id=2, image_id=2), images=rows))
    assert reasons(report) == [
        ("1", "dropped", "its file_name leads out of the image folder"),
        ("1", "dropped", "its image was left out: its file_name leads out of the image folder"),
    ]
    assert [image.path for image in dataset.image_page()] == ["a.png"]


def test_row_54_a_link_inside_the_image_folder_that_leads_out_is_not_followed(dataset, images):
    Image.new("RGB", (100, 80)).save(images.parent / "secret.png")
    (images / "link.png").symlink_to(images.parent / "secret.png")
    (images / "folder").symlink_to(images.parent)
    for name in ("link.png", "folder/secret.png"):
        assert inside(str(images), name) is None
    assert inside(str(images), "sub/../a.png") == "a.png"
    assert inside(str(images), "sub\\a.png") == "sub/a.png"


def test_that_a_file_in_a_folder_that_is_not_there_is_found_by_its_own_name(dataset, images):
    report = imported(dataset, images, coco(annotation(), images=[{"id": 1, "file_name": "train2017/a.png"}]))
    assert report.num_regions_added == 1


def test_that_the_first_folders_of_a_name_may_be_those_of_another_machine(dataset, images):
    (images / "sub").mkdir()
    Image.new("RGB", (100, 80)).save(images / "sub" / "c.png")
    document = coco(annotation(), images=[{"id": 1, "file_name": "data/train/sub/c.png", "width": 100, "height": 80}])
    assert imported(dataset, images, document).num_regions_added == 1
    assert [image.path for image in dataset.image_page()] == ["sub/c.png"]


def test_that_images_without_a_file_or_that_cannot_be_read_are_listed(dataset, images):
    (images / "broken.png").write_bytes(b"words")
    rows = [{"id": 1, "file_name": "gone.png"}, {"id": 2, "file_name": "broken.png"}]
    report = imported(dataset, images, coco(annotation(), annotation(id=2, image_id=2), images=rows))
    assert [note.reason for note in report.notes if note.table == "images"] == [
        "its file is not in the image folder",
        "its picture cannot be read",
    ]
    assert (report.num_images_rejected, report.num_rejected) == (2, 2)


def test_row_56_another_size_than_the_file_is_rejected_and_rescaling_is_offered(dataset, images):
    rows = [{"id": 1, "file_name": "a.png", "width": 200, "height": 40}]
    polygon = [[20, 10, 80, 10, 80, 30]]
    runs = {"size": [40, 200], "counts": [8000]}
    annotations = [annotation(bbox=[20, 10, 60, 20], segmentation=polygon)]
    annotations += [annotation(id=2, bbox=[20, 10, 60, 20], segmentation=runs)]
    document = coco(*annotations, images=rows)
    report = imported(dataset, images, document)
    assert report.num_regions_added == 0
    assert report.notes[0].detail == "a.png is 100 x 80, the file says 200 x 40"
    assert report.offers[0].startswith("Images with another size than the file says: 1; import again with rescaling")
    report = imported(dataset, images, document, rescale=True)
    assert boxes(dataset) == [(10, 20, 40, 60)] * 2
    first, second = dataset.region_page(0, 10)
    assert json.loads(first.mask) == [[10, 20, 40, 20, 40, 60]]
    assert second.mask is None
    assert reasons(report) == [("2", "kept", "its mask was left out")]


def test_row_33_and_56_a_size_from_before_the_picture_was_turned_upright_is_named_as_such(dataset, images):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 80)).save(images / "turned.jpg", exif=exif)
    rows = [{"id": 1, "file_name": "turned.jpg", "width": 100, "height": 80}]
    report = imported(dataset, images, coco(annotation(), images=rows))
    assert report.notes[0].detail.endswith("it may have been annotated before it was turned upright")
    rows[0].update(width=80, height=100)
    imported(dataset, images, coco(annotation(), images=rows))
    (region,) = dataset.region_page(0, 10)
    assert region.box.to_pixels(80, 100) == pytest.approx((10, 20, 40, 60))


def test_row_57_masks_and_crowds_are_kept_as_they_came_and_give_a_missing_box(dataset, images):
    polygon = [[10, 20, 40, 20, 40, 60, 10, 60]]
    column = {"size": [80, 100], "counts": [85, 10, 7905]}  # column 1, rows 5 to 15
    packed = {"size": [80, 100], "counts": "e2:Qg7"}  # the same in COCO's string form
    rows = [
        {"id": 1, "image_id": 1, "category_id": 7, "segmentation": polygon},
        {"id": 2, "image_id": 1, "category_id": 7, "segmentation": column, "iscrowd": 1},
        {"id": 3, "image_id": 1, "category_id": 7, "segmentation": packed, "iscrowd": 1},
        annotation(id=4, segmentation=[]),
        annotation(id=5, segmentation="scribble"),
    ]
    report = imported(dataset, images, coco(*rows))
    regions = dataset.region_page(0, 10)
    assert boxes(dataset)[:3] == [(10, 20, 40, 60), (1, 5, 2, 15), (1, 5, 2, 15)]
    assert [region.is_crowd for region in regions] == [False, True, True, False, False]
    assert [json.loads(r.mask) if r.mask else None for r in regions] == [polygon, column, packed, None, None]
    assert reasons(report) == [("5", "kept", "its mask was left out")]


def test_row_62_a_second_import_adds_nothing_and_is_no_edit(dataset, images):
    document = coco(annotation(), annotation(id=2), captions=[{"image_id": 1, "caption": "a dog"}] * 2)
    first = imported(dataset, images, document)
    history = dataset.history()
    second = imported(dataset, images, document)
    assert (first.num_new, second.num_new, second.num_regions_updated) == (4, 0, 0)
    assert (second.num_regions_known, second.num_captions_known) == (2, 2)
    assert dataset.history() == history
    assert dataset.count_regions() == 2


def test_that_an_import_is_one_undo_step_and_can_come_again_after_it(dataset, images, monkeypatch):
    monkeypatch.setattr("locstudio.services.importing.BATCH", 2)
    document = coco(*(annotation(id=key) for key in range(7)), captions=[{"image_id": 1, "caption": "a dog"}])
    imported(dataset, images, document)
    assert [(entry.title, entry.actor) for entry in dataset.history()] == [("Import annotations.json", "import")]
    dataset.undo()
    assert (dataset.count_regions(), dataset.classes(), dataset.captions_of(1)) == (0, [], [])
    assert imported(dataset, images, document).num_new == 8


def test_that_a_newer_version_of_the_file_brings_untouched_regions_up_to_date(dataset, images):
    imported(dataset, images, coco(annotation(), captions=[{"image_id": 1, "caption": "a dog"}]))
    document = coco(annotation(bbox=[0, 0, 50, 40]), captions=[{"image_id": 1, "caption": "a big dog"}])
    report = imported(dataset, images, document)
    assert (report.num_regions_updated, report.num_new, report.num_conflicts) == (1, 0, 0)
    assert boxes(dataset) == [(0, 0, 50, 40)]
    assert [caption.text for caption in dataset.captions_of(1)] == ["a big dog"]


def test_row_63_a_human_correction_is_never_overwritten(dataset, images):
    imported(dataset, images, coco(annotation(id=1), annotation(id=2), annotation(id=3), annotation(id=4)))
    moved, rejected, locked, deleted = dataset.region_page(0, 10)
    dataset.apply(change_regions([(moved, replace(moved, box=UnitBox(0, 0, 0.5, 0.5)))], "Move box"))
    dataset.apply(change_regions([(rejected, replace(rejected, review=Review.REJECTED))], "Reject"))
    dataset.apply(change_regions([(locked, replace(locked, is_locked=True))], "Lock"))
    dataset.apply(delete_regions([deleted]))
    before = dataset.region_page(0, 10)
    newer = [annotation(id=key, bbox=[1, 1, 9, 9]) for key in (1, 2, 3, 4)]
    report = imported(dataset, images, coco(*newer))
    assert dataset.region_page(0, 10) == before
    assert [(c.id, c.region_id, c.reason) for c in report.conflicts] == [
        ("1", moved.id, "you have corrected this region"),
        ("2", rejected.id, "you have corrected this region"),
        ("3", locked.id, "you have corrected this region"),
        ("4", 0, "you have deleted this region"),
    ]
    assert "your corrections kept 4" in report.to_text()


def test_row_63_an_opinion_on_an_unchanged_row_is_no_conflict(dataset, images):
    imported(dataset, images, coco(annotation()), review=Review.PENDING)
    (region,) = dataset.region_page(0, 10)
    dataset.apply(change_regions([(region, replace(region, review=Review.ACCEPTED))], "Accept"))
    report = imported(dataset, images, coco(annotation()), review=Review.PENDING)
    assert (report.num_regions_known, report.num_conflicts) == (1, 0)
    assert dataset.region_page(0, 10)[0].review is Review.ACCEPTED


def test_row_63_a_corrected_or_deleted_caption_stays_so(dataset, images):
    rows = [{"image_id": 1, "caption": "a dog"}, {"image_id": 1, "caption": "a cat"}]
    imported(dataset, images, coco(captions=rows))
    first, second = dataset.captions_of(1)
    corrected = replace(first, text="a hound", origin=Origin.EDITED)
    dataset.apply(Edit("Edit captions", (CaptionChange(first, corrected), CaptionChange(second, None))))
    report = imported(dataset, images, coco(captions=rows))
    assert dataset.captions_of(1) == [corrected]
    assert [c.reason for c in report.conflicts] == ["you have corrected this caption", "you have deleted this caption"]


def test_row_103_a_reordered_class_list_is_matched_by_name(dataset, images):
    imported(dataset, images, coco(annotation(), categories=[{"id": 7, "name": "dog"}, {"id": 8, "name": "cat"}]))
    before = dataset.region_page(0, 10)
    swapped = [{"id": 7, "name": "cat"}, {"id": 8, "name": " DOG "}]
    report = imported(dataset, images, coco(annotation(category_id=8), categories=swapped))
    assert (report.num_classes_added, report.num_regions_known) == (0, 1)
    assert dataset.region_page(0, 10) == before


def test_that_a_category_id_with_two_names_is_no_class_at_all(dataset, images):
    twice = [{"id": 7, "name": "dog"}, {"id": 7, "name": "cat"}]
    report = imported(dataset, images, coco(annotation(), categories=twice))
    assert [note.reason for note in report.notes] == [
        "its id belongs to another category too",
        "its class id belongs to several classes",
    ]


def test_that_a_class_a_person_has_made_is_used_and_keeps_its_colour(dataset, images):
    imported(dataset, images, coco())
    (label,) = dataset.classes()
    mine = replace(label, color="#123456")
    dataset.apply(Edit("Colour", (ClassChange(label, mine),)))
    imported(dataset, images, coco(annotation()))
    assert dataset.classes() == [mine]


def test_that_predictions_come_in_pending_with_their_score(dataset, images):
    imported(dataset, images, coco(annotation(score=0.75)), review=Review.PENDING)
    (region,) = dataset.region_page(0, 10)
    assert (region.review, region.score, region.origin) == (Review.PENDING, 0.75, Origin.IMPORTED)


def test_that_labels_of_images_come_from_a_member_of_their_own_and_bad_ones_are_named(dataset, images):
    rows = [
        {"image_id": 1, "category_id": 7},
        {"image_id": 1, "category_id": 9},
        {"image_id": 5, "category_id": 7},
        {"image_id": 1, "category_id": 7, "presence": "perhaps"},
        {"image_id": 1, "category_id": 7, "presence": "negative"},
        {"category_id": 7},
        "no row",
        {"image_id": 1, "category_id": 8, "presence": "negative", "score": 7, "origin": "an elf"},
    ]
    categories = [{"id": 7, "name": "dog"}, {"id": 8, "name": "cat"}]
    report = imported(dataset, images, coco(categories=categories, image_labels=rows))
    dog, cat = dataset.labels_of(1)
    source = "coco:annotations.json"
    assert dog == ImageLabel(1, 1, Presence.POSITIVE, Origin.IMPORTED, source=source)
    assert cat == ImageLabel(1, 2, Presence.NEGATIVE, Origin.IMPORTED, source=source)
    assert [(note.table, note.row, note.reason) for note in sorted(report.notes, key=lambda note: note.row)] == [
        ("image_labels", 1, "its class is not in the file"),
        ("image_labels", 2, "its image is not in the file"),
        ("image_labels", 3, "it says neither positive, negative nor unknown"),
        ("image_labels", 4, "another row says otherwise of its class"),
        ("image_labels", 5, "its image_id is missing"),
        ("image_labels", 6, "it is no JSON object"),
    ]
    assert report.num_rejected == 6


def test_that_captions_come_from_both_places_of_a_file(dataset, images):
    rows = [{"id": 1, "image_id": 1, "caption": " a dog \n"}]
    report = imported(dataset, images, coco(*rows, captions=[{"image_id": 1, "caption": "a \ud800 cat"}]))
    assert report.num_captions_added == 2
    assert [caption.text for caption in dataset.captions_of(1)] == ["a dog", "a \ufffd cat"]


def test_that_what_was_imported_before_cancelling_stays_and_the_next_import_goes_on(dataset, images, monkeypatch):
    monkeypatch.setattr("locstudio.services.importing.BATCH", 10)
    document = coco(*(annotation(id=key) for key in range(50)))
    report = imported(dataset, images, document, cancel=lambda: dataset.count_regions() >= 20)
    num_in = dataset.count_regions()
    assert report.is_cancelled
    assert 20 <= num_in == report.num_regions_added < 50
    assert "stopped early" in report.to_text()
    report = imported(dataset, images, document)
    assert (report.num_regions_added, report.num_regions_known) == (50 - num_in, num_in)


def test_that_progress_goes_from_nothing_to_a_thousand_without_going_back(dataset, images):
    seen = []
    imported(dataset, images, coco(annotation()), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (1000, 1000)


def test_that_images_already_in_the_dataset_are_used_where_they_are(dataset, images, tmp_path):
    root = dataset.add_root(images)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = elsewhere / "annotations.json"
    path.write_text(json.dumps(coco(annotation())))
    imported(dataset, images, coco())
    report = import_annotations(dataset, path, elsewhere, format="coco")
    assert report.num_regions_added == 1
    assert [r.id for r in dataset.roots()] == [root.id]
    assert dataset.image_page()[0].problem == Problem.NONE


def test_that_image_folders_are_only_read(dataset, images):
    before = sorted(Path(images).rglob("*"))
    imported(dataset, images, coco(annotation()))
    assert sorted(Path(images).rglob("*")) == before


def test_that_a_link_out_of_the_folder_is_not_followed_under_a_shortened_name_either(dataset, images, tmp_path):
    outside = tmp_path / "outside.png"
    Image.new("RGB", (100, 80)).save(outside)
    (images / "x.png").symlink_to(outside)
    row = {"id": 1, "file_name": "of another machine/x.png", "width": 100, "height": 80}

    report = imported(dataset, images, coco(annotation(), images=[row]))

    assert (report.num_images_added, report.num_images_rejected, report.num_regions_added) == (0, 1, 0)


def test_that_names_which_only_end_like_one_picture_are_not_taken_for_it(dataset, images):
    names = ("train/a.png", "val/a.png", "b.png", "val/b.png")
    rows = [{"id": number, "file_name": name, "width": 100, "height": 80} for number, name in enumerate(names)]

    report = imported(dataset, images, coco(*(annotation(id=n, image_id=n) for n in range(4)), images=rows))

    assert report.num_images_rejected == 3
    (region,) = dataset.region_page(0, 10)
    (image,) = dataset.images([region.image_id])
    assert (region.external_id, image.name) == ("2", "b.png")


def test_that_what_an_interrupted_import_never_wrote_comes_with_the_next_one(dataset, images, monkeypatch):
    monkeypatch.setattr("locstudio.services.importing.BATCH", 1)
    document = coco(*(annotation(id=number) for number in range(4)))
    write, titles = dataset.apply_async, []

    def interrupted(edit, **how):
        titles.append(edit.title)
        if len(titles) == 4:  # the classes came first, then two regions
            raise KeyboardInterrupt
        return write(edit, **how)

    monkeypatch.setattr(dataset, "apply_async", interrupted)
    with pytest.raises(KeyboardInterrupt):
        imported(dataset, images, document)
    assert dataset.count_regions() == 2
    monkeypatch.setattr(dataset, "apply_async", write)

    report = imported(dataset, images, document)

    assert (report.num_regions_added, report.num_regions_known, report.num_conflicts) == (2, 2, 0)

"""FAULTS.md, YOLO in: rows 47 to 50, 53, 54, 60 to 63, 103.  A bad row never takes the good with it."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.edits import change_regions
from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Origin, Review
from locstudio.services.collection import add_folder
from locstudio.services.importing import import_annotations
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

ROW = "0 0.25 0.5 0.3 0.5"
BOX = (10, 20, 40, 60)
NAMES = "names: [dog, cat]\n"


@pytest.fixture
def kit(tmp_path):
    """A folder in the usual layout, with the images a.png and b.png."""
    folder = tmp_path / "kit"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80), (9, 9, 9)).save(folder / "images" / name)
    return folder


@pytest.fixture
def dataset(tmp_path):
    with Dataset.create(create_project(tmp_path / "project")) as opened:
        yield opened


def imported(dataset, kit, names=NAMES, options=None, **labels):
    """Import labels by their stems; lists are joined to rows."""
    if names:
        (kit / "data.yaml").write_text(names)
    for name, rows in labels.items():
        content = rows if isinstance(rows, bytes) else "\n".join([rows] if isinstance(rows, str) else rows).encode()
        (kit / "labels" / f"{name}.txt").write_bytes(content)
    return import_annotations(dataset, kit, kit, format="yolo", **(options or {}))


def corners(dataset):
    regions = dataset.region_page(0, 1000)
    return [tuple(round(value, 6) for value in region.box.to_pixels(100, 80)) for region in regions]


def classes(dataset):
    names = {label.id: label.name for label in dataset.classes()}
    return [names[region.class_id] for region in dataset.region_page(0, 1000)]


def reasons(report):
    return [(note.id, note.row, str(note.outcome), note.reason) for note in report.notes]


def test_that_a_row_becomes_a_region_with_the_class_of_its_number(dataset, kit):
    report = imported(dataset, kit, a=[ROW, ROW.replace("0 ", "1 ", 1)])
    assert corners(dataset) == [BOX, BOX]
    assert classes(dataset) == ["dog", "cat"]
    (region, _) = dataset.region_page(0, 10)
    assert (region.review, region.origin, region.phrase) == (Review.ACCEPTED, Origin.IMPORTED, "dog")
    assert (region.source, region.external_id) == ("yolo:kit", "labels/a.txt#0")
    assert (report.num_images_added, report.notes) == (1, [])
    assert [image.path for image in dataset.image_page()] == ["images/a.png"]


def test_row_60_a_class_number_beyond_the_list_is_rejected_and_a_class_can_be_made(dataset, kit):
    report = imported(dataset, kit, a=[ROW, ROW.replace("0 ", "7 ", 1), ROW.replace("0 ", "-1 ", 1)])
    assert [note.reason for note in report.notes] == ["its class is not in the file"] * 2
    assert (report.num_regions_added, report.num_rejected) == (1, 2)
    assert report.offers == ["Some classes have no name in the file; import again and let classes be made for them."]
    imported(dataset, kit, options={"create_classes": True})
    assert classes(dataset) == ["dog", "class 7", "class -1"]


def test_row_60_a_sixth_column_is_a_score(dataset, kit):
    imported(dataset, kit, a=f"{ROW} 0.875", options={"review": Review.PENDING})
    (region,) = dataset.region_page(0, 10)
    assert (region.score, region.review) == (0.875, Review.PENDING)


def test_row_60_an_empty_file_says_looked_at_and_nothing_there(dataset, kit):
    report = imported(dataset, kit, a="", b=" \r\n")
    assert (report.num_images_added, report.num_regions_added, report.num_rejected) == (2, 0, 0)
    assert [note.reason for note in report.notes] == ["it is empty: looked at, and nothing there"] * 2


@pytest.mark.parametrize("centre", ["1.01", "-0.2", "320"])
def test_row_60_a_centre_outside_the_image_is_rejected(dataset, kit, centre):
    report = imported(dataset, kit, a=[ROW.replace("0.25", centre, 1), ROW])
    reason = "its centre lies outside the image; YOLO counts in shares of the image"
    assert reasons(report) == [("labels/a.txt", 0, "dropped", reason)]
    assert report.num_regions_added == 1


def test_row_60_line_ends_of_all_kinds_a_byte_order_mark_and_empty_lines_are_no_trouble(dataset, kit):
    report = imported(dataset, kit, a=f"\ufeff{ROW}\r\n\r\n{ROW}\n\t{ROW} \r{ROW}".encode())
    assert (corners(dataset), report.notes) == ([BOX] * 4, [])


@pytest.mark.parametrize(
    "text",
    [
        "names: !!python/object/apply:os.system ['touch owned']\n",
        "names: !!python/name:os.system ''\n",
        "a: !!python/object/new:type {}\nnames: [dog]\n",
    ],
)
def test_row_60_names_with_python_in_them_are_refused_and_never_run(dataset, kit, text, monkeypatch):
    monkeypatch.chdir(kit)
    with pytest.raises(BadInput, match=r"data\.yaml asks for more than plain values .*, which is never read"):
        imported(dataset, kit, text, a=ROW)
    assert not (kit / "owned").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("names: [dog", "data.yaml is no valid YAML"),
        ("names: 7\n", "The names in data.yaml are neither a list nor numbers with a name each"),
        ("names: [[dog]]\n", "The names in data.yaml are neither a list nor numbers with a name each"),
        ("names: {dog: 0}\n", "The names in data.yaml are neither a list nor numbers with a name each"),
        ("names: " + "[" * 5000 + "]" * 5000, "data.yaml is no valid YAML"),
        ("- " * 5000 + "x", "data.yaml is no valid YAML: exceeded maximum nesting depth"),
        ("- " * 400_000 + "x", "data.yaml is no valid YAML: exceeded maximum nesting depth"),
        ("x" * (2 << 20), "data.yaml is too large for a list of classes"),
    ],
)
def test_row_60_a_broken_list_of_classes_is_one_sentence(dataset, kit, text, sentence):
    with pytest.raises(BadInput) as error:
        imported(dataset, kit, text, a=ROW)
    assert str(error.value).startswith(sentence)


def test_row_60_yaml_aliases_that_would_fill_memory_are_no_names(dataset, kit):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{n}: &{n} [*{b},*{b},*{b},*{b}]\n" for b, n in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(BadInput, match="neither a list nor numbers"):
        imported(dataset, kit, bomb + "names: *i\n", a=ROW)


@pytest.mark.parametrize(
    "names", ["names: {1: cat, 0: dog}\n", "names:\n- dog\n- cat\nnc: 2\n", "names:\n  '0': dog\n  1: cat\n"]
)
def test_row_60_names_are_a_list_or_numbers_with_names(dataset, kit, names):
    imported(dataset, kit, names, a=ROW.replace("0 ", "1 ", 1))
    assert classes(dataset) == ["cat"]


def test_that_a_class_may_be_called_no_or_7(dataset, kit):
    imported(dataset, kit, "names: [no, 7, 1.50, ~]\n", a=[f"{n}{ROW[1:]}" for n in range(4)])
    assert classes(dataset) == ["no", "7", "1.50", "~"]


def test_row_61_classes_without_a_name_are_listed(dataset, kit):
    report = imported(dataset, kit, "names: [dog, '', " + "x" * 2000 + "]\nnc: 4\n", a=ROW.replace("0 ", "1 ", 1))
    assert [note.reason for note in report.notes] == [
        "it has no name",
        "its name is too long",
        "the number of classes is not that of the names",
        "its class is not in the file",
    ]


@pytest.mark.parametrize("name", ["classes.txt", "obj.names", "labels/classes.txt"])
def test_that_the_list_may_be_a_text(dataset, kit, name):
    (kit / name).write_text("dog\r\ncat\r\n")
    imported(dataset, kit, "", a=ROW.replace("0 ", "1 ", 1))
    assert classes(dataset) == ["cat"]


def test_that_a_name_that_is_no_utf_8_can_be_stored(dataset, kit):
    (kit / "classes.txt").write_bytes(b"\xef\xbb\xbfdog \xff\n")
    imported(dataset, kit, "", a=ROW)
    assert classes(dataset) == ["dog \ufffd"]


def test_row_103_two_lists_that_differ_are_a_question(dataset, kit):
    (kit / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(BadInput, match=r"classes\.txt and data\.yaml in kit name the classes differently"):
        imported(dataset, kit, a=ROW)


@pytest.mark.parametrize("names", ["names: [cat, dog]\n", "names: [cat]\n", "names: [bird, dog, cat]\n"])
def test_row_103_another_list_at_the_second_import_changes_no_class_silently(dataset, kit, names):
    imported(dataset, kit, a=[ROW, ROW.replace("0 ", "1 ", 1)])
    report = imported(dataset, kit, names)
    assert classes(dataset) == ["dog", "cat"]
    assert report.offers[0].startswith(
        "The list of classes is another than at the last import (number 0 was dog and is"
    )
    assert {conflict.reason for conflict in report.conflicts} == {
        "its class would change, because the list of classes is another than before"
    }
    again = imported(dataset, kit, names)
    assert (again.offers, classes(dataset)) == (report.offers, ["dog", "cat"])


def test_row_103_a_list_that_has_grown_is_no_question(dataset, kit):
    imported(dataset, kit, a=ROW)
    report = imported(dataset, kit, "names: [dog, cat, bird]\n", b=ROW.replace("0 ", "2 ", 1))
    assert (report.offers, classes(dataset)) == ([], ["dog", "bird"])


def test_row_103_classes_are_those_of_the_dataset_by_name_whatever_their_number(dataset, kit, tmp_path):
    imported(dataset, kit, a=ROW)
    other = tmp_path / "other"
    (other / "labels").mkdir(parents=True)
    (other / "data.yaml").write_text("names: [cat, DOG]\n")
    (other / "labels/b.txt").write_text(ROW.replace("0 ", "1 ", 1))
    report = import_annotations(dataset, other, kit, format="yolo")
    assert classes(dataset) == ["dog", "dog"]
    reason = "it differs only in case or spaces from another class, and is taken for it"
    assert [(note.id, note.reason, note.detail) for note in report.notes] == [("1", reason, "DOG is dog")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("0 0.5 0.5 0.1", "it has fewer than five columns"),
        ("0 0.5 0.5 0.1 x", "it has something in it that is no number"),
        ("0 0.5 0.5 0.1 1_0", "it has something in it that is no number"),
        ("dog 0.5 0.5 0.1 0.1", "it has something in it that is no number"),
        ("0.5 0.5 0.5 0.1 0.1", "its class is no whole number"),
        ("nan 0.5 0.5 0.1 0.1", "its class is no whole number"),
        ("1e999 0.5 0.5 0.1 0.1", "its class is no whole number"),
        ("0 nan 0.5 0.1 0.1", "its box is not finite"),
        ("0 0.5 0.5 inf 0.1", "its box is not finite"),
        ("0 0.5 0.5 0 0.1", "its box has no area"),
        ("0 0.5 0.5 0.1 -0.1", "its box has no area"),
        ("0 0.1 0.1 0.5 0.1 0.3 nan", "its polygon has a corner that is no finite number"),
        ("0 0.1 0.1 0.5 0.1 0.3 7", "its polygon lies outside the image; YOLO counts in shares of the image"),
        ("0 0.1 0.1 0.5 0.1 0.3 0.1", "its box has no area"),
    ],
)
def test_row_53_a_malformed_row_is_named_with_its_reason(dataset, kit, row, reason):
    report = imported(dataset, kit, a=[row, ROW])
    assert reasons(report) == [("labels/a.txt", 0, "dropped", reason)]
    assert (report.num_regions_added, report.num_rejected) == (1, 1)


def test_row_49_a_box_partly_outside_is_cut_and_counted(dataset, kit):
    report = imported(dataset, kit, a="0 0.05 0.5 0.3 1.0")
    assert corners(dataset) == [(0, 0, 20, 80)]
    assert report.num_clamped == 1


def test_that_a_polygon_becomes_a_mask_and_the_smallest_box_around_it(dataset, kit):
    imported(dataset, kit, a=["0 0.1 0.25 0.4 0.25 0.4 0.75", "0 0.1 0.25 0.4 0.25 0.4 0.75 0.1 0.75 0.5"])
    first, second = dataset.region_page(0, 10)
    assert corners(dataset) == [BOX, BOX]
    assert first.mask == "[[10.0,20.0,40.0,20.0,40.0,60.0]]"
    assert second.score == 0.5


def test_that_keypoints_are_left_out_with_a_note(dataset, kit):
    report = imported(dataset, kit, f"{NAMES}kpt_shape: [2, 3]\n", a=f"{ROW} 0.1 0.1 2 0.2 0.2 1")
    assert corners(dataset) == [BOX]
    assert reasons(report) == [("labels/a.txt", 0, "kept", "its keypoints were left out")]


def test_that_labels_may_lie_beside_the_images(dataset, tmp_path):
    folder = tmp_path / "flat"
    folder.mkdir()
    Image.new("RGB", (100, 80)).save(folder / "a.png")
    for name, text in {"a.txt": ROW, "classes.txt": "dog\n", "train.txt": "a.png\n"}.items():
        (folder / name).write_text(text)
    report = import_annotations(dataset, folder, folder, format="yolo")
    assert (report.num_regions_added, report.num_images_added, report.notes) == (1, 1, [])


def test_that_a_picture_is_found_by_its_stem_only_where_one_has_it(dataset, kit):
    Image.new("RGB", (100, 80)).save(kit / "images/a.jpg")
    report = imported(dataset, kit, a=ROW, b=ROW)
    assert reasons(report)[0] == ("labels/a.txt", 0, "dropped", "its file is not in the image folder")
    assert report.num_regions_added == 1


def test_that_a_list_says_which_picture_is_meant(dataset, kit):
    Image.new("RGB", (100, 80)).save(kit / "images/a.jpg")
    (kit / "train.txt").write_text("./images/a.jpg\r\nimages/b.png\n")
    imported(dataset, kit, f"{NAMES}train: train.txt\n", a=ROW, b=ROW)
    assert [image.path for image in dataset.image_page()] == ["images/a.jpg", "images/b.png"]


@pytest.mark.parametrize("line", ["../../etc/images/a.png", "/etc/images/passwd", "http://127.0.0.1/images/a.png"])
def test_row_54_lists_and_paths_that_lead_out_are_not_followed(dataset, kit, line):
    (kit.parent / "outside.txt").write_text("images/a.png")
    (kit / "train.txt").write_text(f"{line}\n")
    yaml = f"{NAMES}path: /etc\ntrain: [train.txt, ../outside.txt, /etc/passwd]\nval: https://127.0.0.1/x.txt\n"
    report = imported(dataset, kit, yaml, a=ROW)
    assert (report.num_regions_added, report.num_images_added) == (1, 1)


def test_that_images_of_the_dataset_are_found_by_their_stem(dataset, kit, tmp_path):

    add_folder(dataset, kit / "images")
    labels = tmp_path / "only labels"
    labels.mkdir()
    (labels / "b.txt").write_text(ROW)
    (labels / "classes.txt").write_text("dog")
    report = import_annotations(dataset, labels, labels, format="yolo")
    assert (report.num_regions_added, report.num_images_known) == (1, 1)


def test_row_62_and_63_a_second_import_adds_nothing_and_never_overwrites_a_correction(dataset, kit):
    imported(dataset, kit, a=[ROW, ROW])
    again = imported(dataset, kit)
    assert (again.num_new, again.num_regions_known) == (0, 2)
    (first, _) = dataset.region_page(0, 10)
    dataset.apply(change_regions([(first, replace(first, phrase="mine", origin=Origin.EDITED))], "Correct"))
    third = imported(dataset, kit, a=[ROW.replace("0.25", "0.3", 1), ROW])
    assert [conflict.reason for conflict in third.conflicts] == ["you have corrected this region"]
    assert dataset.region_page(0, 10)[0].phrase == "mine"


def test_that_a_folder_that_is_not_there_is_one_sentence(dataset, kit):
    with pytest.raises(BadInput, match=r"nowhere holds no YOLO labels, .*; of the first file: it cannot be read"):
        import_annotations(dataset, kit / "nowhere", kit, format="yolo")


def test_that_an_import_can_be_cancelled_while_the_folder_is_looked_through(dataset, kit):
    report = imported(dataset, kit, a=ROW, options={"cancel": lambda: True})
    assert (report.is_cancelled, dataset.count_images(), dataset.count_regions()) == (True, 0, 0)


def test_that_a_folder_without_labels_is_one_sentence(dataset, kit):
    with pytest.raises(BadInput, match="kit holds no YOLO labels"):
        imported(dataset, kit)


WORD = st.sampled_from(["0", "1", "0.5", "-1", "nan", "1e999", "x", "0.1", "\ufeff", "1_0"]) | st.text(max_size=4)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(st.lists(WORD, max_size=9).map(" ".join), max_size=5), noise=st.binary(max_size=20))
def test_row_60_whatever_a_file_holds_the_sound_ones_go_in(tmp_path_factory, rows, noise):
    folder = tmp_path_factory.mktemp("any") / "kit"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80)).save(folder / "images" / name)
    content = "\n".join(rows).encode("utf-8", "surrogatepass") + noise
    with Dataset.create(create_project(folder / "project")) as dataset:
        report = imported(dataset, folder, a=content, b=ROW)
        assert corners(dataset)[-1] == BOX
        assert report.to_json()
        assert imported(dataset, folder).num_new == 0

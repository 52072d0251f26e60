"""Labels of images from tables and folders of strangers: every row that can be used goes in, the others are named."""

import os
import resource
import time
from contextlib import nullcontext, suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.edits import ClassChange, Edit, ImageChange, LabelChange
from locstudio.domain.errors import BadInput
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import LabelClass, Origin
from locstudio.services.collection import add_folder
from locstudio.services.importing import import_annotations
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        Image.new("RGB", (20, 10), (number, 9, 9)).save(folder / name)
    return folder


@pytest.fixture
def dataset(tmp_path):
    with Dataset.create(create_project(tmp_path / "project")) as opened:
        yield opened


def brought(dataset, images, text, name="labels.csv", **options):
    path = images.parent / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_annotations(dataset, path, images, format="labels-csv", **options)


def said(dataset):
    """What is said of each image: class and presence."""
    names = {label.id: label.name for label in dataset.classes()}
    images = {image.id: image.path for image in dataset.image_page()}
    return {
        (images[label.image_id], names[label.class_id]): label.presence
        for labels in dataset.labels_of_images(list(images)).values()
        for label in labels
    }


@pytest.mark.parametrize(
    "text",
    [
        "image,class\na.png,dog\nb.png,cat\n",
        "a.png,dog\nb.png,cat\n",
        "class;image\ndog;a.png\ncat;b.png\n",
        "image\tclass\r\na.png\tdog\r\nb.png\tcat",
        "image,class\ra.png,dog\rb.png,cat",
        '\ufeff"Image","Label","Score"\n"a.png"," dog ","0.5"\n\n"b.png","cat","much"\n',
        "image,class,presence\na.png,dog,1\nb.png,cat,POSITIVE\n",
    ],
)
def test_that_a_table_may_be_written_in_many_ways(dataset, images, text):
    report = brought(dataset, images, text)
    assert said(dataset) == {("a.png", "dog"): Presence.POSITIVE, ("b.png", "cat"): Presence.POSITIVE}
    assert (report.num_labels_added, report.num_classes_added, report.num_rejected) == (2, 2, 0)
    (label,) = dataset.labels_of(1)
    assert (label.origin, label.source) == (Origin.IMPORTED, "labels-csv:labels.csv")


def test_that_what_an_image_does_not_have_and_what_is_not_known_are_said_as_such(dataset, images):
    brought(dataset, images, "image,class,presence\na.png,dog,0\na.png,cat,?\na.png,bus,present\n")
    assert list(said(dataset).values()) == [Presence.NEGATIVE, Presence.UNKNOWN, Presence.POSITIVE]


def test_that_rows_of_no_use_are_named_and_the_others_go_in(dataset, images):
    rows = [",dog", "a.png,", "a.png,dog,perhaps", "nowhere.png,dog", f"a.png,{'x' * 2000}", "a.png,good"]
    report = brought(dataset, images, "image,class,presence\n" + "\n".join(rows))
    assert said(dataset) == {("a.png", "good"): Presence.POSITIVE}
    assert [note.reason for note in report.notes if note.table == "labels"] == [
        "it names no image",
        "it names no class",
        "it says neither positive, negative nor unknown",
        "the name of its class is too long",
        "its image was left out: its file is not in the image folder",
    ]
    assert report.num_rejected == 5


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "C:\\a.png", "file:///a.png", "a\0.png", "\ud800.png"]
)
def test_row_54_a_file_name_that_leads_out_of_the_image_folder_is_rejected(dataset, images, name):
    text = f'"{name}",dog\na.png,dog\n'.encode("utf-8", "surrogatepass")
    report = brought(dataset, images, text)
    assert list(said(dataset)) == [("a.png", "dog")]
    assert report.num_images_rejected == 1


def test_row_51_rows_that_repeat_or_contradict_each_other_say_a_thing_once(dataset, images):
    report = brought(dataset, images, "image,class,presence\na.png,dog,1\na.png,dog,1\na.png,dog,0\na.png,Dog,1\n")
    assert said(dataset) == {("a.png", "dog"): Presence.POSITIVE}
    (note,) = [note for note in report.notes if note.table == "labels"]
    assert note.to_text() == (
        "labels row 2 (id a.png, dog): dropped, another row says otherwise of its class: positive, negative"
    )


def test_that_a_contradiction_many_rows_later_is_still_one(dataset, images, monkeypatch):
    monkeypatch.setattr("locstudio.services.importing.BATCH", 1)
    text = "image,class,presence\na.png,dog,1\nb.png,dog,1\na.png,dog,0\n"
    for num_new in (2, 0):
        report = brought(dataset, images, text)
        assert (report.num_labels_added, report.num_labels_updated, report.num_rejected) == (num_new, 0, 1)
    assert said(dataset)["a.png", "dog"] is Presence.POSITIVE


def test_row_62_and_63_a_second_import_adds_nothing_and_never_overwrites(dataset, images):
    text = "image,class,presence\na.png,dog,1\nb.png,dog,1\nc.png,dog,1\n"
    brought(dataset, images, text)
    denied, removed, kept = (dataset.labels_of(key)[0] for key in (1, 2, 3))
    said_no = ImageLabel(1, denied.class_id, Presence.NEGATIVE)
    dataset.apply(Edit("Deny", (LabelChange(denied, said_no), LabelChange(removed, None))))
    report = brought(dataset, images, text)
    assert [(conflict.id, conflict.reason) for conflict in report.conflicts] == [
        ("a.png, dog", "you have said that it is negative"),
        ("b.png, dog", "you have taken this label away"),
    ]
    assert (report.num_labels_added, report.num_labels_known, report.num_labels_updated) == (0, 1, 0)
    assert dataset.labels_of(1) == [said_no]
    assert "id a.png, dog: you have said that it is negative" in report.to_text()
    # What the file itself has come to say otherwise is followed, where nobody has said anything.
    report = brought(dataset, images, text.replace("c.png,dog,1", "c.png,dog,0"))
    assert report.num_labels_updated == 1
    assert dataset.labels_of(3)[0].presence is Presence.NEGATIVE
    report = brought(dataset, images, "c.png,dog,1", name="other.csv")
    assert [conflict.reason for conflict in report.conflicts] == ["another file has said that it is negative"]
    assert kept.class_id == denied.class_id


def test_that_a_file_is_believed_before_a_model_and_after_a_person(dataset, images):
    brought(dataset, images, "a.png,dog")
    (dog,) = dataset.classes()
    guess = ImageLabel(2, dog.id, Presence.NEGATIVE, Origin.MODEL, 0.1, "consistency-0123456789abcdef")
    same = ImageLabel(3, dog.id, Presence.POSITIVE, Origin.MODEL, 0.9, "consistency-0123456789abcdef")
    brought(dataset, images, "b.png,cat\nc.png,cat", name="more.csv")
    dataset.apply(Edit("Guess", (LabelChange(None, guess), LabelChange(None, same))), actor="model")
    report = brought(dataset, images, "b.png,dog\nc.png,dog", name="truth.csv")
    assert report.num_labels_updated == 2
    assert [dataset.labels_of(key)[0].origin for key in (2, 3)] == [Origin.IMPORTED, Origin.IMPORTED]


def test_row_63_an_undone_import_may_come_again(dataset, images):
    brought(dataset, images, "a.png,dog")
    dataset.undo()
    assert len(dataset.label_columns()) == 0
    assert brought(dataset, images, "a.png,dog").num_labels_added == 1


def test_row_61_and_68_names_of_strangers_are_text_and_those_that_differ_in_case_alone_are_one(dataset, images):
    report = brought(dataset, images, 'a.png,"<b>\x1b[31m dog"\nb.png,Dog\nc.png,dog\na.png,"=cmd|1"\n')
    assert [label.name for label in dataset.classes()] == ["<b>\x1b[31m dog", "Dog", "=cmd|1"]
    assert report.num_labels_added == 4
    assert "\x1b" not in report.to_text()


HOSTILE = [
    b"",
    b"\n" * 100_000,
    b"image,class\n",
    b"\xff\xfea\x00,\x00b\x00",
    b"\x00" * 100_000,
    b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100,
    b'"' + b"x" * 3_000_000,
    b"a.png," + b"x" * 3_000_000,
    b'a.png,"' + b"x\n" * 200_000,
    b"," * 900_000,
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_row_53_and_58_a_broken_table_is_one_sentence_and_costs_little(dataset, images, content):
    before_kb, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(BadInput, match=r"labels\.csv .*\.$"):
        brought(dataset, images, content)
    assert time.process_time() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 100_000
    assert len(dataset.label_columns()) == 0


@pytest.mark.parametrize("what", ["folder", "pipe", "nothing"])
def test_that_what_is_no_file_is_one_sentence(dataset, images, what):
    path = images.parent / "thing.csv"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    with pytest.raises(BadInput):
        import_annotations(dataset, path, images, format="labels-csv")


CELLS = st.sampled_from(
    ["a.png", "b.png", "dog", "", "1", "0", "positive", "maybe", '"', "'", ",", "\0", "\r", "é", "=1"]
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(st.lists(CELLS | st.text(max_size=4), max_size=5), max_size=5), sign=st.sampled_from(",;\t"))
def test_row_53_whatever_rows_hold_the_good_ones_go_in(dataset, images, rows, sign):
    dataset.go_to(0)
    text = "\n".join([sign.join(("image", "class", "presence")), *map(sign.join, rows), sign.join(("c.png", "sound"))])
    has_quotes = any('"' in cell for row in rows for cell in row)  # which may swallow everything after them
    with suppress(BadInput) if has_quotes else nullcontext():
        brought(dataset, images, text.encode("utf-8", "replace"))
        assert has_quotes or said(dataset)["c.png", "sound"] is Presence.POSITIVE
    assert dataset.integrity(with_replay=False) == []


# Folders


def made(root, *names):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 1, 1)).save(root / name, format="PNG")
    return root


def test_that_each_folder_is_the_class_of_its_images(dataset, tmp_path):
    root = made(tmp_path / "photos", "dog/1.png", "dog/deeper/2.JPG", "cat: small/3.png", ".hidden/4.png", "5.png")
    (root / "dog/notes.txt").write_text("no picture")
    report = import_annotations(dataset, root, root, format="folders")
    assert sorted(said(dataset)) == [
        ("cat: small/3.png", "cat: small"),
        ("dog/1.png", "dog"),
        ("dog/deeper/2.JPG", "dog"),
    ]
    assert (report.num_images_added, report.num_labels_added, report.num_classes_added) == (3, 3, 2)
    (note,) = report.notes
    assert note.to_text() == "annotations row 0 (id 5.png): dropped, it lies in no folder of a class"
    again = import_annotations(dataset, root, root, format="folders")
    assert (again.num_new, again.num_labels_known, again.num_images_known) == (0, 3, 3)


def test_that_below_folders_of_splits_the_classes_come_one_level_deeper(dataset, tmp_path):
    root = made(tmp_path / "photos", "train/dog/1.png", "val/dog/2.png", "val/cat/3.png", "val/4.png")
    report = import_annotations(dataset, root, root, format="folders")
    assert {name for _, name in said(dataset)} == {"dog", "cat"}
    assert report.num_labels_added == 3
    splits = {image.path: image.split for image in dataset.image_page()}
    assert splits == {"train/dog/1.png": "train", "val/cat/3.png": "val", "val/dog/2.png": "val"}
    assert dataset.integrity() == []
    dataset.undo()
    assert {image.split for image in dataset.image_page()} == {""}


def test_that_an_image_stays_in_the_split_that_it_was_put_into(dataset, tmp_path):
    root = made(tmp_path / "photos", "train/dog/1.png", "val/dog/2.png")
    add_folder(dataset, root)
    (image,) = dataset.images_named("1.png")
    dataset.apply(Edit("Hold out", (ImageChange(image, replace(image, split="test")),)))
    import_annotations(dataset, root, root, format="folders")
    assert [image.split for image in dataset.image_page()] == ["test", "val"]


def test_that_a_folder_called_train_among_classes_is_a_class(dataset, tmp_path):
    root = made(tmp_path / "photos", "train/1.png", "bus/2.png")
    import_annotations(dataset, root, root, format="folders")
    assert sorted(said(dataset)) == [("bus/2.png", "bus"), ("train/1.png", "train")]


def test_that_images_of_the_project_are_found_again_by_their_folder(dataset, tmp_path):
    root = made(tmp_path / "photos", "dog/1.png", "cat/2.png")
    add_folder(dataset, root)
    report = import_annotations(dataset, root, root, format="folders")
    assert (report.num_images_added, report.num_images_known, dataset.count_images()) == (0, 2, 2)


def test_that_links_are_not_followed_and_damaged_pictures_are_named(dataset, tmp_path):
    root = made(tmp_path / "photos", "dog/1.png")
    made(tmp_path / "elsewhere", "secret.png")
    (root / "cat").symlink_to(tmp_path / "elsewhere")
    (root / "dog/broken.png").write_bytes(b"no picture")
    report = import_annotations(dataset, root, root, format="folders")
    assert list(said(dataset)) == [("dog/1.png", "dog")]
    assert report.notes[0].reason == "its picture cannot be read"


def test_that_a_name_that_is_no_text_becomes_one(dataset, tmp_path):
    root = tmp_path / "photos"
    folder = os.fsencode(root) + b"/caf\xe9"
    os.makedirs(folder)
    Image.new("RGB", (4, 4)).save(os.fsdecode(folder) + "/1.png")
    import_annotations(dataset, root, root, format="folders")
    assert [label.name for label in dataset.classes()] == ["caf\ufffd"]
    assert len(dataset.label_columns()) == 1


@pytest.mark.parametrize("what", ["empty", "flat", "file"])
def test_that_folders_without_classes_are_one_sentence(dataset, tmp_path, what):
    root = tmp_path / "photos"
    if what == "file":
        root.write_text("x")
    else:
        root.mkdir()
    if what == "flat":
        made(root, "1.png")
    with pytest.raises(BadInput, match=r"photos (holds no images in folders|is no folder)"):
        import_annotations(dataset, root, tmp_path, format="folders")


def test_row_63_a_cancelled_import_leaves_nothing_behind_that_a_second_would_not_know(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("locstudio.services.importing.BATCH", 2)
    root = made(tmp_path / "photos", *(f"dog/{number}.png" for number in range(6)))
    calls = iter([False] * 4 + [True] * 100)
    report = import_annotations(dataset, root, root, format="folders", cancel=lambda: next(calls))
    assert report.is_cancelled
    import_annotations(dataset, root, root, format="folders")
    assert len(dataset.label_columns()) == 6
    assert dataset.integrity() == []


def test_that_a_class_that_is_there_under_another_case_is_taken(dataset, tmp_path):
    dataset.apply(Edit("Add", (ClassChange(None, LabelClass(dataset.next_class_id(), "Dog", "#112233")),)))
    root = made(tmp_path / "photos", "dog/1.png")
    import_annotations(dataset, root, root, format="folders")
    assert [label.name for label in dataset.classes()] == ["Dog"]

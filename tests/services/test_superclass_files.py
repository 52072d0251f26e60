"""Superclasses as JSON: out and in again, by hand, and from strangers."""

import json
import os
from pathlib import Path

import pytest

from locstudio.domain.errors import BadInput, StorageFailed, TooNew
from locstudio.domain.regions import LabelClass, Superclass
from locstudio.services.superclass_files import (
    FORMAT,
    MAX_BYTES,
    imported,
    read_superclasses,
    superclasses_document,
    write_superclasses,
)
from locstudio.services.superclasses import Grouping, regrouped

PETS, CARS, EMPTY = (
    Superclass(1, "pets", "#e69f00"),
    Superclass(2, "cars", "#56b4e9"),
    Superclass(3, "empty", "#009e73"),
)
CLASSES = tuple(
    LabelClass(number, name, "#000000", superclass_id=home)
    for number, (name, home) in enumerate((("cat", 1), ("dog", 1), ("bus", 2), ("tree", None)), 1)
)
GROUPING = Grouping((PETS, CARS, EMPTY), (), CLASSES)


def file_with(tmp_path: Path, superclasses=(), **more) -> Path:
    path = tmp_path / "superclasses.json"
    document = {"format": FORMAT, "version": 1, "superclasses": [*superclasses], **more}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def after(path: Path, grouping: Grouping = GROUPING):
    """The classes of each superclass after the import, and its report."""
    edit, report = imported(grouping, read_superclasses(path), iter(range(10, 99)).__next__)
    found = regrouped(grouping, edit)
    return {each.name: [e.name for e in found.members_of(each.id)] for each in found.superclasses}, report


def test_that_what_was_written_comes_back_in_another_project_and_changes_nothing_in_the_same(tmp_path):
    path = tmp_path / "out.json"
    write_superclasses(GROUPING, path)
    edit, report = imported(GROUPING, read_superclasses(path), iter(()).__next__)
    assert (edit.changes, report.num_superclasses, report.num_classes, report.left_out) == ((), 3, 4, ())
    bare = Grouping((), (), tuple(LabelClass(entry.id + 70, entry.name.upper(), "#000000") for entry in CLASSES))
    groups, report = after(path, bare)
    assert groups == {"pets": ["CAT", "DOG"], "cars": ["BUS"]}
    assert report.left_out == ("The superclass “empty”: the project has none of its classes.",)
    edit, _ = imported(bare, read_superclasses(path), iter(range(10, 99)).__next__)
    assert [each.color for each in regrouped(bare, edit).superclasses] == [PETS.color, CARS.color]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.json"]


def test_that_a_file_says_what_it_is_and_all_of_it(tmp_path):
    assert superclasses_document(GROUPING) == {
        "format": "locstudio-superclasses",
        "version": 1,
        "superclasses": [
            {"name": "pets", "color": "#e69f00", "classes": ["cat", "dog"]},
            {"name": "cars", "color": "#56b4e9", "classes": ["bus"]},
            {"name": "empty", "color": "#009e73", "classes": []},
        ],
        "without": ["tree"],
    }
    path = tmp_path / "there.json"
    path.write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        write_superclasses(GROUPING, path)
    assert path.read_text() == "mine"
    with pytest.raises(StorageFailed, match="could not be written"):
        write_superclasses(GROUPING, tmp_path / "nowhere" / "x.json")


def test_that_classes_not_named_stay_and_a_superclass_that_loses_its_last_class_is_retired(tmp_path):
    path = file_with(tmp_path, [{"name": " Plants ", "classes": ["tree", "Bus "]}], without=["cat"])
    groups, report = after(path)
    assert groups == {"pets": ["dog"], "empty": [], "Plants": ["bus", "tree"]}
    assert (report.num_superclasses, report.num_classes, report.num_left_out) == (1, 3, 0)


def test_that_what_is_left_out_is_said_one_by_one(tmp_path):
    groups = [
        {"name": "Pets", "classes": ["cat", "cat", "zebra", "bus"], "color": "red"},
        {"name": "pets", "classes": ["tree"], "color": "#ABCDEF"},
        {"name": "motors", "classes": ["bus"]},
        {"name": " ", "classes": ["dog"]},
        {"name": "a\u0000b", "classes": []},
        {"name": "x" * 101, "classes": ["dog"]},
    ]
    path = file_with(tmp_path, groups, without=["tree", "unicorn\u202e"])
    found, report = after(path)
    assert found == {"pets": ["cat", "dog"], "cars": ["bus"], "empty": []}
    assert report.left_out == (
        "The colour red of “Pets”: it is not like #e69f00.",
        "Superclass 4 of the file, classes in it 1: its name is empty.",
        "Superclass 5 of the file, classes in it 0: its name holds something that is no character.",
        "Superclass 6 of the file, classes in it 1: its name is longer than 100 characters.",
        "The class “zebra”: the project has none of this name in use.",
        "The class “bus”: the file says that it is in “Pets” and in “motors”.",
        "The class “tree”: the file says that it is in “Pets” and in none.",
        "The class “unicorn\\u202e”: the project has none of this name in use.",
        "The superclass “motors”: the project has none of its classes.",
    )
    assert report.to_json()["num_left_out"] == 9
    edit, _ = imported(GROUPING, read_superclasses(path), iter(()).__next__)
    assert [change.after.color for change in edit.changes] == ["#abcdef"]


def test_that_of_thousands_left_out_the_first_thousand_are_listed(tmp_path):
    path = file_with(tmp_path, [{"name": "x", "classes": [f"class {number}" for number in range(5000)]}])
    _, report = after(path)
    assert (report.num_left_out, len(report.left_out)) == (5001, 1000)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read"),
        (b"\xff\xfe{\x00}", "cannot be read"),
        (
            b'{"format": "locstudio-superclasses", "version": 1, "superclasses": [{"name": "\xff", "classes": []}]}',
            "UTF-8",
        ),
        (b"[" * 200_000, "cannot be read"),
        (b'{"x": ' * 200_000, "nested too deeply"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "does not say its format"),
        (b'{"format": "coco\\u202e", "version": 1}', r"its format is “coco\\u202e”"),
        (b'{"format": 7}', "Expected `str`, got `int`"),
        (b'{"format": "locstudio-superclasses"}', "does not say its version"),
        (b'{"format": "locstudio-superclasses", "version": 1}', "missing required field `superclasses`"),
        (b'{"format": "locstudio-superclasses", "version": 1, "superclasses": {"a": ["b"]}}', "Expected `array`"),
        (b'{"format": "locstudio-superclasses", "version": 1, "superclasses": [{"name": null}]}', "Expected `str`"),
        (
            b'{"format": "locstudio-superclasses", "version": 1, "superclasses": [], "without": "cat"}',
            "Expected `array`",
        ),
        (
            b'{"format": "locstudio-superclasses", "version": 1, "superclasses": [{"name": "\\ud800", "classes": []}]}',
            "strange",
        ),
    ],
)
def test_that_a_stranger_s_file_is_refused_with_a_sentence(tmp_path, content: bytes, sentence: str):
    path = tmp_path / "strange.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=sentence) as caught:
        read_superclasses(path)
    assert "strange.json" in str(caught.value)
    assert str(caught.value).isprintable()


def test_that_a_file_of_a_newer_locstudio_is_told_apart_from_a_damaged_one(tmp_path):
    path = tmp_path / "newer.json"
    path.write_text(json.dumps({"format": FORMAT, "version": 2, "groups": []}))
    with pytest.raises(TooNew, match="Update LocStudio"):
        read_superclasses(path)


def test_that_what_is_no_file_or_too_large_is_not_read(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        read_superclasses(tmp_path / "missing.json")
    with pytest.raises(BadInput, match="cannot be read"):
        read_superclasses(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is no file"):
        read_superclasses(tmp_path / "pipe")
    large = tmp_path / "large.json"
    with open(large, "wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BadInput, match="larger than 16 MiB"):
        read_superclasses(large)

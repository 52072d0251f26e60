"""FAULTS.md, captions and phrases: rows 34, 39, 61 and 68.  What strangers wrote is text, or nothing."""

import os
import struct

import pytest
from PIL import Image as Picture

from locstudio.domain.regions import Caption, Image, Origin
from locstudio.jobs.configs import Vesl
from locstudio.media.embedded_text import embedded_texts
from locstudio.services.captioning import take_captions_in
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project
from trainer.vesl.captions import enumeration
from trainer.vesl.pipeline import Proposing

NAMES = ("hund 🐕.jpg", "ca\u0301t.jpg", "c\u00e1t.jpg", "\u202egpj.exe.jpg", "a\nb.jpg", "é" * 125 + ".jpg")
NON_UTF8 = os.fsdecode(b"caf\xe9.jpg")
MARKUP = '<img src="http://x/?a" onerror=alert(1)> A <b>red</b> dog & a "cat" %s {0}'


def picture(path, exif=b""):
    Picture.new("RGB", (8, 6), "red").save(path, exif=exif)
    return path


def exif_of(*entries, first=8, more=b""):
    """Raw EXIF data: entries of its first directory as (tag, kind, count, value or offset)."""
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<I", first) + body + struct.pack("<I", 8) + more


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0" + b"\xaa" * 60_000,
        exif_of((0x010E, 2, 0x7FFFFFFF, 8)),
        exif_of((0x010E, 2, 40, 0xFFFFFFF0)),
        exif_of((0x010E, 7, 4, 0), (0x9C9C, 1, 3, 0x414141)),
        exif_of((0x8769, 4, 1, 8), (0xA005, 4, 1, 8), (0x010E, 2, 4, 8)),
        exif_of(*[(0x9C9C, 1, 60_000, 8)] * 300),
    ],
)
def test_that_exif_which_is_garbage_huge_or_its_own_child_is_ignored(tmp_path, exif):
    path = picture(tmp_path / "a.jpg")
    raw = path.read_bytes()
    path.write_bytes(raw[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + raw[2:])
    written = embedded_texts(path)
    assert all(len(text) <= 10_000 and text.isprintable() for text in written.texts.values())


@pytest.mark.parametrize("name", [*NAMES, NON_UTF8])
def test_that_captions_of_a_picture_of_any_name_come_in(tmp_path, name):
    folder = tmp_path / "images"
    folder.mkdir()
    picture(folder / "plain.jpg").rename(folder / name)
    (folder / name).with_suffix(".txt").write_text("A dog")
    project = create_project(tmp_path / "project")
    with Dataset.create(project) as dataset:
        root = dataset.add_root(folder)
        (image_id,) = dataset.add_images([Image(0, root.id, name, 8, 6)])
        assert take_captions_in(dataset).num_added == 1
        assert take_captions_in(dataset).num_added == 0
        assert [caption.text for caption in dataset.captions_of(image_id)] == ["A dog"]


def looked_for(*captions, class_names=()):
    """The captions that are read, and the phrases that are looked for, in an image with these captions."""
    vesl = Vesl(has_class_names=bool(class_names))
    proposing = Proposing(vesl, None, None, None, fallback=[], class_names=class_names, run_id="r")
    rows = [Caption(number + 1, 1, text) for number, text in enumerate(captions)]
    read, targets = proposing.targets_of(None, rows)
    return [caption.text for caption in read], [target.phrase for target in targets]


def test_that_class_names_that_are_equal_but_for_case_and_space_are_looked_for_once():
    names = ["Dog", "dog", " DOG ", "hot  dog", "Hot Dog", "", " ", "\u200b"]
    assert looked_for("a tree", class_names=names)[1] == ["a tree", "Dog", "hot  dog", "\u200b"]


@pytest.mark.parametrize("name", ["<b>dog</b>", "x" * 10_000, "a\ndog", "%s {0}", "=cmd()", "\u202egod"])
def test_that_a_class_name_of_a_stranger_is_looked_for_as_it_is(name):
    assert looked_for("a tree", class_names=[name])[1] == ["a tree", name]
    assert enumeration({name: 1}).endswith(name)
    assert enumeration({name: 3, "cat": 2})


def test_that_markup_in_a_caption_is_kept_in_it_and_is_no_phrase():
    read, phrases = looked_for(MARKUP)
    assert read == [MARKUP]
    assert phrases == ["a red dog", "cat"]


def test_that_markup_beside_an_image_comes_in_as_text(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    picture(folder / "a.jpg")
    (folder / "a.txt").write_text(MARKUP)
    project = create_project(tmp_path / "project")
    with Dataset.create(project) as dataset:
        root = dataset.add_root(folder)
        (image_id,) = dataset.add_images([Image(0, root.id, "a.jpg", 8, 6)])
        take_captions_in(dataset)
        (caption,) = dataset.captions_of(image_id)
        assert (caption.text, caption.origin) == (MARKUP, Origin.IMPORTED)

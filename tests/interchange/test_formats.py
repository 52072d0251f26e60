"""Which format a file or folder seems to be in; archives are refused; the command line knows the same names."""

import gzip
import io
import json
import tarfile
import zipfile

import pytest

from locstudio import cli
from locstudio.domain.errors import BadInput
from locstudio.interchange.formats import FORMATS, format_named, guess_format, refuse_archive

VOC = "<annotation><filename>a.png</filename></annotation>"
LABELME = {"version": "5.5.0", "flags": {}, "shapes": [], "imagePath": "a.png"}
COCO = {"images": [], "annotations": [], "categories": []}
STUDIO = [{"id": 1, "data": {"image": "a.png"}, "annotations": []}]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.xml", VOC, "voc"),
        ("a.xml", f'<?xml version="1.0"?>\n<!-- x -->{VOC}', "voc"),
        ("a.XML", "<annotations><version>1.1</version></annotations>", "cvat"),
        ("a.xml", "<html/>", ""),
        ("a.json", json.dumps(LABELME), "labelme"),
        ("a.json", f"\ufeff {json.dumps(COCO)}", "coco"),
        ("a.json", json.dumps(STUDIO), "labelstudio"),
        ("a.jsonl", '{"filename": "a.png"}\n', "phrases"),
        ("data.yaml", "names: [dog]\n", "yolo"),
        ("obj.names", "dog\n", "yolo"),
        ("a.txt", "0 0.5 0.5 0.1 0.1\n", "yolo"),
        ("a.txt", "A dog sits on a chair.\n", ""),
        ("a.png", "\x89PNG", ""),
        ("empty", "", ""),
    ],
)
def test_that_a_file_is_recognised_by_what_is_in_it(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    found = guess_format(tmp_path / name)
    assert (found.name if found else "") == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.xml": VOC, "b.jpg": ""}, "voc"),
        ({"Annotations/a.xml": VOC, "JPEGImages/a.jpg": ""}, "voc"),
        ({"a.json": json.dumps(LABELME), "a.png": ""}, "labelme"),
        ({"data.yaml": "names: [dog]", "labels/a.txt": ""}, "yolo"),
        ({"classes.txt": "dog", "a.txt": ""}, "yolo"),
        ({"labels/train/a.txt": "", "images/train/a.png": ""}, "yolo"),
        ({"a.png": "", "b.png": ""}, ""),
        ({"annotations.json": json.dumps(COCO), "a.png": ""}, ""),
        ({}, ""),
    ],
)
def test_that_a_folder_is_recognised_by_what_is_in_it(tmp_path, files, expected):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(content)
    found = guess_format(tmp_path)
    assert (found.name if found else "") == expected


def archive(kind):
    buffer = io.BytesIO()
    if kind == "a zip archive":
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("../../evil.json", "{}")
    elif kind == "a tar archive":
        with tarfile.open(fileobj=buffer, mode="w") as file:
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc"
            file.addfile(link)
    else:
        buffer.write(gzip.compress(b"0" * 10_000_000))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["a zip archive", "a tar archive", "compressed with gzip"])
@pytest.mark.parametrize("name", ["a.zip", "a.json", "a"])
def test_row_64_an_archive_is_refused_in_a_sentence_whatever_it_is_called(tmp_path, kind, name):
    (tmp_path / name).write_bytes(archive(kind))
    for look in (guess_format, refuse_archive):
        with pytest.raises(BadInput, match=f"{name} is {kind}; unpack it, and import the file or folder that is in it"):
            look(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_that_what_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: no such file or directory"):
        guess_format(tmp_path / "nothing")
    with pytest.raises(BadInput, match="There is no format called x; there are voc, yolo"):
        format_named("x")


def test_that_a_name_which_no_file_can_have_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: file name too long"):
        refuse_archive(tmp_path / ("a" * 300))


def test_that_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.json")
    assert guess_format(tmp_path / "pipe.json") is None


def test_that_the_command_line_knows_every_format():
    assert set(cli.IMPORT_FORMATS) == {name for name, kind in FORMATS.items() if not kind.is_out_only}
    assert set(cli.EXPORT_FORMATS) == {name for name, kind in FORMATS.items() if kind.writer}


def test_that_every_format_says_what_it_is():
    for name, kind in FORMATS.items():
        assert (kind.name, bool(kind.title), all(suffix.startswith(".") for suffix in kind.suffixes)) == (
            name,
            True,
            True,
        )

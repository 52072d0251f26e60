"""Annotations in and out by the command line, in every format."""

import json

import pytest
from PIL import Image

from locstudio.cli import EXPORT_FORMATS, IMPORT_FORMATS, main

COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
    "annotations": [{"id": 5, "image_id": 1, "category_id": 2, "bbox": [10, 20, 30, 40]}],
    "categories": [{"id": 2, "name": "dog"}],
    "image_labels": [{"image_id": 1, "category_id": 2, "presence": "negative"}],
}


@pytest.fixture
def project(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (100, 80)).save(tmp_path / "images/a.png")
    (tmp_path / "coco.json").write_text(json.dumps(COCO))
    path = tmp_path / "project"
    assert main(["new", str(path), "--images", str(tmp_path / "images")]) == 0
    words = ["import", str(path), str(tmp_path / "coco.json"), "--format", "coco", "--images", str(tmp_path / "images")]
    assert main(words) == 0
    capsys.readouterr()
    return path


def said(capsys):
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_that_every_format_goes_out_and_comes_back_where_it_can(project, tmp_path, capsys, name):
    target = tmp_path / f"out-{name}"
    assert main(["export", str(project), str(target), "--format", name, "--json"]) == 0
    report = said(capsys)
    assert report["num_regions"] == (name != "labels-csv")
    has_labels = name in ("coco", "labels-csv", "parquet", "webdataset")
    assert report["num_labels"] == has_labels
    assert any("labels of images" in what for what in report["left_out"]) == (not has_labels)
    if name in IMPORT_FORMATS and has_labels:
        words = ["--format", name, "--images", str(tmp_path / "images"), "--json"]
        assert main(["import", str(project), str(target), *words]) == 0
        assert said(capsys)["num_labels_known"] == 1
    elif name in IMPORT_FORMATS:
        words = ["--format", name, "--images", str(tmp_path / "images"), "--json"]
        assert main(["import", str(project), str(target), *words]) == 0
        assert said(capsys)["num_regions_added"] == 1


def test_that_folders_become_the_classes_of_their_images_and_info_counts_them(tmp_path, capsys):
    for name in ("dog/1.png", "cat/2.png", "cat/3.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (10, 8)).save(tmp_path / "photos" / name)
    project = str(tmp_path / "project")
    assert main(["new", project, "--images", str(tmp_path / "photos")]) == 0
    assert main(["import", project, str(tmp_path / "photos"), "--format", "folders"]) == 0
    assert "labels    3 new, 0 known" in capsys.readouterr().out
    assert main(["info", project, "--json"]) == 0
    counts = said(capsys)
    assert (counts["labels"], counts["painted"]) == ({"positive": 3, "negative": 0, "unknown": 0}, 0)
    assert (counts["images"], counts["regions"], counts["classes"]) == (3, 0, 2)


def test_row_65_what_is_there_is_refused_with_status_4(project, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    assert main(["export", str(project), str(tmp_path / "out"), "--format", "voc"]) == 4
    assert "is there already; an export never overwrites" in capsys.readouterr().err


def test_row_66_an_export_without_the_files_of_its_images_lists_them_and_has_status_4(project, tmp_path, capsys):
    (tmp_path / "images/a.png").unlink()
    assert main(["export", str(project), str(tmp_path / "out"), "--format", "voc", "--json"]) == 4
    assert said(capsys)["missing"] == ["a.png"]
    assert (tmp_path / "out/Annotations/a.xml").is_file()


def test_that_reviews_choose_the_regions_that_go_out(project, tmp_path, capsys):
    words = ["export", str(project), str(tmp_path / "out"), "--format", "coco"]
    assert main([*words, "--reviews", "rejected,pending", "--json"]) == 0
    assert said(capsys)["left_out"] == {"accepted regions": 1}
    with pytest.raises(SystemExit):
        main([*words, "--reviews", "good"])
    assert "accepted, pending or rejected" in capsys.readouterr().err


def test_row_64_an_archive_is_refused_with_status_4(project, tmp_path, capsys):
    (tmp_path / "labels.zip").write_bytes(b"PK\x03\x04")
    assert main(["import", str(project), str(tmp_path / "labels.zip"), "--format", "yolo"]) == 4
    assert "labels.zip is a zip archive; unpack it" in capsys.readouterr().err


def test_that_classes_are_made_for_numbers_without_a_name_when_asked(project, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("7 0.5 0.5 0.1 0.1")
    words = ["import", str(project), str(tmp_path / "a.txt"), "--format", "yolo", "--images", str(tmp_path / "images")]
    assert main([*words, "--json"]) == 4
    assert said(capsys)["offers"] == [
        "Some classes have no name in the file; import again and let classes be made for them."
    ]
    assert main([*words, "--create-classes", "--json"]) == 0
    assert said(capsys)["num_classes_added"] == 1

"""Regions as a CSV table: row 67 of FAULTS.md, and nothing else is changed by it."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.edits import ClassChange, Edit, ImageChange, add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import LabelClass, Origin, Region, Review
from locstudio.interchange.csv_table import guarded, plain
from locstudio.services.collection import add_folder
from locstudio.services.exporting import export_annotations
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@x", "\tx", "\rx", "'=x", "''-x"])
def test_row_67_a_cell_that_begins_like_a_formula_gets_an_apostrophe(text):
    assert guarded(text) == "'" + text
    assert plain(guarded(text)) == text


@given(st.text(st.sampled_from("'=+-@ab\t\r\n,\""), max_size=6))
def test_row_67_a_guarded_cell_is_no_formula_and_gives_its_text_back(text):
    assert guarded(text)[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert plain(guarded(text)) == text


def test_row_67_a_table_holds_phrases_of_strangers_as_text(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("=a.png", "b.png"):
        Image.new("RGB", (100, 80)).save(folder / name)
    phrases = ["=cmd()", 'a "b", c\r\nd', "'x", "<b>"]
    with Dataset.create(create_project(tmp_path / "project")) as dataset:
        add_folder(dataset, folder)
        dataset.apply(Edit("Class", (ClassChange(None, LabelClass(1, "@dog", "#112233")),)))
        box = UnitBox(0.1, 0.25, 0.4, 0.75)
        regions = [
            Region(dataset.next_region_id(), 1, box, phrase, 1, Review.PENDING, Origin.MODEL, 0.25)
            for phrase in phrases
        ]
        dataset.apply(add_regions(regions))
        looked_at = dataset.image(2)
        dataset.apply(Edit("Verify", (ImageChange(looked_at, replace(looked_at, is_verified=True)),)))
        report = export_annotations(dataset, tmp_path / "out.csv", format="csv")
    assert (report.num_images, report.num_regions) == (2, 4)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_bytes().decode(), newline="")))
    assert [row["phrase"] for row in rows] == ["'=cmd()", 'a "b", c\r\nd', "'x", "<b>", ""]
    assert [row["file_name"] for row in rows] == ["'=a.png"] * 4 + ["b.png"]
    assert (rows[0]["class"], rows[0]["review"], rows[0]["origin"], rows[0]["score"]) == (
        "'@dog",
        "pending",
        "model",
        "0.25",
    )
    assert [float(rows[0][f"{corner}_px"]) for corner in ("x0", "y0", "x1", "y1")] == pytest.approx([10, 20, 40, 60])
    assert rows[-1]["region_id"] == ""

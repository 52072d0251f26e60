"""The shipped demo keeps its promises: exact boxes, complete words, known licences, a modest size."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from locstudio.services.demo import open_demo
from locstudio.store.backup import backups_of
from locstudio.store.dataset import Dataset
from locstudio.store.schema import SCHEMA_VERSION

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads((DEMO / "annotations.json").read_text(encoding="utf-8"))


def decoded(segmentation: dict[str, Any]) -> np.ndarray:
    """The mask (H, W) of COCO's uncompressed run lengths, which run down the columns."""
    height, width = segmentation["size"]
    counts = segmentation["counts"]
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")


def test_that_the_demo_holds_150_to_200_pictures_of_their_declared_size(document):
    assert 150 <= len(document["images"]) <= 200
    for row in document["images"]:
        with Image.open(DEMO / row["file_name"]) as picture:
            picture.load()
            assert picture.size == (row["width"], row["height"]), row["file_name"]
    listed = {row["file_name"] for row in document["images"]}
    assert listed == {f"images/{path.name}" for path in (DEMO / "images").iterdir()}


def test_that_the_scenes_take_less_than_20_mib_and_the_finished_project_less_than_10():
    sizes = {path: path.stat().st_size for path in DEMO.rglob("*") if path.is_file()}
    project = sum(size for path, size in sizes.items() if path.is_relative_to(DEMO / "project"))
    assert sum(sizes.values()) - project < 20 * MIB
    assert project < 10 * MIB


def test_that_the_finished_project_has_the_newest_schema_and_opens_without_being_brought_up(tmp_path):
    header = (DEMO / "project" / "dataset.sqlite").read_bytes()[:64]
    assert int.from_bytes(header[60:], "big") == SCHEMA_VERSION
    project = open_demo(tmp_path / "demo")
    with Dataset.open(project) as dataset:
        assert dataset.count_images() >= 150
        assert dataset.integrity() == []
    assert "migration" not in [backup.reason for backup in backups_of(project)]


def test_that_every_box_is_the_extent_of_its_mask_and_inside_its_image(document):
    sizes = {row["id"]: (row["width"], row["height"]) for row in document["images"]}
    for row in document["annotations"]:
        width, height = sizes[row["image_id"]]
        x, y, w, h = row["bbox"]
        assert x >= 0
        assert y >= 0
        assert w > 0
        assert h > 0
        assert x + w <= width
        assert y + h <= height
        mask = decoded(row["segmentation"])
        assert mask.shape == (height, width)
        rows, columns = np.nonzero(mask)
        assert (columns.min(), rows.min(), columns.max() + 1 - x, rows.max() + 1 - y) == (x, y, w, h), row["id"]
        assert mask.sum() == row["area"]


def test_that_masks_of_one_image_do_not_overlap(document):
    totals: dict[int, np.ndarray] = {}
    for row in document["annotations"]:
        mask = decoded(row["segmentation"]).astype(np.uint8)
        totals[row["image_id"]] = totals.get(row["image_id"], np.zeros_like(mask)) + mask
    # A pixel may belong half and half to two things where soft edges meet.
    assert all((total > 1).mean() < 0.001 for total in totals.values())


def test_that_every_region_has_a_phrase_and_every_image_a_caption(document):
    for row in document["annotations"]:
        assert row["phrase"] == row["phrase"].strip() != ""
        assert "?" not in row["phrase"]
    captions = {row["image_id"]: row["caption"] for row in document["captions"]}
    assert set(captions) == {row["id"] for row in document["images"]}
    assert all(text[0].isupper() and text.endswith(".") for text in captions.values())


def test_that_articles_fit_their_words(document):
    texts = [row["phrase"] for row in document["annotations"]] + [row["caption"] for row in document["captions"]]
    for text in texts:
        words = text.lower().replace(",", "").split()
        for first, second in pairwise(words):
            assert not (first == "a" and second[0] in "aeiou"), text
            assert not (first == "an" and second[0] not in "aeiou"), text


def test_that_ids_are_unique_and_refer_to_something(document):
    for key in ("images", "annotations", "categories"):
        numbers = [row["id"] for row in document[key]]
        assert len(numbers) == len(set(numbers))
    images = {row["id"] for row in document["images"]}
    categories = {row["id"] for row in document["categories"]}
    assert all(row["image_id"] in images and row["category_id"] in categories for row in document["annotations"])
    places = [(row["image_id"], tuple(row["bbox"])) for row in document["annotations"]]
    assert len(places) == len(set(places))


def test_that_every_image_shows_two_to_ten_things(document):
    counts = Counter(row["image_id"] for row in document["annotations"])
    assert set(counts) == {row["id"] for row in document["images"]}
    assert min(counts.values()) >= 2
    assert max(counts.values()) <= 10


def test_that_every_class_has_enough_regions_to_be_searched(document):
    regions = Counter(row["category_id"] for row in document["annotations"])
    scenes = Counter(
        category for _, category in {(row["image_id"], row["category_id"]) for row in document["annotations"]}
    )
    assert 20 <= len(document["categories"]) <= 35
    for category in document["categories"]:
        assert regions[category["id"]] >= 8, category["name"]
        assert scenes[category["id"]] >= 5, category["name"]


def test_that_every_stamp_and_background_is_credited():
    text = (DEMO / "LICENCES.md").read_text(encoding="utf-8")
    used = json.loads((DEMO / "sources.json").read_text(encoding="utf-8"))
    assert used["stamps"]
    assert used["photos"]
    for stamp in used["stamps"]:
        assert f"`{stamp}`" in text
    for photo in used["photos"]:
        assert f"`nature/{photo}`" in text
    assert "GNU GENERAL PUBLIC LICENSE" in (DEMO / "licences" / "GPL-2.txt").read_text(encoding="utf-8")

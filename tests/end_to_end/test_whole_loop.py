"""The whole loop by command line, on images of the demo and with the bundled checkpoint: what a person does first."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
DEMO = CHECKOUT / "assets" / "demo"
NUM_IMAGES = 6


def locstudio(*words: object) -> dict:
    command = [sys.executable, "-m", "locstudio", *map(str, words), "--json"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """Every 30th scene of the demo, as a COCO file beside its images."""
    folder = tmp_path_factory.mktemp("truth")
    document = json.loads((DEMO / "annotations.json").read_text(encoding="utf-8"))
    document["images"] = document["images"][:: len(document["images"]) // NUM_IMAGES][:NUM_IMAGES]
    kept = {image["id"] for image in document["images"]}
    for rows in ("annotations", "captions"):
        document[rows] = [row for row in document[rows] if row["image_id"] in kept]
    for image in document["images"]:
        shutil.copy(DEMO / image["file_name"], folder)
        image["file_name"] = Path(image["file_name"]).name
    (folder / "truth.json").write_text(json.dumps(document), encoding="utf-8")
    return folder, document


@pytest.fixture(scope="module")
def project(truth, tmp_path_factory):
    """A project of these scenes, imported and embedded."""
    folder, document = truth
    path = tmp_path_factory.mktemp("projects") / "first"
    assert locstudio("new", path, "--images", folder)["added"] == NUM_IMAGES
    report = locstudio("import", path, folder / "truth.json", "--format", "coco")
    embedded = locstudio("embed", path, "--proposals", 8)
    assert report["num_regions_added"] == len(document["annotations"])
    assert embedded["rows"] >= len(document["annotations"])
    return path


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_that_a_box_finds_its_own_region_first(project, truth):
    _, document = truth
    annotation = max(document["annotations"], key=lambda row: row["area"])
    image = next(image for image in document["images"] if image["id"] == annotation["image_id"])
    x, y, width, height = annotation["bbox"]
    box = f"{x},{y},{x + width},{y + height}"
    hits = locstudio("search", project, "--image", image["file_name"], "--box", box, "--top", 5)["hits"]
    assert (hits[0]["image"], hits[0]["phrase"]) == (image["file_name"], annotation["phrase"])
    assert hits[0]["score"] > 0.99
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_that_words_phrases_and_grounding_answer_in_the_image_they_are_asked_for(project, truth):
    _, document = truth
    image = document["images"][0]["file_name"]
    assert len(locstudio("search", project, "--text", "a bird -a fish", "--top", 3)["hits"]) == 3
    phrases = locstudio("phrases", project, "--image", image, "--box", "0.1,0.1,0.9,0.9", "--top", 4)["phrases"]
    known = {row["phrase"] for row in document["annotations"]} | {row["name"] for row in document["categories"]}
    assert len(phrases) == 4
    assert {row["phrase"] for row in phrases} <= known
    x0, y0, x1, y1 = locstudio("ground", project, "--image", image, "--text", "a bird")["box"]
    assert 0 <= x0 < x1 <= 1
    assert 0 <= y0 < y1 <= 1


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_that_evaluation_counts_every_region_with_a_class(project, truth):
    _, document = truth
    metrics = locstudio("evaluate", project, "--task", "regions")
    assert metrics["n"] == len(document["annotations"])
    assert 0 <= metrics["top1"] <= metrics["top5"] <= 1
    assert {run["state"] for run in locstudio("runs", project)["runs"]} == {"done"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_that_what_was_imported_comes_out_as_it_went_in(project, truth, tmp_path):
    _, document = truth
    locstudio("export", project, tmp_path / "out.json", "--format", "coco")
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    boxes = sorted(tuple(round(side, 2) for side in row["bbox"]) for row in written["annotations"])
    assert boxes == sorted(tuple(round(side, 2) for side in row["bbox"]) for row in document["annotations"])
    assert locstudio("check", project) == {"findings": []}

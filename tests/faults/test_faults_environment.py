"""FAULTS.md rows 90 and 91: the locale and the display of the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as PillowImage

CHECKOUT = Path(__file__).parents[2]


def locstudio(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    kept.pop("QT_QPA_PLATFORM", None)
    command = [sys.executable, "-m", "locstudio", *words]
    return subprocess.run(command, env=kept | environment, capture_output=True, timeout=60, cwd=CHECKOUT)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "DISPLAY is not set"),
        ({"DISPLAY": ":987"}, ":987 does not answer"),
        ({"QT_QPA_PLATFORM": "xcb"}, "DISPLAY is not set"),
    ],
)
def test_that_row_91_a_window_without_a_display_is_status_7_with_a_sentence(environment, reason):
    done = locstudio(**environment)
    assert done.returncode == 7
    assert reason in done.stderr.decode() or "system library is missing" in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@pytest.fixture
def coco(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    PillowImage.new("RGB", (64, 48), (200, 30, 30)).save(images / "İstanbul ışık.png")
    document = {
        "images": [{"id": 1, "file_name": "İstanbul ışık.png", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1.5, 2.5, 20.25, 10], "iscrowd": 0}],
        "categories": [{"id": 1, "name": "IŞIK"}],
    }
    file = tmp_path / "coco.json"
    file.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return file


@pytest.mark.parametrize("locale", ["de_DE.UTF-8", "tr_TR.UTF-8", "ar_EG.UTF-8", "C"])
def test_that_row_90_numbers_and_names_survive_every_locale(locale, coco, tmp_path):
    project = tmp_path / "project"
    environment = {"LC_ALL": locale, "LANG": locale}
    for words in (
        ["new", str(project), "--images", str(coco.parent / "images")],
        ["import", str(project), str(coco), "--format", "coco", "--images", str(coco.parent / "images")],
        ["export", str(project), str(tmp_path / "out.json"), "--format", "coco"],
    ):
        done = locstudio(*words, "--json", **environment)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        json.loads(done.stdout)
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert written["categories"][0]["name"] == "IŞIK"
    assert written["images"][0]["file_name"].endswith("İstanbul ışık.png")
    assert written["annotations"][0]["bbox"] == pytest.approx([1.5, 2.5, 20.25, 10], abs=0.02)

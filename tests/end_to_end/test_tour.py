"""The guided tour, which is all that a machine without a display shows of the window."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_that_the_tour_of_the_demo_leaves_pictures_and_a_report_without_a_display(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-m", "locstudio", "demo", "--at", tmp_path / "demo", "--tour", tmp_path / "tour"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1400, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    assert "First hits" in done.stdout
    assert done.stderr == ""
    report = json.loads((tmp_path / "tour" / "report.json").read_text(encoding="utf-8"))
    assert (report["images"], report["regions"]) == (180, 813)
    own = report["search_by_box"]["hits"][0]
    assert own["phrase"] == report["search_by_box"]["phrase_of_the_box"]
    assert own["score"] > 0.99
    assert "measured on this computer just now" in report["retrain"]["time"]
    assert "held out to measure the result" in report["retrain"]["learns_from"]
    assert report["retrain"]["gate_passed"]
    assert report["retrain"]["after"]["top1"] > report["retrain"]["before"]["top1"] + 0.05
    assert report["curation"]["raw_proposals"] > report["curation"]["to_review"] > 50
    assert report["curation"]["canvas_pass"] > 0
    assert 0 < report["heatmaps"]["expected"] < 200
    assert "not labelled" in report["heatmaps"]["first"][0]
    experts = report["experts"]
    assert sum(count for _, count in experts["experts"]) == 180
    assert experts["moved"]
    assert experts["asked"]["expert"] != experts["asked"]["other"]
    assert len(report["pictures"]) == 24
    for picture in report["pictures"]:
        assert Path(picture).stat().st_size > 50_000
        assert Path(picture).name in (tmp_path / "tour" / "report.md").read_text(encoding="utf-8")

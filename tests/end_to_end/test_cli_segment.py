"""segment by command line: what it prints, what it writes, and in how many undo steps.  A stand-in makes the masks."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from locstudio.cli import main
from locstudio.commands import segmenting
from locstudio.domain.edits import add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.masks import counts_of, mask_of_runs
from locstudio.domain.regions import Image, Origin, Problem, Region, Review
from locstudio.media.files import ImageProblem
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

SIZE = (20, 10)
BOX = UnitBox(0.1, 0.2, 0.5, 0.8)


@dataclass(frozen=True)
class Found:
    mask_HW: np.ndarray
    expected_overlap: float


class StandIn:
    """Masks the left half of every box, and nothing where a point is at 0.9."""

    def __init__(self):
        self.asked = []

    def set_image(self, path, *, sha256=""):
        if path.name == "2.jpg":
            raise ImageProblem(Problem.MISSING, "The file is not there.")
        return Image(0, 1, str(path), *SIZE)

    def segment(self, prompts, *, sam=None):
        self.asked.append((prompts, sam))
        found = []
        for prompt in prompts:
            mask = np.zeros((SIZE[1], SIZE[0]), bool)
            x0, y0, x1, y1 = (prompt.box or UnitBox(0.5, 0.5, 1, 1)).to_pixels(*SIZE)
            if not any(point.x == 0.9 for point in prompt.points):
                mask[round(y0) : round(y1), round(x0) : round((x0 + x1) / 2)] = True
            found.append(Found(mask, 0.75))
        return found

    def segmenter_name(self, sam=None):
        return str(sam or "stand-in")


@pytest.fixture
def engine(monkeypatch, tmp_path):
    made = StandIn()
    monkeypatch.setattr(segmenting, "session", lambda *_: made)
    monkeypatch.setattr(segmenting, "checkpoint_folder", lambda *_: tmp_path)
    return made


@pytest.fixture
def project(tmp_path, engine):
    made = create_project(tmp_path / "project")
    with Dataset.create(made) as dataset:
        root = dataset.add_root(tmp_path / "images")
        dataset.add_images([Image(0, root.id, f"{number}.jpg", *SIZE) for number in range(3)])
        proposal = Region(0, 1, BOX, "a cup", review=Review.PENDING, origin=Origin.MODEL)
        regions = [
            proposal,
            replace(proposal, review=Review.ACCEPTED, origin=Origin.HUMAN),
            replace(proposal, review=Review.REJECTED),
            replace(proposal, mask="[[2,2,9,2,9,8]]"),
            replace(proposal, is_locked=True),
            replace(proposal, image_id=2),
            replace(proposal, image_id=3),
        ]
        dataset.apply(add_regions([replace(region, id=dataset.next_region_id()) for region in regions]))
    return made


def masks_in(project):
    with Dataset.open(project, read_only=True) as dataset:
        return {region.id: region for image in (1, 2, 3) for region in dataset.regions_of(image)}


def run(project, capsysbinary, *words):
    status = main(["segment", str(project.path), *words, "--json"])
    said = capsysbinary.readouterr()
    return status, json.loads(said.out) if said.out else said.err.decode()


def test_that_a_box_gives_run_lengths_and_a_tight_box_and_writes_nothing(project, capsysbinary):
    before = masks_in(project)
    status, document = run(project, capsysbinary, "--image", "0.jpg", "--box", "0.1,0.2,0.5,0.8")
    assert status == 0
    (mask,) = document["masks"]
    runs = json.loads(mask["segmentation"])
    assert mask_of_runs(counts_of(runs["counts"]), *SIZE).sum() == mask["area"] == 24
    assert mask["box"] == [0.1, 0.2, 0.3, 0.8]
    assert masks_in(project) == before


def test_that_points_in_pixels_or_shares_mean_the_same(project, engine, capsysbinary):
    run(project, capsysbinary, "--image", "0.jpg", "--point", "10,5", "--not-point", "0.25,0.25", "--sam", "sam.pth")
    ((prompt,), sam) = engine.asked[0]
    assert prompt.box is None
    assert [(point.x, point.y, point.is_inside) for point in prompt.points] == [(0.5, 0.5, True), (0.25, 0.25, False)]
    assert sam.name == "sam.pth"


def test_that_nothing_found_is_said(project, capsysbinary):
    status, document = run(project, capsysbinary, "--image", "0.jpg", "--point", "0.9,0.9")
    assert status == 0
    assert document["masks"][0]["box"] is None
    assert main(["segment", str(project.path), "--image", "0.jpg", "--point", "0.9,0.9"]) == 0
    assert "nothing found here" in capsysbinary.readouterr().out.decode()


def test_that_all_masks_are_one_undo_step_and_no_persons_edit(project, capsysbinary):
    before = masks_in(project)
    status, document = run(project, capsysbinary, "--all")
    assert status == 0
    assert (document["masks"], document["empty"]) == (3, 0)
    assert "2.jpg" in document["problems"][0]
    after = masks_in(project)
    assert [number for number in after if after[number].mask != before[number].mask] == [1, 2, 6]
    assert all(after[number].origin is before[number].origin for number in after)
    with Dataset.open(project) as dataset:
        assert dataset.undo().title == "Masks of regions"
    assert masks_in(project) == before


def test_that_who_interrupts_it_keeps_the_masks_that_are_made(project, engine, monkeypatch, capsysbinary):
    segment = engine.segment

    def interrupted(prompts, **how):
        if engine.asked:
            raise KeyboardInterrupt
        return segment(prompts, **how)

    monkeypatch.setattr(engine, "segment", interrupted)
    before = masks_in(project)
    assert run(project, capsysbinary, "--all")[0] == 130
    after = masks_in(project)
    assert [number for number in after if after[number].mask != before[number].mask] == [1, 2]
    monkeypatch.setattr(engine, "segment", segment)
    assert run(project, capsysbinary, "--all")[1]["masks"] == 1


def test_that_only_regions_of_a_review_or_an_image_are_masked(project, capsysbinary):
    _, document = run(project, capsysbinary, "--all", "--review", "accepted")
    assert document["masks"] == 1
    _, document = run(project, capsysbinary, "--image", "1.jpg")
    assert document["masks"] == 1
    _, document = run(project, capsysbinary, "--image", "1.jpg")
    assert document == {"masks": 0, "empty": 0, "problems": [], "model": ""}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--all", "--box", "0,0,1,1"], 2),
        (["--image", "0.jpg", "--not-point", "0.5,0.5"], 2),
        (["--image", "nowhere.jpg", "--box", "0,0,1,1"], 4),
        (["--image", "0.jpg", "--point", "0.5,-0.5"], 2),
    ],
)
def test_that_what_cannot_be_masked_is_a_sentence(project, capsysbinary, words, status):
    found, said = run(project, capsysbinary, *words)
    assert found == status, said
    assert said.startswith("locstudio: ")


@pytest.mark.parametrize("words", [[], ["--image", "a", "--all"], ["--image", "a", "--point", "1"]])
def test_that_a_command_that_says_too_little_or_too_much_is_wrong_usage(project, capsysbinary, words):
    with pytest.raises(SystemExit) as stopped:
        run(project, capsysbinary, *words)
    assert stopped.value.code == 2

"""The real trainer by command line: propose, go on, take in; and captions listed and taken in."""

import json

import pytest

from locstudio.cli import main
from locstudio.commands import proposing
from locstudio.domain.regions import Origin, Review
from locstudio.jobs.configs import Vesl
from locstudio.services.proposing import start_vesl
from locstudio.services.runs import trainer_environment
from locstudio.store.dataset import Dataset
from trainer.__main__ import work

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def document(capsysbinary):
    """Runs a command and gives its exit status and its document."""

    def run(*words):
        capsysbinary.readouterr()
        status = main([*map(str, words), "--json"])
        return status, json.loads(capsysbinary.readouterr().out)

    return run


def propose(document, painted, checkpoint, *words):
    return document("propose", painted.project.path, "--checkpoint", checkpoint, "--device", "cpu", *words)


def test_that_what_is_proposed_above_the_thresholds_is_taken_in_as_one_undo_step(paint, tiny_checkpoint, document):
    painted = paint(3)
    painted.dataset.close()
    image = painted.images[1]
    words = ("--images", image.path, "--class-names", "--boxes", 9, "--take-in", "--min-score", 0)
    status, said = propose(document, painted, tiny_checkpoint, *words)
    assert (status, said["is_whole"], said["num_images"], said["num_captions"]) == (0, True, 1, 1)
    assert 0 < said["num_taken_in"] <= said["num_proposals"] <= 9
    with Dataset.open(painted.project) as dataset:
        taken_in = [region for region in dataset.regions_of(image.id) if region.origin is Origin.MODEL]
        assert len(taken_in) == said["num_taken_in"]
        assert {(region.source, region.review) for region in taken_in} == {(f"vesl:{said['run']}", Review.PENDING)}
        assert dataset.last_sequence_of(said["run"]) > 0
        dataset.undo()
        assert len(dataset.regions_of(image.id)) == 2


def test_that_a_run_which_was_stopped_is_gone_on_with(paint, tiny_checkpoint, document):
    painted = paint(3)
    path = painted.project.path
    folder = start_vesl(painted.project, painted.dataset, tiny_checkpoint, Vesl(), device="cpu")
    painted.dataset.close()
    wishes = iter([False, True])
    assert work(folder, None, lambda: next(wishes)) == 0
    assert document("runs", path, folder.id)[1]["state"] == "stopped"
    status, said = document("propose", path, "--resume", folder.id)
    assert (status, said["run"], said["num_images"]) == (0, folder.id, 3)
    assert main(["propose", str(path), "--resume", folder.id]) == 2


def test_that_a_window_may_have_the_project_when_a_run_ends(
    paint, tiny_checkpoint, document, capsysbinary, monkeypatch
):
    painted = paint(1)
    painted.dataset.close()
    wait = proposing.wait_for
    windows = []

    def wait_for(folder, what):
        is_whole = wait(folder, what)
        windows.append(Dataset.open(painted.project))
        return is_whole

    monkeypatch.setattr(proposing, "wait_for", wait_for)
    status, said = propose(document, painted, tiny_checkpoint)
    windows.pop().close()
    assert (status, said["num_images"]) == (0, 1)
    words = ("propose", painted.project.path, "--checkpoint", tiny_checkpoint, "--device", "cpu", "--take-in")
    assert main(list(map(str, words))) == 3
    windows.pop().close()
    assert b"its proposals are kept, but none was taken in" in capsysbinary.readouterr().err


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--images", "none.png"), 4),
        (("--detector", "owlv2", "--detector-model", "/no/such/folder"), 4),
        (("--captioner", "blip", "--captioner-model", "/no/such/folder"), 4),
        (("--resume", "nothing"), 2),
    ],
)
def test_that_what_cannot_be_done_is_a_sentence(paint, tiny_checkpoint, capsys, words, status):
    painted = paint(1)
    painted.dataset.close()
    path = str(painted.project.path)
    assert main(["propose", path, "--checkpoint", str(tiny_checkpoint), "--device", "cpu", *words]) == status
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("locstudio: ")


@pytest.mark.parametrize("option", ["--min-score", "--overlap"])
@pytest.mark.parametrize("text", ["nan", "1.5", "much"])
def test_that_a_threshold_is_a_share(capsys, option, text):
    with pytest.raises(SystemExit):
        main(["propose", "project", "--take-in", option, text])
    assert "a number from 0 to 1" in capsys.readouterr().err


def test_that_captions_are_listed_and_taken_in(paint, document, capsysbinary):
    painted = paint(2)
    painted.dataset.close()
    image = painted.images[0]
    (painted.project.path.parent / "project images" / image.path).with_suffix(".txt").write_text("A <b>dog</b>\n")
    path = painted.project.path
    assert document("captions", path, "--from", "all") == (
        0,
        {
            "num_images": 2,
            "num_added": 1,
            "num_known": 0,
            "num_updated": 0,
            "num_kept": 0,
            "num_notes": 0,
            "is_cancelled": False,
            "notes": [],
        },
    )
    assert document("captions", path, "--from", "sidecar", "--image", image.path)[1]["num_known"] == 1
    status, said = document("captions", path, "--image", image.path)
    assert status == 0
    assert [(row["text"], row["source"]) for row in said["captions"]] == [
        ("a red box and a green box", ""),
        ("A <b>dog</b>", "sidecar"),
    ]
    assert main(["captions", str(path)]) == 0
    assert "A <b>dog</b>  (sidecar)" in capsysbinary.readouterr().out.decode()


def test_that_the_trainer_is_offline_unless_a_person_has_said_otherwise(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert trainer_environment()["HF_HUB_OFFLINE"] == "1"
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert trainer_environment()["HF_HUB_OFFLINE"] == "0"

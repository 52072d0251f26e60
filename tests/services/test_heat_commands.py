"""`locstudio heatmap` and `locstudio expected`: heat without a window."""

import json
import shutil
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from PIL import Image as PillowImage

from locstudio.cli import main
from locstudio.commands import class_words
from locstudio.commands import heat as heat_commands
from locstudio.domain.edits import ClassChange, Edit, LabelChange
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import LabelClass
from locstudio.jobs.heatmaps import heatmaps_folder
from locstudio.services.collection import add_folder
from locstudio.services.heat.colormaps import COLORMAPS
from locstudio.services.heat.inconsistency import Disagreement
from locstudio.services.heat.turns import Order
from locstudio.services.heat.worklist import MIN_SCORE
from locstudio.services.runs_of import run_folders
from locstudio.store.dataset import Dataset

BUS, BICYCLE = 1, 2


@pytest.fixture
def place(project, heat, tmp_path):
    """The path of a project with two images that show a bus, and in the first of them perhaps a bicycle."""
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a\u202e.png", "b.png"):
        PillowImage.new("RGB", (40, 20), (0, 0, 255)).save(images / name)
    with Dataset.create(project) as dataset:
        add_folder(dataset, images)
        made = [LabelClass(dataset.next_class_id(), name, "#ff0000") for name in ("bus", "bicycle")]
        dataset.apply(Edit("Classes", tuple(ClassChange(None, entry) for entry in made)))
        labels = [ImageLabel(image_id, BUS) for image_id in (1, 2)]
        dataset.apply(Edit("Labels", tuple(LabelChange(None, label) for label in labels)))
    maps = {(1, BICYCLE): heat.spot(14, 10, 10)}
    classes = [(BUS, "bus"), (BICYCLE, "bicycle")]
    heat.heat_run(project, [1, 2], classes, [[0.9, 0.625], [0.8, 0.1]], maps=maps, keys={2: {}})
    return str(project.path)


def said(capsys, *words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_that_heat_is_drawn_over_the_image_at_the_image_s_own_size(place, capsys, tmp_path):
    out = tmp_path / "heat.png"
    words = ("heatmap", place, "--image", "1", "--class", "Bicycle", "--out", str(out))
    document = said(capsys, *words, "--opacity", "1", "--colormap", "gray")
    assert (document["class_id"], document["average"], document["presence"]) == (BICYCLE, 0.625, "unknown")
    assert (document["epoch"], document["peak"], document["threshold"]) == (3, 1.0, 0.5)
    assert document["peak_at"] == [0.75, 0.75]
    assert [box[0] < 0.75 < box[2] for box in document["boxes"]] == [True]
    drawn = np.asarray(PillowImage.open(out))
    assert drawn.shape == (20, 40, 3)
    assert drawn[15, 30].min() > 180
    assert drawn[2, 2].max() == 0
    assert main(list(words)) == 4
    assert "is there already" in capsys.readouterr().err


def test_that_without_a_class_all_are_listed_those_that_are_there_first(place, capsys):
    document = said(capsys, "heatmap", place, "--image", "b.png")
    assert [(row["class"], row["presence"]) for row in document["classes"]] == [
        ("bus", "positive"),
        ("bicycle", "unknown"),
    ]
    assert main(["heatmap", place, "--image", "1"]) == 0
    assert "\u202e" not in capsys.readouterr().out


def test_that_only_key_epochs_can_be_looked_back_at(place, capsys):
    document = said(capsys, "heatmap", place, "--image", "1", "--class", "bicycle", "--epoch", "2")
    assert (document["epoch"], document["peak"], document["boxes"], document["peak_at"]) == (2, 0.0, [], None)
    assert main(["heatmap", place, "--image", "1", "--epoch", "1"]) == 4
    assert "Its key epochs: 2." in capsys.readouterr().err


def test_that_the_worklist_is_printed_added_to_and_denied(project, place, capsys):
    document = said(capsys, "expected", place)
    assert (document["found"], [row["key"] for row in document["rows"]]) == (1, ["1:2"])
    assert document["rows"][0]["box"][0] < 0.75
    assert said(capsys, "expected", place, "--min-score", "0.8")["rows"] == []
    document = said(capsys, "expected", place, "--add", "1:bicycle", "2:2")
    assert (document["title"], document["changes"]) == ("Add bicycle in 2 images", 2)
    assert said(capsys, "expected", place)["rows"] == []
    with Dataset.open(project) as dataset:
        assert [label.score for image_id in (1, 2) for label in dataset.labels_of(image_id)[1:]] == [
            pytest.approx(0.625**0.5, abs=1e-3),
            None,
        ]
        dataset.undo()
    assert said(capsys, "expected", place, "--deny", "all")["changes"] == 1
    with Dataset.open(project, read_only=True) as dataset:
        assert dataset.labels_of(1)[1].presence is Presence.NEGATIVE
    assert main(["expected", place, "--add", "all"]) == 0
    assert "Nothing to do." in capsys.readouterr().out


def test_that_classes_take_turns_on_the_command_line_unless_the_surest_rows_are_asked_for(project, place, capsys, heat):
    shutil.rmtree(project.runs)
    with Dataset.open(project) as dataset:
        dataset.undo()  # nothing is labelled
    classes = [(BUS, "bus"), (BICYCLE, "bicycle")]
    maps = {(image_id, class_id): heat.spot(14, 7, 7) for image_id in (1, 2) for class_id in (BUS, BICYCLE)}
    heat.heat_run(project, [1, 2], classes, [[0.9, 0.5], [0.8, 0.1]], maps=maps)
    found = {words: said(capsys, "expected", place, *words) for words in ((), ("--order", "score"))}
    assert [document["order"] for document in found.values()] == ["turns", "score"]
    assert [[row["key"] for row in document["rows"]] for document in found.values()] == [
        ["1:1", "1:2", "2:1", "2:2"],
        ["1:1", "2:1", "1:2", "2:2"],
    ]
    assert [row["key"] for row in said(capsys, "expected", place, "--limit", "2")["rows"]] == ["1:1", "1:2"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("expected", "--class", "zebra"), 4),
        (("expected", "--run", "nobody"), 2),
        (("expected", "--add", "1"), 2),
        (("expected", "--add", ":"), 2),
        (("expected", "--add", "99:bus"), 4),
        (("expected", "--add", "1:bus", "--deny", "1:bus"), 2),
        (("heatmap", "--image", "nobody.jpg"), 4),
        (("heatmap", "--image", "1", "--out", "x.png"), 2),
        (("heatmap", "--image", "1", "--class", "bus", "--out", "no such folder/x.png"), 5),
    ],
)
def test_that_what_cannot_be_is_refused_in_words(place, capsys, words, status):
    assert main([words[0], place, *words[1:]]) == status
    assert capsys.readouterr().err.startswith("locstudio: ")


def test_that_a_project_without_heatmaps_says_what_to_do(project, capsys):
    Dataset.create(project).close()
    assert main(["expected", str(project.path)]) == 4
    assert "train the heatmaps first" in capsys.readouterr().err


@pytest.mark.parametrize("harm", ["cut off", "no header", "newer", "no numbers", "wild slots"])
def test_that_damaged_heatmaps_are_an_error_with_a_sentence_or_pass_as_cold(project, place, capsys, harm):
    folder = heatmaps_folder(run_folders(project)[0].results)
    status = {"no numbers": 0, "wild slots": 0, "newer": 6}.get(harm, 4)
    if harm == "cut off":
        content = (folder / "averages_b.npy").read_bytes()
        (folder / "averages_b.npy").write_bytes(content[:-4])
    elif harm == "no header":
        (folder / "header.json").write_text("{")
    elif harm == "newer":
        (folder / "header.json").write_text('{"format_version": 99}')
    elif harm == "no numbers":
        np.save(folder / "averages_b.npy", np.full((2, 2), np.nan, np.float32))
    else:
        header = msgspec.json.decode((folder / "header.json").read_bytes())
        (folder / "header.json").write_bytes(msgspec.json.encode(header | {"num_slots": 2}))
        np.save(folder / "slots_b.npy", np.full((2, 2), 77, np.int16))
    for command in (
        ("expected", place),
        ("heatmap", place, "--image", "1"),
        ("heatmap", place, "--image", "1", "--class", "bus"),
    ):
        assert main([*command, "--json"]) == status
    assert "Traceback" not in capsys.readouterr().err


def test_that_the_model_looks_now_where_no_run_has_seen_the_image(project, place, capsys, monkeypatch, tmp_path, heat):
    found = SimpleNamespace(
        class_names=("Bicycle", "zebra"),
        scores_L=np.array([0.25, 0.75], np.float32),
        maps_LWW=np.stack([heat.spot(14, 2, 2), heat.spot(14, 9, 9)]),
        checkpoint_id="consistency-1",
    )
    engine = SimpleNamespace(set_image=lambda path, sha256: None, find_heat=lambda checkpoint: found)
    monkeypatch.setattr(heat_commands, "session", lambda *_: engine)
    words = ("heatmap", place, "--image", "1", "--class")
    assert said(capsys, *words, "bicycle")["run"] is not None
    shutil.rmtree(project.runs)
    for more in ((), ("--checkpoint", str(tmp_path))):
        document = said(capsys, *words, "bicycle", *more)
        assert (document["run"], document["epoch"], document["class_id"], document["score"]) == (
            None,
            None,
            BICYCLE,
            0.25,
        )
        assert document["trajectory"] == []
    assert said(capsys, *words, "zebra")["class_id"] is None
    assert main([*words, "bus"]) == 4
    assert "The checkpoint consistency-1 does not know the class bus." in capsys.readouterr().err
    assert main([*words, "bus", "--checkpoint", str(tmp_path / "nowhere")]) == 4
    assert main([*words, "bus", "--checkpoint", str(tmp_path), "--run", "x"]) == 2


def test_that_images_are_listed_whose_heat_disagrees(place, capsys):
    document = said(capsys, "disagreements", place)
    assert [(row["image_id"], row["disagreement"]) for row in document["rows"]] == [
        (1, pytest.approx(0.792, abs=0.001))
    ]
    assert said(capsys, "disagreements", place, "--min", "0.9")["found"] == 0
    assert said(capsys, "disagreements", place, "--kind", "restless", "--min", "0")["rows"] == []
    assert main(["disagreements", place, "--class", "bicycle", "--kind", "missing"]) == 0
    assert capsys.readouterr().out.startswith("0.792        1  a")


def test_that_the_command_line_offers_what_the_services_have():
    assert tuple(Disagreement) == class_words.DISAGREEMENTS
    assert class_words.COLORMAPS == COLORMAPS
    assert class_words.MIN_SCORE == MIN_SCORE
    assert tuple(Order) == class_words.WORKLIST_ORDERS

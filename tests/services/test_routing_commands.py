"""`locstudio route`: which expert looks at which image, without a window."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from locstudio.cli import main
from locstudio.commands import class_words
from locstudio.commands import routing as commands
from locstudio.commands.waiting import metrics_text
from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Image
from locstudio.jobs.engine_messages import Routed
from locstudio.jobs.routing import read_routing, routing_folder
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.vmoe_config import RoutingMode
from locstudio.services.checking import check_project
from locstudio.services.routing.wishes import WishOrder
from locstudio.services.starting import start_route
from locstudio.store.dataset import Dataset

FIRST_RUN, SECOND_RUN = "20260801T100000Z-vmoe-aaaaaa", "20260802T100000Z-vmoe-bbbbbb"


@pytest.fixture(scope="module")
def routed(tmp_path_factory, routing):
    """A project with 24 images of six classes, routed to three experts by two runs; in the second one is dead."""
    return routing.make_routed_project(tmp_path_factory.mktemp("routed"), num_images=24, num_mislabelled=2)


@pytest.fixture
def locstudio(routed, capsysbinary):
    """Runs ``route`` with ``--json``; gives its document, or None without one."""

    def run(*words, status=0, project=routed):
        capsysbinary.readouterr()
        assert main(["route", str(project.path), *map(str, words), "--json"]) == status
        said = capsysbinary.readouterr()
        run.stderr = said.err.decode()
        return json.loads(said.out) if said.out else None

    return run


def table(project, run=SECOND_RUN):
    return read_routing(RunFolder(project.runs / run).results)


def test_that_a_run_tells_of_one_image_what_its_table_has(routed, locstudio):
    document = locstudio("--image", "1", "--run", "aaaaaa")
    row = table(routed, FIRST_RUN)
    assert (document["run"], document["image_id"], document["what_if"], document["is_stale"]) == (
        FIRST_RUN,
        1,
        None,
        False,
    )
    assert document["expert"] == int(row.experts[0, 0, 0]) + 1
    assert document["routers"] == [
        {
            "layers": [5, 6],
            "probabilities": pytest.approx(row.probabilities[0, 0].tolist(), abs=1e-3),
            "experts": [document["expert"]],
        }
    ]
    falling = sorted(document["routers"][0]["probabilities"], reverse=True)
    assert document["margin"] == pytest.approx(falling[0] - falling[1], abs=1e-4)
    assert document["expert_name"].startswith(f"{document['expert']} · ")
    assert isinstance(document["mismatch"], bool)
    assert locstudio("--image", "1", "--run", "newest")["run"] == SECOND_RUN


def test_that_the_model_in_use_is_asked_now_about_an_image_or_a_box_of_it(routed, locstudio, monkeypatch, capsysbinary):
    asked = []

    def find_routing(folder, box):
        asked.append((folder.name, box and box.as_tuple()))
        return Routed(
            id=0,
            checkpoint_id="vmoe-1",
            name="mine",
            routing="token",
            layers=[5, 6],
            superclasses=["animals", "vehicles", "food"],
            probabilities=[[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]],
            experts=[[0, 1], [1, 0]],
            classes=[("tabby cat", 0.9), ("collie", 0.1)],
            what_if=[[("tabby cat", 0.9)], [("collie", 0.7)], []],
        )

    engine = SimpleNamespace(set_image=lambda path, sha256: None, find_routing=find_routing)
    monkeypatch.setattr(commands, "session", lambda *_: engine)
    document = locstudio("--image", "picture_00001.png")
    assert [(router["layers"], router["experts"]) for router in document["routers"]] == [([5], [1, 2]), ([6], [2, 1])]
    assert (document["run"], document["checkpoint"], document["expert"], document["margin"]) == (
        None,
        "vmoe-1",
        1,
        0.25,
    )
    assert document["classes"][0] == {"class": "tabby cat", "score": 0.9}
    assert [row["classes"] for row in document["what_if"]] == [
        [{"class": "tabby cat", "score": 0.9}],
        [{"class": "collie", "score": 0.7}],
        [],
    ]
    assert locstudio("--image", "2", "--box", "0,0,48,64")["box"] == [0, 0, 0.5, 1]
    assert asked == [("best", None), ("best", (0, 0, 0.5, 1))]
    assert main(["route", str(routed.path), "--image", "1"]) == 0
    said = capsysbinary.readouterr().out.decode()
    assert "layer 5 by mine: 1 0.500  2 0.250  3 0.250" in said
    assert "had expert 2 · vehicles taken it: collie 0.700" in said


def test_that_the_collection_is_routed_by_a_run_and_summed_up(routed, locstudio, monkeypatch, capsysbinary):
    asked = []

    def started(project, dataset, checkpoint, *, device):
        asked.append((checkpoint, device))
        return RunFolder(project.runs / SECOND_RUN)

    monkeypatch.setattr(commands, "start_route", started)
    monkeypatch.setattr(commands, "wait_for", lambda folder, what: True)
    document = locstudio("--device", "cpu")
    assert asked == [(None, "cpu")]
    assert f"The run is {SECOND_RUN}." in locstudio.stderr
    assert document == locstudio("--run", "newest")
    assert (document["run"], document["num_images"], document["num_missing"]) == (SECOND_RUN, 24, 0)
    assert sum(each["num_images"] for each in document["experts"]) == 24
    assert sum(each["num_mismatched"] for each in document["experts"]) == document["num_mismatched"] > 0
    assert [each["superclass"] for each in document["experts"]] == ["animals", "vehicles", "food"]
    assert {"mean_margin", "num_unlabelled", "top1", "state", "top_classes"} <= set(document["experts"][0])
    assert main(["route", str(routed.path), "--run", "newest"]) == 0
    assert "1 · animals" in capsysbinary.readouterr().out.decode()
    monkeypatch.setattr(commands, "wait_for", lambda folder, what: False)
    assert locstudio(status=130) is None


def test_that_images_are_listed_by_expert_mismatch_and_margin(routed, locstudio):
    found = table(routed)
    everything = locstudio("--order", "margin")
    assert everything["found"] == 24
    margins = [row["margin"] for row in everything["rows"]]
    assert margins == sorted(margins)
    of_second = locstudio("--expert", 2, "--order", "expert")["rows"]
    assert sorted(row["image_id"] for row in of_second) == found.image_ids[found.experts[:, 0, 0] == 1].tolist()
    assert [row["expert_name"] for row in of_second][:1] == ["2 · vehicles"]
    both = locstudio("--expert", 1, "--expert", 2, "--limit", 3)
    assert (both["found"], len(both["rows"])) == (int(np.isin(found.experts[:, 0, 0], (0, 1)).sum()), 3)
    astray = locstudio("--mismatch", "--order", "mismatch")
    assert astray["found"] == len(astray["rows"]) == locstudio("--run", "newest")["num_mismatched"]
    assert all(row["mismatch"] and row["truth"] and row["superclass"] for row in astray["rows"])
    others = [row["class"] != row["truth"] for row in locstudio("--order", "another")["rows"]]
    assert any(others)
    assert others == sorted(others, reverse=True)
    least = locstudio("--max-margin", "0.5")
    assert [row["image_id"] for row in least["rows"]] == sorted(
        row["image_id"] for row in everything["rows"] if row["margin"] < 0.5
    )
    assert set(least["rows"][0]) == {
        *("image", "image_id", "expert", "expert_name", "margin", "mismatch", "class", "score", "truth"),
        *("superclass", "held_out"),
    }


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("--image", "nobody.jpg"), 4, "no image called nobody.jpg"),
        (("--image", "1", "--run", "nobody"), 2, "No run with a routing is called"),
        (("--image", "1", "--mismatch"), 2, "are about the list of images"),
        (("--box", "0,0,1,1"), 2, "say which with --image"),
        (("--image", "1", "--run", "aaaaaa", "--checkpoint", "x"), 2, "--run or --checkpoint"),
        (("--image", "1", "--run", "aaaaaa", "--box", "0,0,1,1"), 2, "say --box without --run"),
        (("--image", "1", "--box", "3,3,3,3"), 2, "no area"),
        (("--image", "1", "--checkpoint", "nowhere"), 4, "no checkpoint at nowhere"),
        (("--expert", "4"), 2, "There is no expert 4: "),
        (("--mismatch", "--checkpoint", "x"), 2, "The list is of what a run has found"),
        (("--checkpoint", "nowhere"), 4, "no checkpoint at nowhere"),
    ],
)
def test_that_what_cannot_be_is_refused_in_words(locstudio, words, status, sentence):
    assert locstudio(*words, status=status) is None
    assert sentence in locstudio.stderr
    assert locstudio.stderr.startswith("locstudio: ")


def test_that_a_dead_expert_an_image_not_routed_and_a_damaged_table_are_told(tmp_path, routing, locstudio):
    project = routing.make_routed_project(tmp_path, num_images=6, dead=(2,), has_second=False, num_epochs=1)
    with Dataset.open(project) as dataset:
        image = dataset.image(1)
        dataset.add_images([Image(0, image.root_id, "later.png", 9, 9)])
    document = locstudio("--run", "newest", project=project)
    assert (document["experts"][2]["state"], document["experts"][2]["mean_margin"]) == ("dead", None)
    assert document["num_missing"] == 1
    locstudio("--image", "later.png", "--run", "newest", status=4, project=project)
    assert "has not routed the image later.png" in locstudio.stderr
    file = next(routing_folder(RunFolder(project.runs / FIRST_RUN).results).iterdir())
    file.write_bytes(file.read_bytes()[:-100])
    for words in (("--run", "newest"), ("--mismatch",), ("--image", "1", "--run", "aaaaaa")):
        assert locstudio(*words, status=4, project=project) is None
        assert "cannot be read" in locstudio.stderr
    with Dataset.open(project, read_only=True) as dataset:
        (finding,) = [each for each in check_project(project, dataset) if "routing" in each]
        assert str(file.parent) in finding
    file.unlink()
    locstudio("--mismatch", status=4, project=project)
    assert "Train experts, or route the images." in locstudio.stderr


def test_that_without_a_model_with_experts_nothing_is_routed(tmp_path, routing, monkeypatch):
    monkeypatch.setattr("locstudio.services.checkpoints.bundled_checkpoint", lambda _="cloc": tmp_path / "none")
    project = routing.make_routed_project(tmp_path, num_images=3, has_second=False, num_epochs=1, is_adopted=False)
    with Dataset.open(project) as dataset, pytest.raises(BadInput, match="No model with experts is in use"):
        start_route(project, dataset)


def test_that_metrics_in_one_line_leave_out_the_load_of_each_expert():
    metrics = {"top1": 0.5, "dead_experts": 1.0, "expert_1": 0.4, "expert_20": 0.6, "n": 3.0}
    assert metrics_text(metrics) == "top1 0.500, dead_experts 1, n 3"


def test_that_the_command_line_offers_what_the_services_have():
    assert set(class_words.ROUTINGS) == set(RoutingMode.__args__)
    assert set(class_words.ROUTING_ORDERS) == set(WishOrder.__args__) - {""}

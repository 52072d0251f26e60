"""Two processes and one: the same rows, the same gradients, and nobody waits for ever."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from locstudio.domain.errors import BadInput
from trainer.distributed import ALONE, Place, Ranks
from trainer.gradient import gradient_of
from trainer.recipes.cloc import ClocStep, ClocStepConfig
from trainer.recipes.cloc_ranks import shared_gradient

sys.path.insert(0, str(Path(__file__).parent))
from ranks_at_work import SCENARIOS, WEIGHTED, WEIGHTS_BM, gradients_of, make_model, make_step, part_of, whole_batch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
OTHERS = ("one rank has no region", "one rank has no caption", "by torch")
TROUBLED = ("too little memory at first", "too little memory in the second pass")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def found(tiny_checkpoint, tmp_path_factory):
    """What two gloo processes found; see ``ranks_at_work``."""
    folder = tmp_path_factory.mktemp("ranks")
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    common |= {"LOCSTUDIO_RANK_PATIENCE_S": "2", "GLOO_SOCKET_IFNAME": "lo", "HF_HUB_OFFLINE": "1"}
    common["PYTHONPATH"] = os.pathsep.join(sys.path)
    script = Path(__file__).parent / "ranks_at_work.py"
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(tiny_checkpoint), str(folder)],
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = [process.communicate(timeout=200)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), "\n".join(errors)
    return [torch.load(folder / f"rank_{rank}.pt", weights_only=False) for rank in range(2)]


def one_process(model, config: ClocStepConfig, weight_BM=None):
    model.zero_grad(set_to_none=True)
    terms = gradient_of(make_step(model, config), replace(whole_batch(model), weight_BM=weight_BM))
    return {name: float(term) for name, term in terms.items()}, gradients_of(model)


@pytest.mark.parametrize("name", [*SCENARIOS, WEIGHTED, *OTHERS, *TROUBLED])
def test_that_two_processes_take_the_gradient_of_one_on_the_whole_batch(found, tiny_checkpoint, name):
    config = SCENARIOS[name][0] if name in SCENARIOS else ClocStepConfig()
    terms, expected = one_process(make_model(tiny_checkpoint), config, WEIGHTS_BM if name == WEIGHTED else None)
    joint = torch.cat([value.flatten().double() for value in expected.values()])
    assert terms["region_text"] > 0.1
    for rank in range(2):
        own_terms, own = found[rank]["gradients"][name]
        assert own_terms == pytest.approx(terms, rel=1e-4, abs=1e-6)
        assert {key for key, value in expected.items() if value.any()} <= own.keys() <= expected.keys()
        shared = torch.cat(
            [own.get(key, torch.zeros_like(value)).flatten().double() for key, value in expected.items()]
        )
        assert torch.cosine_similarity(shared, joint, dim=0).item() == pytest.approx(1.0, abs=1e-9)
        assert (shared.norm() / joint.norm()).item() == pytest.approx(1.0, abs=1e-6)
        for key, value in own.items():
            torch.testing.assert_close(value, expected[key], rtol=2e-3, atol=2e-6, msg=f"{key} of rank {rank}")
    first, second = (found[rank]["gradients"][name][1] for rank in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_that_a_gradient_without_the_other_process_would_not_be_the_same(tiny_checkpoint):
    # What the test above would miss if its two halves were alike, or had nothing to say to each other.
    model = make_model(tiny_checkpoint)
    joint = torch.cat([value.flatten() for value in one_process(model, ClocStepConfig())[1].values()])
    model.zero_grad(set_to_none=True)
    for rows in ([0, 2, 4], [1, 3]):
        gradient_of(ClocStep(model, ClocStepConfig()), part_of(whole_batch(model), rows))
    apart = torch.cat([value.flatten() for value in gradients_of(model).values()])
    assert torch.cosine_similarity(apart, joint, dim=0).item() < 0.99


@pytest.mark.parametrize("name", TROUBLED)
def test_that_all_ranks_hear_of_one_that_has_too_little_memory(found, name):
    assert [found[rank]["gradients"]["raised: " + name] for rank in range(2)] == [True, False]


def test_that_rows_of_uneven_ranks_are_gathered_with_their_gradient(found):
    expected = torch.tensor([[0.0, 1], [2, 3], [4, 5], [9, 9]])
    weights = torch.arange(1.0, 9.0).reshape(4, 2)
    for rank, rows in enumerate((slice(0, 3), slice(3, 4))):
        assert torch.equal(found[rank]["rows"], expected)
        # Twice, since averaging over two ranks halves it again.
        assert torch.equal(found[rank]["gradient of rows"], 2 * weights[rows])
        assert found[rank]["no rows"] == (0, 3)


def test_that_tensors_of_several_types_and_numbers_travel_together(found):
    for rank in range(2):
        (boxes, keys, flags), numbers = found[rank]["mixed"]
        assert boxes.tolist() == [[[0.0, 0.0]] * 2, [[1.0, 1.0]] * 2, [[1.0, 1.0]] * 2]
        assert (keys.tolist(), flags.tolist(), numbers) == ([1], [False, True], [20, 1])


def test_that_a_gradient_no_rank_has_stays_absent_and_one_that_a_rank_has_is_averaged(found):
    for rank in range(2):
        known, unknown = found[rank]["average"]
        assert known.tolist() == [0.5, 0.5]
        assert unknown is None


def test_that_texts_numbers_and_wishes_reach_every_rank(found):
    for rank in range(2):
        assert found[rank]["texts"] == [["ä", "b"], []]
        assert found[rank]["largest"] == 4
        assert found[rank]["only one wishes"] is True
        assert found[rank]["nobody wishes"] is False


def test_that_ranks_with_different_weights_are_refused(found):
    assert all("different weights" in found[rank]["refusal"] for rank in range(2))


def test_that_a_rank_is_waited_for_as_long_as_it_beats_and_given_up_when_it_is_silent(found):
    assert all(found[rank]["patient"] for rank in range(2))
    assert "no other process of the run has given a sign of life" in found[0]["silence"]


def test_that_one_process_is_the_whole_run(tiny_checkpoint):
    model = make_model(tiny_checkpoint)
    step, batch = ClocStep(model, ClocStepConfig()), whole_batch(model)
    assert list(ALONE.share_of([1, 2, 3])) == [1, 2, 3]
    assert (ALONE.is_first, ALONE.largest(4), ALONE.all_texts(["a"])) == (True, 4, [["a"]])
    assert shared_gradient(ALONE, lambda gather: gradient_of(step, batch, 0, gather), []).keys() >= {"loss", "clip"}
    ALONE.meet()
    ALONE.leave()


def test_that_a_process_reads_its_place_from_what_torchrun_says(monkeypatch):
    assert Place.from_environment() == Place()
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    place = Place.from_environment()
    assert (place.rank, place.world, place.local_rank, place.local_world) == (5, 8, 1, 4)
    ranks = Ranks(place)
    assert list(ranks.share_of(range(20))) == [5, 13]
    assert not ranks.is_first


def test_that_two_ranks_never_share_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Place(rank=3, world=4, local_rank=1, local_world=2).device("auto") == "cuda:1"
    assert Place(rank=3, world=4, local_rank=1, local_world=2).device("cpu") == "cpu"
    assert Place().device("auto") == "auto"
    with pytest.raises(BadInput, match="which has 2 GPUs"):
        Place(rank=3, world=4, local_rank=3, local_world=4).device("cuda")

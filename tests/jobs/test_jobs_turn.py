"""Which runs take turns, on what, and in which order."""

import os

import msgspec
import pytest

from locstudio.jobs.configs import ClocTraining, Comparison, ConsistencyTraining, Embedding, Evaluation, RunConfig
from locstudio.jobs.run_folder import RunFolder, write_whole
from locstudio.jobs.run_state import RunMark, claim_run
from locstudio.jobs.turn import Turn, gpus_of, takes_turns


def config(device="cpu", **more):
    return RunConfig(kind="cloc", checkpoint="/c", device=device, cloc=ClocTraining(), **more)


@pytest.fixture
def make_run(tmp_path):
    """Makes a run of a project by name."""
    return lambda project="project": RunFolder.create(tmp_path / project / "runs", config())


@pytest.fixture
def machine(tmp_path):
    """A folder of devices with two GPUs, as the kernel lists them."""
    devices = tmp_path / "dev"
    devices.mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (devices / name).touch()
    return devices


def test_that_indexing_and_timing_wait_for_nobody():
    assert takes_turns(config())
    assert takes_turns(RunConfig(kind="evaluate", checkpoint="/c", evaluate=Evaluation(task="all")))
    assert takes_turns(RunConfig(kind="compare", checkpoint="/c", compare=Comparison(new="/d")))
    assert not takes_turns(RunConfig(kind="embed", checkpoint="/c", embed=Embedding()))
    assert not takes_turns(RunConfig(kind="cloc", checkpoint="/c", cloc=ClocTraining(is_dry_run=True)))
    of_classes = RunConfig(kind="consistency", checkpoint="/c", consistency=ConsistencyTraining())
    assert takes_turns(of_classes)
    timed = msgspec.structs.replace(of_classes, consistency=ConsistencyTraining(is_dry_run=True))
    assert not takes_turns(timed)


def test_that_a_project_has_one_turn_and_says_who_has_it(make_run):
    first, second = make_run(), make_run()
    one, other = Turn(first, config()), Turn(second, config())
    assert one.try_take()
    assert one.try_take()  # it is ours already
    assert not other.try_take()
    assert other.behind == first.id
    one.release()
    assert other.try_take()
    assert other.behind == ""
    other.release()


def test_that_a_link_in_a_strangers_project_leads_to_no_file_of_ours(make_run, tmp_path):
    run = make_run()
    (tmp_path / "diary").write_text("dear diary")
    (run.path.parent / "turn.lock").symlink_to(tmp_path / "diary")
    with pytest.raises(OSError, match="symbolic links"):
        Turn(run, config()).try_take()
    assert (tmp_path / "diary").read_text() == "dear diary"


def test_that_two_projects_on_the_cpu_do_not_wait_for_each_other(make_run):
    one, other = Turn(make_run("a"), config()), Turn(make_run("b"), config())
    assert one.try_take()
    assert other.try_take()
    one.release()
    other.release()


def test_that_two_projects_take_turns_on_a_gpu_and_not_on_two(make_run, machine, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    one = Turn(make_run("a"), config("auto"), devices=machine)
    other = Turn(make_run("b"), config("cuda:0"), devices=machine)
    second = Turn(make_run("c"), config("cuda:1"), devices=machine)
    assert one.try_take()
    assert not other.try_take()
    assert other.behind == ""  # of another project we know no name
    assert second.try_take()
    one.release()
    assert other.try_take()
    other.release()
    second.release()


@pytest.mark.parametrize(
    ("device", "num", "visible", "expected"),
    [
        ("auto", 1, None, ("0",)),
        ("cuda", 2, None, ("0", "1")),
        ("cuda:1", 1, None, ("1",)),
        ("cpu", 1, None, ()),
        ("auto", 1, "1", ("1",)),
        ("auto", 1, "", ()),
        ("cuda:0", 1, "GPU-4f, GPU-5e", ("GPU-4f",)),
    ],
)
def test_that_the_gpu_of_a_run_is_known_without_torch(machine, monkeypatch, device, num, visible, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_of(config(device, num_processes=num), machine) == expected
    assert gpus_of(config(device, num_processes=num), machine / "none") == ()


def test_that_the_one_who_came_first_goes_first_even_if_its_name_is_younger(make_run):
    early, late = make_run(), make_run()
    own = claim_run(late, "queued")
    before = msgspec.structs.replace(RunMark.of(os.getppid()), phase="queued")
    assert before.created <= own.created  # our parent was there before us
    write_whole(early.path / "state.json", msgspec.json.encode(before))
    turn = Turn(late, config())
    assert turn.try_take() is (before.created == own.created and late.id < early.id)
    assert turn.behind in (early.id, "")
    turn.release()
    gone = msgspec.structs.replace(before, boot="another boot")
    write_whole(early.path / "state.json", msgspec.json.encode(gone))
    assert turn.try_take()
    turn.release()

"""Making a run: the snapshot first, the configuration last, and what the run is made of written down."""

import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple

import pytest

from locstudio import __version__
from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services import starting
from locstudio.services.adoption import settle_adoption
from locstudio.services.code_version import code_version, commit_of
from locstudio.services.runs import describe_run, list_runs, start_compare, start_embed, start_evaluate, start_train
from locstudio.store.dataset import CheckpointRow, Dataset, RunRow
from locstudio.store.project import create_project
from locstudio.store.snapshot import snapshot_hash

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def project(tmp_path):
    return create_project(tmp_path / "project")


@pytest.fixture
def dataset(project):
    with Dataset.create(project) as dataset:
        yield dataset


def test_that_a_run_says_what_it_is_made_of(project, dataset):
    folder = start_train(project, dataset, bundled_checkpoint(), seed=3, title="After the first hour")
    config = folder.config()
    assert config.snapshot_sha256 == snapshot_hash(folder.snapshot)
    assert config.snapshot_revision == dataset.revision()
    assert config.code_version == code_version()
    assert config.code_version.startswith(__version__)
    assert (config.seed, config.title, config.parent_run) == (3, "After the first hour", "")
    assert config.checkpoint == str(bundled_checkpoint().resolve())
    assert folder.id.endswith(folder.path.name)
    assert [row.id for row in list_runs(project)] == [folder.id]
    assert describe_run(folder).state is RunState.QUEUED


def test_that_a_training_names_the_run_that_made_the_checkpoint_it_starts_from(project, dataset):
    dataset.record_run(RunRow("run-1", "cloc"))
    mine = project.path / "checkpoints" / "mine"
    shutil.copytree(bundled_checkpoint(), mine)
    dataset.record_checkpoint(CheckpointRow("cloc-1", "cloc", "mine", "checkpoints/mine", run_id="run-1"))
    assert start_train(project, dataset, mine).config().parent_run == "run-1"


def test_that_a_comparison_belongs_to_the_training_whose_held_out_images_decide(project, dataset):
    old = bundled_checkpoint()
    config = start_compare(project, dataset, old, old, held_out="run-1", margin=0.02).config()
    assert (config.kind, config.parent_run, config.compare.held_out, config.compare.margin) == (
        "compare",
        "run-1",
        "run-1",
        0.02,
    )
    assert config.compare.new == str(old.resolve())


def test_that_every_task_can_be_asked_for(project, dataset):
    config = start_evaluate(project, dataset, bundled_checkpoint(), task="all", split="val").config()
    assert (config.evaluate.task, config.evaluate.split) == ("all", "val")


@pytest.mark.parametrize("failing", ["snapshot", "complete"])
def test_that_a_start_which_fails_leaves_no_run(project, dataset, monkeypatch, failing):
    def refuse(*_):
        raise StorageFailed("The disk is full.")

    monkeypatch.setattr(dataset if failing == "snapshot" else RunFolder, failing, refuse)
    with pytest.raises(StorageFailed, match="full"):
        start_embed(project, dataset, bundled_checkpoint())
    assert os.listdir(project.runs) == []


def test_that_a_damaged_checkpoint_starts_no_run(project, dataset, tmp_path):
    with pytest.raises(BadInput):
        start_train(project, dataset, tmp_path)
    assert os.listdir(project.runs) == []


def test_row_9_that_training_is_refused_with_needed_and_free_space(project, dataset, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(starting.shutil, "disk_usage", lambda _: usage(10 << 30, 9 << 30, 1 << 30))
    with pytest.raises(StorageFailed, match=r"needs 2\.0 GB of free space .* there are 1\.0 GB") as refused:
        start_train(project, dataset, bundled_checkpoint())
    assert refused.value.exit_status == 5
    assert os.listdir(project.runs) == []
    start_embed(project, dataset, bundled_checkpoint())


KILLED = """
import os, signal, sys
from pathlib import Path
from locstudio.jobs import run_folder
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.services.starting import start_embed
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
project = Project(Path(sys.argv[1]))
dataset = Dataset.open(project)
if sys.argv[2] == "before the snapshot": dataset.snapshot = die
if sys.argv[2] == "before the configuration": run_folder.write_whole = die
if sys.argv[2] == "before the name": run_folder.os.replace = (
    lambda a, b, real=os.replace: die() if str(a).endswith("partial") and os.path.isdir(a) else real(a, b))
start_embed(project, dataset, bundled_checkpoint())
"""


@pytest.mark.parametrize("moment", ["before the snapshot", "before the configuration", "before the name"])
def test_that_a_start_cut_by_kill_9_leaves_no_half_run(project, moment):
    Dataset.create(project).close()
    done = subprocess.run([sys.executable, "-c", KILLED, os.fspath(project.path), moment], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert list_runs(project) == []
    assert [name.endswith(".partial") for name in os.listdir(project.runs)] == [True]
    with Dataset.open(project) as dataset:
        settle_adoption(project, dataset)
    assert os.listdir(project.runs) == []


def test_that_the_commit_is_read_from_a_checkout_without_git(tmp_path):
    git = tmp_path / ".git"
    assert commit_of(git) == ""
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit_of(git) == ""
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{COMMIT} refs/heads/main\n")
    assert commit_of(git) == COMMIT
    newer = COMMIT[::-1]
    (git / "refs" / "heads" / "main").write_text(newer + "\n")
    assert commit_of(git) == newer
    worktree = tmp_path / "worktree"
    (git / "worktrees" / "w").mkdir(parents=True)
    (git / "worktrees" / "w" / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "worktrees" / "w" / "commondir").write_text("../..\n")
    worktree.mkdir()
    (worktree / ".git").write_text("gitdir: ../.git/worktrees/w\n")
    assert commit_of(worktree / ".git") == newer
    (git / "HEAD").write_text(COMMIT)
    assert commit_of(git) == COMMIT
    (git / "HEAD").write_text("nonsense")
    assert commit_of(git) == ""

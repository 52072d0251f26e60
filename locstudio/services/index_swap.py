"""Checkpoint and index change together: an embedding may only be compared with embeddings of its own checkpoint.

The index that is replaced is kept in ``checkpoints/<its checkpoint>/index``, for a roll back, and the two newest of
them stay.  Every step is a rename or a committed transaction, in an order that ``settle`` can finish or take back:

    "adopting" is set -> index becomes index.older -> the new one becomes index -> the checkpoint is made active
    -> index.older goes to its keeping place -> "adopting" is emptied
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from locstudio.domain.errors import CheckpointMismatch, StaleIndex
from locstudio.index.files import checkpoint_of_index
from locstudio.index.region_index import RegionIndex
from locstudio.jobs.run_folder import PARTIAL, sync_folder
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

NUM_KEPT = 2
CHECKPOINT_NAMES = "cloc-*"
"""Nothing else is swept away: in a stranger's project the folder may be a link to one of ours."""
_ADOPTING = "adopting"


def checkpoints_folder(project: Project) -> Path:
    """Where a project keeps checkpoints of its own, and the indexes of those that were replaced."""
    return project.path / "checkpoints"


def kept_index(project: Project, checkpoint_id: str) -> Path:
    """Where the index of a checkpoint is kept while another one is in use; it may not be there."""
    return checkpoints_folder(project) / checkpoint_id / "index"


def swap_in(project: Project, dataset: Dataset, checkpoint_id: str, prepared: Path | None) -> None:
    """Make a recorded checkpoint the active one, and ``prepared`` (a whole index of it) the project's index.

    Without ``prepared`` the index stays as it is; that of another checkpoint refuses queries until it is made anew.

    Raises:
        OSError: the disk refused; ``settle`` brings back what was.
    """
    dataset.set_setting(_ADOPTING, checkpoint_id)
    if prepared is not None:
        if project.index.exists():
            os.replace(project.index, _older(project))
        os.replace(prepared, project.index)
        sync_folder(prepared.parent)
        sync_folder(project.path)
    dataset.activate_checkpoint(checkpoint_id)
    _keep_older(project, checkpoint_id)
    dataset.set_setting(_ADOPTING, "")


def settle(project: Project, dataset: Dataset) -> None:
    """Finish a swap that was cut in two, or take it back: checkpoint and index fit each other afterwards."""
    if _older(project).exists() and not project.index.exists():
        os.replace(_older(project), project.index)
        sync_folder(project.path)
    wanted = dataset.get_setting(_ADOPTING)
    if wanted:
        with suppress(StaleIndex, CheckpointMismatch, LookupError):
            RegionIndex.open(project.index, wanted).close()
            dataset.activate_checkpoint(wanted)
    active = dataset.active_checkpoint()
    _keep_older(project, active.id if active else "")
    if wanted:
        dataset.set_setting(_ADOPTING, "")
    for remains in (*project.path.glob(f"index.*{PARTIAL}"), *checkpoints_folder(project).glob(f"*{PARTIAL}")):
        shutil.rmtree(remains, ignore_errors=True)


def _keep_older(project: Project, active_id: str) -> None:
    older = _older(project)
    if not older.exists():
        return
    owner = checkpoint_of_index(older)
    if owner in ("", active_id) or "/" in owner or owner.startswith("."):
        shutil.rmtree(older, ignore_errors=True)
        return
    place = kept_index(project, owner)
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.utime(older)
    os.replace(older, place)
    sync_folder(place.parent)
    sync_folder(project.path)
    _prune(project)


def _prune(project: Project) -> None:
    kept = sorted(
        checkpoints_folder(project).glob(f"{CHECKPOINT_NAMES}/index"),
        key=lambda path: path.stat().st_mtime_ns,
        reverse=True,
    )
    for place in kept[NUM_KEPT:]:
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):  # not empty: the checkpoint itself is there
            place.parent.rmdir()


def _older(project: Project) -> Path:
    return project.path / "index.older"

"""VESL runs: making one, and what one has proposed."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from locstudio.domain.errors import BadInput, UserError
from locstudio.jobs.configs import RunConfig, Vesl
from locstudio.jobs.raw_proposals import read_raw_proposals
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services.run_summary import describe_run
from locstudio.services.runs_of import run_folders
from locstudio.services.starting import make_run
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project


def start_vesl(
    project: Project,
    dataset: Dataset,
    checkpoint: Path,
    vesl: Vesl,
    *,
    device: str = "auto",
    num_threads: int = 0,
    title: str = "",
) -> RunFolder:
    """Make a run that proposes regions.

    Raises:
        BadInput: the checkpoint is damaged.
        StorageFailed: the disk refuses; no run is left.
    """
    config = RunConfig(
        kind="vesl", checkpoint=str(checkpoint), device=device, num_threads=num_threads, title=title, vesl=vesl
    )
    return make_run(project, dataset, config)


def propose_again(
    project: Project, dataset: Dataset, checkpoint: Path, image_ids: Sequence[int], *, device: str = "auto"
) -> RunFolder:
    """Make a run over these images alone, by the same means as the newest run that has seen one of them.

    For captions that were edited since: the images' tokens lie in the cache, so only the later steps run again.

    Raises:
        BadInput: the checkpoint is damaged.
        StorageFailed: the disk refuses; no run is left.
    """
    before = _newest_asked(project, image_ids)
    vesl = msgspec.structs.replace(before, image_ids=tuple(map(int, image_ids)), phrases=())
    return start_vesl(project, dataset, checkpoint, vesl=vesl, device=device)


def resumable_vesl(folder: RunFolder) -> RunFolder:
    """The run itself.

    Raises:
        UserError: it proposes nothing, goes on already, or is done.
    """
    row = describe_run(folder)
    if row.kind != "vesl":
        raise UserError(f"{folder.id} is no run that proposes, so there is nothing to go on with.")
    if row.has_process:
        raise UserError(f"The run {folder.id} goes on already.")
    if row.state is RunState.DONE:
        raise UserError(f"The run {folder.id} is done.")
    return folder


def proposals_counted(folder: RunFolder) -> dict[str, object]:
    """How much a run has proposed so far, for a document.

    Raises:
        BadInput: its proposals are damaged.
    """
    found = read_raw_proposals(folder.results)
    if found is None:
        return {"num_images": 0, "num_captions": 0, "num_phrases": 0, "num_proposals": 0}
    return {
        "num_images": len(found.seen_image_ids),
        "num_captions": len(found.captions),
        "num_phrases": len(found.phrases),
        "num_proposals": len(found),
        "detector": found.manifest.detector,
        "captioner": found.manifest.captioner,
    }


def _newest_asked(project: Project, image_ids: Sequence[int]) -> Vesl:
    """What the newest run that has seen one of the images was asked, or what a run is asked by itself."""
    wanted = frozenset(map(int, image_ids))
    for folder in reversed(run_folders(project)):
        try:
            config = folder.config()
            found = read_raw_proposals(folder.results) if config.vesl is not None else None
        except BadInput:
            continue
        if config.vesl is not None and found is not None and not wanted.isdisjoint(found.seen_image_ids.tolist()):
            return config.vesl
    return Vesl()

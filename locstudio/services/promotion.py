"""Whether a new checkpoint may take the place of the one in use: what a finished comparison of the two has found.

A comparison runs in a fresh process, so a checkpoint that passes has been loaded there, has answered, and was measured
on what it has not learnt from.  Only checkpoints of one kind of model are ever compared.
"""

from contextlib import suppress

import msgspec

from locstudio.domain.errors import BadInput, GateFailed
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import CheckpointInfo, ModelKind, checkpoint_info
from locstudio.jobs.predictions import Gate, read_gate
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.runs_of import run_folders
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.store.view import DatasetView


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """Why a checkpoint was taken into use.  ``is_forced``: a person wanted it without, or against, the gate."""

    gate: Gate | None = None
    is_forced: bool = False

    def to_text(self) -> str:
        """As the dataset remembers it."""
        return msgspec.json.encode(self).decode()


def promotion_of(text: str) -> Promotion | None:
    """What ``to_text`` has made; None where nothing decided."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=Promotion)
    except msgspec.MsgspecError as error:
        raise BadInput(f"What decided about a checkpoint cannot be read: {error}.") from error


def active_id(dataset: DatasetView, model: ModelKind = "cloc") -> str:
    """The id of the checkpoint of this model in use, the bundled one included; empty where there is not even that."""
    active = dataset.active_checkpoint(model)
    if active is not None:
        return active.id
    bundled = bundled_checkpoint(model)
    return checkpoint_info(bundled).id if model == "cloc" or bundled.is_dir() else ""


def find_comparison(project: Project, old_id: str, new_id: str) -> tuple[RunFolder, Gate] | None:
    """The newest finished comparison of these two checkpoints, and what it says of the new one."""
    for folder in reversed(run_folders(project)):
        if "-compare-" not in folder.id:
            continue
        with suppress(BadInput):
            gate = read_gate(folder.results)
            if gate is not None and (gate.old_id, gate.new_id) == (old_id, new_id):
                return folder, gate
    return None


def require_gate(project: Project, dataset: Dataset, new: CheckpointInfo, *, force: bool) -> Promotion:
    """The reason why this checkpoint may be taken into use; it needs none where no other of its model is there.

    Raises:
        GateFailed: it was not compared with the one in use, or was found to be worse; the sentence says what.
    """
    old_id = active_id(dataset, new.model)
    if old_id in ("", new.id):
        return Promotion()
    found = find_comparison(project, old_id, new.id)
    gate = found[1] if found else None
    if gate is not None and gate.passed:
        return Promotion(gate=gate)
    if force:
        return Promotion(gate=gate, is_forced=True)
    if gate is None:
        raise GateFailed(
            f"{new.name} ({new.id}) was not compared with the checkpoint in use ({old_id}) yet. "
            f"Compare them first, so that it is known what it does better and worse."
        )
    raise GateFailed(
        f"{new.name} ({new.id}) was not taken into use; the checkpoint in use stays. {' '.join(gate.reasons)}"
    )

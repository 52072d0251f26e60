"""Vectors that a VESL run has stored for the regions that its proposals became, so that nobody embeds them again."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Region
from locstudio.jobs.raw_proposals import BOX_STEPS, RawProposals, read_raw_proposals
from locstudio.services.curation.table import SOURCE
from locstudio.services.curation.vectors import stored_vectors
from locstudio.services.runs_of import run_folders
from locstudio.store.columns import single_boxes
from locstudio.store.project import Project


class RunVectors:
    """The vectors of a project's runs that one checkpoint has made.  For one thread; a run is read once."""

    def __init__(self, project: Project, checkpoint_id: str, dim: int) -> None:
        self._project = project
        self._checkpoint_id = checkpoint_id
        self._dim = dim
        self._read: dict[str, RawProposals | None] = {}

    def of(self, regions: Sequence[Region]) -> tuple[list[Region], NDArray[np.float32]]:
        """Those of the regions that are as a run has proposed them, and their vectors, of length one."""
        numbered: dict[str, list[tuple[int, Region]]] = defaultdict(list)
        for region in regions:
            name = region.external_id
            if region.source.startswith(SOURCE) and name.isascii() and name.isdecimal() and len(name) < 10:
                numbered[region.source.removeprefix(SOURCE)].append((int(name), region))
        found: list[Region] = []
        vectors = [np.empty((0, self._dim), np.float32)]
        for run_id, members in numbered.items():
            proposals = self._proposals_of(run_id)
            members = [] if proposals is None else [each for each in members if each[0] < len(proposals)]
            if proposals is None or not members:
                continue
            numbers = np.array([number for number, _ in members], np.int64)
            vectors_RD = stored_vectors(proposals, numbers)
            boxes = single_boxes(np.array([region.box.as_tuple() for _, region in members], np.float64))
            is_same = (boxes == single_boxes(proposals.boxes_q[numbers] / float(BOX_STEPS))).all(axis=1)
            is_same &= proposals.image_ids[numbers] == [region.image_id for _, region in members]
            is_same &= np.isfinite(vectors_RD).all(axis=1)
            found += [members[at][1] for at in np.flatnonzero(is_same)]
            vectors.append(vectors_RD[is_same])
        return found, np.concatenate(vectors)

    def _proposals_of(self, run_id: str) -> RawProposals | None:
        if run_id not in self._read:
            # By the names there are: a region's source may be a stranger's, and is no path.
            folder = next((folder for folder in run_folders(self._project) if folder.id == run_id), None)
            proposals = None
            if folder is not None:
                try:
                    proposals = read_raw_proposals(folder.results)
                except BadInput:
                    proposals = None
            if proposals is not None:
                manifest = proposals.manifest
                if (manifest.checkpoint_id, manifest.dim) != (self._checkpoint_id, self._dim):
                    proposals = None
            self._read[run_id] = proposals
        return self._read[run_id]

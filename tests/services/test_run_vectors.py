"""What a run has stored of its proposals is not embedded again when they become regions."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from locstudio.domain.edits import Edit, ImageChange, add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Region
from locstudio.index.region_index import RegionIndex
from locstudio.index.vocabulary import Vocabulary
from locstudio.services.curation import deciding
from locstudio.services.curation.pool import read_pool
from locstudio.services.search import SearchService

RUN = "20260801T000000Z-vesl-aaaaaa"
LEFT, RIGHT = (0.1, 0.1, 0.4, 0.4), (0.6, 0.1, 0.9, 0.4)
ROWS = [
    (1, LEFT, "a dog", 0.9, -1, (0, 0), (1, 0, 0)),
    (1, RIGHT, "a cat", 0.5, -1, (0, 0), (0, 1, 0)),
    (2, LEFT, "a fox", 0.5, -1, (0, 0), (0, 0, 0)),
    (2, RIGHT, "a cow", 0.5, -1, (0, 0), (np.nan, 0, 0)),
]


def service_of(dataset, tmp_path, checkpoint_id):
    folder = tmp_path / f"index-{checkpoint_id}"
    index = RegionIndex.create(folder, checkpoint_id, 3)
    return SearchService(dataset, index, Vocabulary.create(folder, checkpoint_id, 3))


@pytest.fixture
def accepted(project, dataset, make):
    """The edit that accepts all four proposals, applied."""
    make.add_pictures(dataset)
    make.vesl_run(project, ROWS, checkpoint_id="mine")
    pool = read_pool(project, dataset)
    edit = deciding.accept(dataset, pool, pool.rows)
    dataset.apply(edit)
    return edit


def test_that_accepted_proposals_are_found_at_once_and_only_what_has_no_vector_is_embedded(dataset, accepted, tmp_path):
    service = service_of(dataset, tmp_path, "mine")
    follow = service.on_edit(accepted)
    assert [region.phrase for region in follow.regions] == ["a fox", "a cow"]
    assert service.region_vector(dataset.region_page()[1].id) == pytest.approx([0, 1, 0], abs=1e-3)
    assert set(follow.phrases) == {"a dog", "a cat", "a fox", "a cow"}
    service.index.close()


def test_that_a_reconciled_index_takes_them_too(dataset, accepted, tmp_path):
    service = service_of(dataset, tmp_path, "mine")
    assert [region.phrase for region in service.reconcile().regions] == ["a fox", "a cow"]
    service.index.close()


def test_that_another_checkpoint_takes_none(dataset, accepted, tmp_path):
    service = service_of(dataset, tmp_path, "another")
    assert len(service.on_edit(accepted).regions) == 4
    service.index.close()


def test_that_a_moved_box_and_an_image_with_another_content_are_embedded_anew(project, dataset, accepted, tmp_path):
    service = service_of(dataset, tmp_path, "mine")
    service.on_edit(accepted)
    moved = deciding.move_boxes(dataset, read_pool(project, dataset), {0: UnitBox(0.1, 0.1, 0.4, 0.41)})
    dataset.apply(moved)
    assert [region.phrase for region in service.on_edit(moved).regions] == ["a dog"]
    image = dataset.images([1])[0]
    repainted = Edit("Other content", (ImageChange(image, replace(image, sha256="ab" * 32)),))
    dataset.apply(repainted)
    assert {region.phrase for region in service.on_edit(repainted).regions} == {"a dog", "a cat"}
    service.index.close()


@pytest.mark.parametrize(
    ("source", "external_id"),
    [("vesl:../../elsewhere", "0"), (f"vesl:{RUN}", "99"), (f"vesl:{RUN}", "-1"), (f"vesl:{RUN}", "x"), ("vesl:", "0")],
)
def test_that_a_source_a_stranger_invented_leads_nowhere(project, dataset, make, tmp_path, source, external_id):
    make.add_pictures(dataset)
    shutil.copytree(make.vesl_run(project, ROWS, checkpoint_id="mine").path, tmp_path / "elsewhere")
    service = service_of(dataset, tmp_path, "mine")
    region = Region(dataset.next_region_id(), 1, UnitBox(*LEFT), "a dog", source=source, external_id=external_id)
    edit = add_regions([region])
    dataset.apply(edit)
    assert service.on_edit(edit).regions == (region,)
    service.index.close()


def test_that_a_run_that_is_gone_or_damaged_is_done_without(project, dataset, accepted, tmp_path):
    (project.runs / RUN / "results" / "proposals" / "scores.npy").write_bytes(b"x")
    service = service_of(dataset, tmp_path, "mine")
    assert len(service.on_edit(accepted).regions) == 4
    shutil.rmtree(project.runs / RUN)
    assert len(service.reconcile().regions) == 4
    service.index.close()

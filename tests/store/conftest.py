"""A small dataset to work on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project, create_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project")


@pytest.fixture
def dataset(project: Project, tmp_path: Path) -> Iterator[Dataset]:
    """Ten images of one root, without regions."""
    with Dataset.create(project) as opened:
        root = opened.add_root(tmp_path / "images")
        opened.add_images([Image(0, root.id, f"dir/image {number}.jpg", 640, 480) for number in range(10)])
        yield opened


@pytest.fixture
def make_region(dataset: Dataset):
    def make(image_id: int = 1, phrase: str = "a dog", **values: object) -> Region:
        box = values.pop("box", UnitBox(0.1, 0.1, 0.5, 0.5))
        return Region(dataset.next_region_id(), image_id, box, phrase, **values)

    return make

"""A very small CLOC model and projects of a few painted images, shared by the tests of the trainer."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image as Picture
from PIL import ImageDraw

from locstudio.domain.edits import CaptionChange, ClassChange, Edit, LabelChange, RegionChange, add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Caption, Image, LabelClass, Origin, Region, Review
from locstudio.models.checkpoint import new_model, save_checkpoint
from locstudio.models.config import ClocConfig
from locstudio.models.consistency import fit_reduction
from locstudio.models.consistency_files import backbone_classifier, new_consistency, save_consistency
from locstudio.models.towers import describe_open_clip
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project, create_project

COLORS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230), "yellow": (230, 220, 40)}
DEFINITION = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory) -> Path:
    """A model of random weights whose tower sees 32 pixels."""
    torch.manual_seed(0)
    config = ClocConfig(name="tiny", tower=describe_open_clip("tiny", definition=DEFINITION), dim=24, token_width=32)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    save_checkpoint(new_model(config), folder, card="# tiny\n", metrics={})
    return folder


@dataclass
class Painted:
    """A project of painted images and what was painted."""

    project: Project
    dataset: Dataset
    images: list[Image]
    regions: list[Region]


@pytest.fixture
def paint(tmp_path):
    """Makes a project of ``num_images``, each with two coloured boxes, a class per colour, phrases and captions."""
    opened = []

    def make(num_images: int, *, splits: tuple[str, ...] = ("",), name: str = "project") -> Painted:
        folder = tmp_path / f"{name} images"
        folder.mkdir()
        project = create_project(tmp_path / name)
        dataset = Dataset.create(project)
        opened.append(dataset)
        root = dataset.add_root(folder)
        classes = {color: dataset.next_class_id() for color in COLORS}
        labels = [LabelClass(key, color, "#123456") for color, key in classes.items()]
        dataset.apply(Edit("Add classes", tuple(ClassChange(None, label) for label in labels)))
        records, boxes = [], []
        for number in range(num_images):
            records.append(_image(folder, root.id, number, splits[number % len(splits)]))
            boxes.append(_paint(folder / records[-1].path, number))
        ids = dataset.add_images(records)
        regions, captions = [], []
        for image_id, placed in zip(ids, boxes, strict=True):
            for color, box in placed:
                phrase = f"a {color} box"
                regions.append(
                    Region(
                        dataset.next_region_id(), image_id, box, phrase, classes[color], Review.ACCEPTED, Origin.HUMAN
                    )
                )
            text = " and ".join(f"a {color} box" for color, _ in placed)
            captions.append(Caption(dataset.next_caption_id(), image_id, text))
        dataset.apply(add_regions(regions))
        dataset.apply(Edit("Add captions", tuple(CaptionChange(None, caption) for caption in captions)))
        return Painted(project, dataset, dataset.images(ids), regions)

    yield make
    for dataset in opened:
        dataset.close()


@dataclass
class Labelled:
    """A project of painted images, and what is known to be in each, by the images' ids."""

    project: Project
    dataset: Dataset
    images: list[Image]
    truth: dict[int, list[int]]


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory) -> Path:
    """A model on a network of timm of random weights that sees 64 pixels; it knows a class called red."""
    torch.manual_seed(0)
    config = backbone_classifier("test_resnet", name="tiny", classes=("red", "other"), input_px=64, width=16)
    model = new_consistency(msgspec.structs.replace(config, hidden=16, grid=5))
    # Colours in many places, so that cells tell them apart.
    pictures = [Picture.new("RGB", (4, 4)) for _ in range(12)]
    for number, picture in enumerate(pictures):
        picture.putdata([list(COLORS.values())[(number * 7 + at * at) % 4] for at in range(16)])
    pixels = [np.asarray(picture.resize((64, 64), Picture.Resampling.NEAREST)) for picture in pictures]
    with torch.no_grad():
        tokens = model.encode_image(torch.stack([model.preprocess(each) for each in pixels]))
    weight, bias = fit_reduction(tokens[:, 1:].flatten(0, 1), config.width)
    model.reduce.load_state_dict({"weight": weight, "bias": bias})
    folder = tmp_path_factory.mktemp("classifiers") / "tiny"
    save_consistency(model, folder, card="# tiny\n", metrics={})
    return folder


@pytest.fixture
def label(paint):
    """Makes a project of ``num_images`` of which one class each is known; regions are left out."""

    def make(num_images, *, splits=("",), name="project", num_labelled=None, all_of_them=False):
        painted = paint(num_images, splits=splits, name=name)
        truth = {}
        for region in painted.regions:
            truth.setdefault(region.image_id, []).append(region.class_id)
        painted.dataset.apply(Edit("Leave regions out", tuple(RegionChange(each, None) for each in painted.regions)))
        known = painted.images[:num_labelled]
        labels = [ImageLabel(image.id, key) for image in known for key in truth[image.id][: 2 if all_of_them else 1]]
        changes = tuple(LabelChange(None, each) for each in labels)
        painted.dataset.apply(Edit("Say what is there", changes))
        return Labelled(painted.project, painted.dataset, painted.images, truth)

    return make


def _image(folder: Path, root_id: int, number: int, split: str) -> Image:
    width, height = (96, 64) if number % 2 else (64, 80)
    return Image(0, root_id, f"{number:03}.png", width, height, split=split)


def _paint(path: Path, number: int) -> list[tuple[str, UnitBox]]:
    width, height = (96, 64) if number % 2 else (64, 80)
    picture = Picture.new("RGB", (width, height), (128, 128, 128))
    placed = []
    names = list(COLORS)
    for place in range(2):
        color = names[(number + place) % len(names)]
        left, top = 4 + place * width // 2, 5 + (number * 7) % (height // 2)
        corners = (left, top, left + width // 3, top + height // 3)
        ImageDraw.Draw(picture).rectangle(corners, fill=COLORS[color])
        placed.append((color, UnitBox.from_pixels(*corners, width, height)))
    picture.save(path)
    return placed

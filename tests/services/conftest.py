"""Checkpoints, indexes and runs as the trainer leaves them, made in a moment and without torch."""

import json
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from locstudio.domain.edits import CorrectionChange, Edit, LabelChange
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Image
from locstudio.index.region_index import RegionIndex
from locstudio.index.vocabulary import Vocabulary
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.configs import ClocTraining, Comparison, ConsistencyTraining, Embedding, RunConfig, Vesl
from locstudio.jobs.heatmaps import HeatHeader, heatmaps_folder
from locstudio.jobs.messages import Evaluated, Finished, Saved
from locstudio.jobs.predictions import Gate, GateCheck, write_gate
from locstudio.jobs.raw_proposals import Manifest, RawProposals, quantised, write_raw_proposals
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.services.adoption import best_checkpoint
from locstudio.services.promotion import active_id
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

TOWER = {"model": "stand-in", "input_px": 32, "num_tokens": 17}
EMPTY_WEIGHTS = (2).to_bytes(8, "little") + b"{}"


def write_checkpoint(folder, name, parent_id="", classes=None):
    """A checkpoint that names regions, or that names these classes of images."""
    config = {"name": name, "dim": 3, "token_width": 4, "tower": TOWER}
    if classes is not None:
        config = {"model": "consistency", "name": name, "classes": classes, "backbone": "stand-in"}
        config |= {"input_px": 32, "width": 4, "cell_grid": 4}
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    (partial / "config.json").write_text(json.dumps(config))
    (partial / "weights.safetensors").write_bytes(EMPTY_WEIGHTS)
    (partial / "card.md").write_text(f"# {name}\n")
    (partial / "metrics.json").write_text('{"macc": 0.5}')
    seal_checkpoint(partial, folder, parent=parent_id)
    return folder


def write_index(folder, checkpoint_id, num_regions):
    index = RegionIndex.create(folder, checkpoint_id, 3)
    ids = list(range(1, num_regions + 1))
    vectors = np.random.default_rng(0).normal(size=(num_regions, 3))
    index.put_regions(ids, [1] * num_regions, [[0.0, 0.0, 0.5, 0.5]] * num_regions, vectors)
    index.close()
    Vocabulary.create(folder, checkpoint_id, 3).add(["a dog"], np.ones((1, 3)))


def embed_run(project, checkpoint, num_regions=4):
    folder = RunFolder.create(project.runs, RunConfig(kind="embed", checkpoint=str(checkpoint), embed=Embedding()))
    write_index(folder.results / "index", checkpoint_info(checkpoint).id, num_regions)
    finish(folder)
    return folder


def train_run(project, parent, name="second", *, is_embedded=True, config=None, parent_id=""):
    config = config or RunConfig(kind="cloc", checkpoint=str(parent), cloc=ClocTraining())
    folder = RunFolder.create(project.runs, config)
    checkpoint = write_checkpoint(folder.checkpoints / "step_6", name, parent_id)
    (checkpoint / "resume").mkdir()
    (checkpoint / "resume" / "state.json").write_text("{}")
    if is_embedded:
        write_index(folder.results / "index", checkpoint_info(checkpoint).id, 7)
    log = EventLog(folder)
    log.append(Evaluated(sequence=0, step=6, metrics={"macc": 0.5}))
    log.append(Saved(sequence=1, step=6, path="checkpoints/step_6"))
    log.close()
    finish(folder)
    return folder


def classes_run(project, parent="", name="heat", *, classes=("dog", "cat"), value=0.4, title=""):
    """A finished training of a model that names the classes of images."""
    config = RunConfig(kind="consistency", checkpoint=str(parent), title=title, consistency=ConsistencyTraining())
    folder = RunFolder.create(project.runs, config)
    write_checkpoint(folder.checkpoints / "step_6", name, classes=classes)
    log = EventLog(folder)
    log.append(Evaluated(sequence=0, step=6, metrics={"map": value}))
    log.append(Saved(sequence=1, step=6, path="checkpoints/step_6"))
    log.close()
    finish(folder)
    return folder


def compare_run(project, dataset, trained, *, passed=True, old_id=None, sentence="It names fewer boxes."):
    """A finished comparison of what a run has trained with what is in use."""
    new = best_checkpoint(trained)
    config = RunConfig(kind="compare", checkpoint="old", parent_run=trained.id, compare=Comparison(new=str(new)))
    folder = RunFolder.create(project.runs, config)
    check = GateCheck(name="regions", passed=passed, sentence=sentence, old=0.5, new=0.6 if passed else 0.4)
    info = checkpoint_info(new)
    old_id = old_id or active_id(dataset, info.model)
    write_gate(folder.results, Gate(passed=passed, old_id=old_id, new_id=info.id, checks=(check,)))
    finish(folder)
    return folder


def vesl_run(
    project, rows, *, run_id="20260801T000000Z-vesl-aaaaaa", captions=(), checkpoint_id="c", seen=(), title=""
):
    """A finished VESL run.  Rows: (image id, box, phrase, score[, caption row, span[, vector]]), by image."""
    folder = RunFolder.create(project.runs, RunConfig(kind="vesl", checkpoint="x", title=title, vesl=Vesl()))
    folder.path.rename(project.runs / run_id)
    folder = RunFolder(project.runs / run_id)
    whole = [(*row, *((-1, (0, 0), (1.0, 0.0, 0.0))[len(row) - 4 :])) for row in rows]
    phrases = list(dict.fromkeys(row[2] for row in whole))
    image_ids = np.array([row[0] for row in whole], np.int64)
    seen_ids = np.unique(np.concatenate([image_ids, np.array(seen, np.int64)]))
    manifest = Manifest(
        checkpoint_id=checkpoint_id, detector="ours", dim=3, num_rows=len(whole), num_images=len(seen_ids)
    )
    scores = np.array([row[3] for row in whole], np.float16)
    proposals = RawProposals(
        manifest=manifest,
        phrases=tuple(phrases),
        captions=tuple(captions),
        image_ids=image_ids,
        boxes_q=quantised(np.array([row[1] for row in whole], np.float64).reshape(-1, 4)),
        phrase_rows=np.array([phrases.index(row[2]) for row in whole], np.int32),
        scores=scores,
        objectness=scores,
        caption_rows=np.array([row[4] for row in whole], np.int32),
        spans=np.array([row[5] for row in whole], np.uint16).reshape(-1, 2),
        vectors=np.array([row[6] for row in whole], np.float16).reshape(-1, 3),
        seen_image_ids=seen_ids,
    )
    write_raw_proposals(folder.results, proposals)
    finish(folder)
    return folder


def add_pictures(dataset, num=4):
    """Images 1 to ``num``, without files."""
    root = dataset.add_root(dataset.path.parent / "images")
    dataset.add_images([Image(0, root.id, f"{number}.jpg", 640, 480) for number in range(num)])


def label_image(dataset, image_id, class_id, presence="positive", **fields):
    """Say of a class whether it is in an image."""
    label = ImageLabel(image_id, class_id, Presence(presence), **fields)
    dataset.apply(Edit("Label", (LabelChange(None, label),)))


def paint(dataset, image_id, class_id):
    """A correction on a heatmap."""
    strokes = (Stroke(((0.5, 0.5),), 0.1),)
    correction = HeatCorrection(dataset.next_correction_id(), image_id, class_id, Evidence.REMOVE, strokes)
    dataset.apply(Edit("Paint", (CorrectionChange(None, correction),)))


def write_heat(folder, *, epoch=3, checkpoint_id="", image_ids=(1, 2), class_ids=(1, 2)):
    """Heatmaps as a run leaves them after an epoch."""
    num, grid = len(image_ids), 4
    header = HeatHeader(
        run_id=folder.id,
        checkpoint_id=checkpoint_id,
        class_ids=class_ids,
        class_names=tuple(f"class {number}" for number in class_ids),
        grid=grid,
        num_images=num,
        num_epochs=6,
        epoch=epoch,
        momentum=0.8,
    )
    home = heatmaps_folder(folder.results)
    home.mkdir(parents=True)
    (home / "header.json").write_bytes(msgspec.json.encode(header))
    return home


def finish(folder):
    log = EventLog(folder)
    log.append(Finished(sequence=log.next_sequence))
    log.close()


@pytest.fixture
def make():
    """The functions above."""
    return SimpleNamespace(**{name: value for name, value in globals().items() if callable(value) or name.isupper()})


@pytest.fixture
def project(tmp_path):
    return create_project(tmp_path / "project")


@pytest.fixture
def dataset(project):
    with Dataset.create(project) as dataset:
        yield dataset


@pytest.fixture
def first(tmp_path):
    return write_checkpoint(tmp_path / "elsewhere" / "first", "first")

"""A small project with an index, and the whole window on it with an engine that has no model."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from locstudio.domain.edits import Edit, RegionChange
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Origin, Region, Review
from locstudio.index.region_index import RegionIndex
from locstudio.index.vocabulary import Vocabulary
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.configs import ClocTraining, RunConfig, Vesl
from locstudio.jobs.raw_proposals import Manifest, RawCaption, RawProposals, quantised, write_raw_proposals
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.collection import new_project
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.store.records import CheckpointRow

FAKE_ENGINE = Path(__file__).with_name("fake_engine.py")
TOWER = {"model": "stand-in", "input_px": 32, "num_tokens": 17}
NUM_IMAGES = 8
SIZE = (96, 64)


@dataclass(frozen=True)
class Sample:
    """A project of eight pictures with two regions each: a dog on the left, a car on the right."""

    project: Project
    images: Path
    checkpoint: Path


def boxes_of(number: int) -> tuple[UnitBox, UnitBox]:
    shift = number / 100
    return UnitBox(0.1 + shift, 0.2, 0.4 + shift, 0.7), UnitBox(0.55, 0.3 - shift, 0.9, 0.8 - shift)


def write_pictures(folder: Path, count: int = NUM_IMAGES) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        picture = PillowImage.new("RGB", SIZE, (30 * number, 120, 255 - 30 * number))
        picture.paste((250, 250, 250), (10, 12, 38, 44))
        picture.save(folder / f"picture_{number}.png")


def write_checkpoint(folder: Path) -> Path:
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    (partial / "config.json").write_text(json.dumps({"name": "fake", "dim": 4, "token_width": 4, "tower": TOWER}))
    (partial / "weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (partial / "card.md").write_text("# fake\n")
    (partial / "metrics.json").write_text("{}")
    seal_checkpoint(partial, folder)
    return folder


@pytest.fixture
def make_pictures():
    """Writes some pictures into a new folder."""
    return write_pictures


@pytest.fixture
def make_checkpoint():
    """Writes a checkpoint folder that only its name tells from others: the fake engine behaves as it says."""
    return write_checkpoint


@pytest.fixture
def sample(tmp_path) -> Sample:
    """The project with regions and an index whose vectors are the corners of the boxes, as the fake engine's are."""
    images = tmp_path / "pictures"
    write_pictures(images)
    checkpoint = write_checkpoint(tmp_path / "models" / "well")
    new_project(tmp_path / "farm", [images])
    project = Project(tmp_path / "farm")
    with Dataset.open(project) as dataset:
        info = checkpoint_info(checkpoint)
        dataset.record_checkpoint(CheckpointRow(id=info.id, model="cloc", name=info.name, path=str(checkpoint)))
        dataset.activate_checkpoint(info.id)
        regions = []
        for number, image_id in enumerate(dataset.image_ids().tolist()):
            for box, phrase in zip(boxes_of(number), ("a brown dog", "a red car"), strict=True):
                region_id = dataset.next_region_id()
                regions.append(Region(region_id, image_id, box, phrase, None, Review.PENDING, Origin.IMPORTED))
        dataset.apply(Edit("Import", tuple(RegionChange(None, region) for region in regions)), actor="import")
        index = RegionIndex.create(project.index, info.id, 4)
        corners = np.array([region.box.as_tuple() for region in regions], np.float32)
        index.put_regions([r.id for r in regions], [r.image_id for r in regions], corners, corners)
        index.close()
        vocabulary = Vocabulary.create(project.index, info.id, 4)
        vocabulary.add(["a brown dog", "a red car"], np.array([[0.1, 0.2, 0.4, 0.7], [0.55, 0.3, 0.9, 0.8]]))
    return Sample(project, images, checkpoint)


@pytest.fixture
def studio(qtbot, qapp, monkeypatch):
    """The whole window, without a project yet; closed afterwards."""
    from locstudio.app import Studio
    from locstudio.ui.engine_client import EngineClient
    from locstudio.ui.preferences import Preferences

    monkeypatch.setenv("PYTHONPATH", str(FAKE_ENGINE.parents[2]))

    def make_engine(checkpoint: Path, cache: Path) -> EngineClient:
        return EngineClient(checkpoint, cache, command=(sys.executable, str(FAKE_ENGINE)), restart_delays_ms=(1, 1))

    made = Studio(qapp, Preferences(), make_engine)
    made.window.resize(1280, 800)
    made.window.show()
    qtbot.waitExposed(made.window)
    yield made
    made.window.close()
    made.window.deleteLater()


@pytest.fixture
def desk(studio, sample, qtbot):
    """The desk of the open sample project, its first image on the canvas and the model ready."""
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.open_path(sample.project.path)
    desk = studio.desk
    qtbot.waitUntil(lambda: desk.browsing.image is not None, timeout=10_000)
    qtbot.waitUntil(lambda: not desk.opening.crop(UnitBox(0, 0, 1, 1)).isNull(), timeout=10_000)
    qtbot.waitUntil(lambda: len(desk.canvas.editor.boxes.regions) == 2, timeout=10_000)
    qtbot.waitUntil(lambda: desk.engine.state.phase == "ready", timeout=15_000)
    return desk


@pytest.fixture(autouse=True)
def _application(qapp):
    """Pictures and icons abort the process where there is no application; each test may be the first to run."""


RECORDED = Path(__file__).parents[1] / "data" / "training_run"


class RecordedRun:
    """A recorded quick run on the demo, put into a project as if it had been trained there."""

    training = ClocTraining(num_steps=30, evaluate_every=10)

    def lines(self, until: str = "") -> list[bytes]:
        """Its messages, one a line, up to the first that contains ``until``."""
        found = []
        for line in (RECORDED / "events.jsonl").read_bytes().splitlines(keepends=True):
            found.append(line)
            if until and until.encode() in line:
                return found
        assert not until, f"no message contains {until!r}"
        return found

    def put(self, runs: Path, *, until: str = "", title: str = "Quick", checkpoint: str = "/c") -> RunFolder:
        """The run in this folder of runs, up to the message that contains ``until``."""
        config = RunConfig(
            kind="cloc", checkpoint=checkpoint, title=title, snapshot_sha256="28683b6b00", cloc=self.training
        )
        folder = RunFolder.create(runs, config)
        folder.events.write_bytes(b"".join(self.lines(until)))
        shutil.copytree(RECORDED / "samples", folder.results / "samples")
        shutil.copy(RECORDED / "history.json", folder.results)
        return folder


@pytest.fixture
def recorded() -> RecordedRun:
    """The recorded run."""
    return RecordedRun()


class ProposedRun:
    """Raw proposals of a VESL run, put into a project as if it had been run there: four boxes an image.

    The first two of each image show cats, the third a "dog" that is a cat, the fourth, weak one lies on the first.
    """

    boxes = ((0.02, 0.05, 0.3, 0.45), (0.35, 0.05, 0.6, 0.45), (0.65, 0.05, 0.95, 0.28), (0.03, 0.06, 0.31, 0.46))
    phrases = ("a white cat", "a grey dog")
    phrase_rows = (0, 0, 1, 0)
    scores = (0.9, 0.6, 0.4, 0.25)
    vectors = ((1, 0, 0, 0), (0.9, 0.1, 0, 0), (0.95, 0.05, 0, 0), (1, 0, 0, 0))

    def put(self, runs: Path, image_ids: list[int], checkpoint_id: str) -> RunFolder:
        """The run in this folder of runs."""
        folder = RunFolder.create(runs, RunConfig(kind="vesl", checkpoint="/c", title="VESL", vesl=Vesl()))
        self.write(folder, image_ids, checkpoint_id)
        return folder

    def write(self, folder: RunFolder, image_ids: list[int], checkpoint_id: str) -> None:
        """The proposals into a run; the phrases of each image come from a caption that the run has made."""
        num = len(image_ids)
        captions = tuple(
            RawCaption(id=0, image_id=image_id, text="I see a white cat and a grey dog.", origin=Origin.MODEL)
            for image_id in image_ids
        )
        vectors = np.array(self.vectors, np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        proposals = RawProposals(
            manifest=Manifest(
                checkpoint_id=checkpoint_id,
                detector="a detector",
                captioner="a captioner",
                dim=4,
                num_rows=4 * num,
                num_images=num,
            ),
            phrases=self.phrases,
            captions=captions,
            image_ids=np.repeat(np.array(image_ids, np.int64), 4),
            boxes_q=quantised(np.tile(np.array(self.boxes), (num, 1))),
            phrase_rows=np.tile(np.array(self.phrase_rows, np.int32), num),
            scores=np.tile(np.array(self.scores, np.float16), num),
            objectness=np.tile(np.array(self.scores, np.float16), num),
            caption_rows=np.repeat(np.arange(num, dtype=np.int32), 4),
            spans=np.tile(np.array([(6, 17), (6, 17), (22, 32), (6, 17)], np.uint16), (num, 1)),
            vectors=np.tile(vectors, (num, 1)).astype(np.float16),
            seen_image_ids=np.array(image_ids, np.int64),
        )
        write_raw_proposals(folder.results, proposals)


@pytest.fixture
def proposed(sample) -> RunFolder:
    """A VESL run in the sample project, that nobody has reviewed yet."""
    return ProposedRun().put(sample.project.runs, *_seen(sample))


@pytest.fixture
def proposed_for(sample):
    """Writes the proposals of a run."""
    return lambda folder: ProposedRun().write(folder, *_seen(sample))


@pytest.fixture
def proposed_once_more(sample):
    """Puts a later VESL run, for these images, into the sample project."""
    return lambda image_ids: ProposedRun().put(sample.project.runs, image_ids, _seen(sample)[1])


def _seen(sample: Sample) -> tuple[list[int], str]:
    return list(range(1, NUM_IMAGES + 1)), checkpoint_info(sample.checkpoint).id


@pytest.fixture
def curation(studio, proposed, desk, qtbot):
    """The desk of the curation page, shown, with the proposals read."""
    studio.window.actions_by_name["show_curation"].trigger()
    shown = studio.curation.desk
    qtbot.waitUntil(lambda: shown.curating.pool is not None, timeout=10_000)
    return shown

"""Make the finished project that ships with the demo: dataset, index, a run with heatmaps, and one with experts.

    python packaging/build_demo_project.py

The scenes of ``assets/demo/annotations.json`` are annotated whole.  Real data sets are not, so some boxes are left out
here, each the only one of its class in its image: what the demo's worklist of expected classes is there to find.
Rerun by developers when the scenes or a bundled checkpoint change.  Takes some minutes on two cores.
"""

import json
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from pysqlite3.dbapi2 import connect

from locstudio.domain.errors import LocStudioError, UserError
from locstudio.jobs.assets import assets_folder, bundled_checkpoint
from locstudio.jobs.heatmaps import heatmaps_folder, read_header
from locstudio.jobs.messages import Finished
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.adoption import adopt_checkpoint, best_checkpoint
from locstudio.services.collection import new_project
from locstudio.services.importing import import_annotations
from locstudio.services.runs import run_and_wait, start_embed
from locstudio.services.starting import CONSISTENCY_PRESETS, VMOE_PRESETS, start_compare, start_consistency, start_vmoe
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

NUM_FORGOTTEN = 24
NUM_PROPOSALS = 20
_MIN_IMAGES_OF_CLASS = 10
_MIN_AREA = 0.01  # of the image
_SEED = 3
_PLACE = Path("/demo")  # whoever opens the demo says where it lies; the developer's own folders are nobody's business


def main() -> int:
    """Build beside, check, then put in place."""
    demo = assets_folder() / "demo"
    with tempfile.TemporaryDirectory() as scratch:
        project = Project(Path(scratch) / "demo")
        annotations = Path(scratch) / "annotations.json"
        annotations.write_text(json.dumps(without_some(json.loads((demo / "annotations.json").read_text("utf-8")))))
        new_project(project.path, [demo / "images"])
        with Dataset.open(project) as dataset:
            report = import_annotations(dataset, annotations, demo / "images", format="coco")
            if report.num_rejected:
                print(report.to_text(), file=sys.stderr)
                return 4
            index = (
                _whole(start_embed(project, dataset, bundled_checkpoint(), num_proposals=NUM_PROPOSALS)).results
                / "index"
            )
            runs = _heatmaps(project, dataset), _experts(project, dataset)
            for root in dataset.roots():
                dataset.relink_root(root.id, _PLACE / "images")
        target = demo / "project"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        with closing(connect(project.dataset_path)) as connection:
            connection.execute("VACUUM INTO ?", (str(target / "dataset.sqlite"),))
        shutil.copytree(index, target / "index")
        shutil.copytree(project.path / "checkpoints", target / "checkpoints")
        for run in runs:
            _put_run(run, target / "runs" / run.id)
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    print(f"{target}: {size / 2**20:.1f} MiB")
    return 0


def without_some(coco: dict[str, Any]) -> dict[str, Any]:
    """The annotations without ``NUM_FORGOTTEN`` boxes, of different images, drawn once and for all."""
    boxes = coco["annotations"]
    classes = Counter((box["image_id"], box["category_id"]) for box in boxes)
    images_of = Counter(category for _, category in classes)
    area = {image["id"]: image["width"] * image["height"] for image in coco["images"]}
    forgotten: dict[int, int] = {}
    for position in np.random.default_rng(_SEED).permutation(len(boxes)):
        box = boxes[position]
        is_only = classes[box["image_id"], box["category_id"]] == 1
        is_large = box["bbox"][2] * box["bbox"][3] >= _MIN_AREA * area[box["image_id"]]
        if is_only and is_large and images_of[box["category_id"]] >= _MIN_IMAGES_OF_CLASS:
            forgotten.setdefault(box["image_id"], box["id"])
        if len(forgotten) == NUM_FORGOTTEN:
            break
    left_out = set(forgotten.values())
    return coco | {"annotations": [box for box in boxes if box["id"] not in left_out]}


def _heatmaps(project: Project, dataset: Dataset) -> RunFolder:
    """A run that has learnt the demo's classes, its model adopted as a person would adopt it."""
    # The project is to stay under 10 MiB: the 20 hottest of 35 maps an image, and 4 in each of four key frames.
    training = msgspec.structs.replace(
        CONSISTENCY_PRESETS["quick"], max_dense_classes=20, num_slots=20, num_key_frames=4, num_key_slots=4
    )
    run = _whole(start_consistency(project, dataset, training=training, title="Demo heatmaps"))
    comparison = start_compare(
        project, dataset, bundled_checkpoint("consistency"), best_checkpoint(run), held_out=run.id
    )
    _whole(comparison)
    config = msgspec.structs.replace(run.config(), checkpoint=str(_PLACE / "checkpoints" / "consistency-lite"))
    (run.path / "config.json").write_bytes(msgspec.json.format(msgspec.json.encode(config)) + b"\n")
    adopt_checkpoint(project, dataset, run)
    return run


def _experts(project: Project, dataset: Dataset) -> RunFolder:
    """A run that has found superclasses and taught experts by them; narrow, so that it is small."""
    training = msgspec.structs.replace(VMOE_PRESETS["standard"], width=48)
    run = _whole(start_vmoe(project, dataset, training=training, title="Demo experts"))
    adopt_checkpoint(project, dataset, run, force=True)  # nothing it could be compared with knows these classes
    return run


def _whole(run: RunFolder) -> RunFolder:
    last = run_and_wait(run)
    if not isinstance(last, Finished):
        raise UserError(last.sentence)
    return run


def _put_run(run: RunFolder, target: Path) -> None:
    """The run without what only a resumed one needs: snapshot, steps of training, the side that is not read."""
    patterns = ["snapshot.sqlite*", "checkpoints", "log.txt"]
    if heatmaps_folder(run.results).is_dir():
        patterns.append("*_b.npy" if read_header(heatmaps_folder(run.results)).side == "a" else "*_a.npy")
    shutil.copytree(run.path, target, ignore=shutil.ignore_patterns(*patterns))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocStudioError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)

"""What one click gives: a new project with 150 corrected regions, retrained with the quick preset, by command line.

    python tests/benchmarks/one_click.py --data DIR [--case demo] [--seeds 3] [--checkpoint DIR]

``DIR`` holds the development data (coco_train.tar, coco_dev.tar and their .json).  Each case is a collection of which
whole images are drawn by the seed until 150 of their regions are corrected; the rest of the project has no regions.
Measured are regions of images that the project does not have:

    demo        the demo's scenes, other scenes of it
    coco_dev    half of coco_dev's photos, the other half
    coco_train  coco_train's photos (which the bundled checkpoint has been trained on), coco_dev

It is no test and no part of CI: a run takes minutes, and its result is a table, which is in README and in the docstring
of ``trainer.recipes.train_cloc``.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NUM_REGIONS = 150
METRICS = ("top1", "top5", "macc")
Coco = dict[str, Any]


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Measure what one click on 150 corrected regions gives.")
    parser.add_argument("--data", type=Path, required=True, help="the development data")
    parser.add_argument("--case", choices=("demo", "coco_dev", "coco_train"), action="append")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--checkpoint", type=Path, help="start from this one instead of the bundled one")
    options = parser.parse_args()
    for case in options.case or ["demo", "coco_dev", "coco_train"]:
        with tempfile.TemporaryDirectory() as scratch:
            start = ("--checkpoint", options.checkpoint) if options.checkpoint else ()
            rows = [_run(case, seed, options.data, Path(scratch), start) for seed in range(options.seeds)]
        _print_table(case, rows)
    return 0


def _run(case: str, seed: int, data: Path, scratch: Path, start: tuple[object, ...]) -> dict[str, Any]:
    folder = scratch / f"{case}-{seed}"
    folder.mkdir()
    own, foreign = _halves(case, seed, data, scratch)
    project = _project(folder / "project", own[0], _corrected(own[1], seed))
    other = _project(folder / "other", *foreign)
    before = _locstudio("evaluate", other, "--task", "regions", *start)
    begun, cpu = time.monotonic(), os.times().children_user
    trained = _locstudio("train", project, "--model", "cloc", "--seed", str(seed), "--adopt", "force", *start)
    wall, cpu = time.monotonic() - begun, os.times().children_user - cpu
    registry = _locstudio("checkpoints", project)["checkpoints"]
    active = next(row for row in registry if row["is_active"])
    after = _locstudio("evaluate", other, "--task", "regions", "--checkpoint", active["folder"])
    row = {
        "case": case,
        "seed": seed,
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "gate": trained.get("gate", {}),
        "before": {name: before[name] for name in METRICS},
        "after": {name: after[name] for name in METRICS},
    }
    print(json.dumps(row), flush=True)
    return row


def _halves(case: str, seed: int, data: Path, scratch: Path) -> tuple[tuple[Path, Coco], tuple[Path, Coco]]:
    """Images and truth of the project, and of what it is measured on."""
    if case == "coco_train":
        return _unpacked(data, "coco_train", scratch), _unpacked(data, "coco_dev", scratch)
    if case == "coco_dev":
        images, coco = _unpacked(data, "coco_dev", scratch)
    else:
        images = ROOT / "assets" / "demo"
        coco = json.loads((images / "annotations.json").read_text(encoding="utf-8"))
    ids = sorted(image["id"] for image in coco["images"])
    random.Random(seed).shuffle(ids)
    middle = len(ids) // 2
    return (images, _part(coco, ids[:middle])), (images, _part(coco, ids[middle:]))


def _unpacked(data: Path, name: str, scratch: Path) -> tuple[Path, Coco]:
    folder = scratch / name
    if not folder.is_dir():
        with tarfile.open(data / f"{name}.tar") as tar:
            tar.extractall(folder, filter="data")
    return folder, json.loads((data / f"{name}.json").read_text(encoding="utf-8"))


def _part(coco: Coco, ids: Sequence[int]) -> Coco:
    wanted = set(ids)
    return coco | {
        "images": [image for image in coco["images"] if image["id"] in wanted],
        "annotations": [row for row in coco["annotations"] if row["image_id"] in wanted],
        "captions": [],
    }


def _corrected(coco: Coco, seed: int) -> Coco:
    """The same images, with the regions of whole images until there are enough; of the last image a part."""
    ids = sorted(image["id"] for image in coco["images"])
    random.Random(1000 + seed).shuffle(ids)
    place = {image_id: at for at, image_id in enumerate(ids)}
    rows = sorted(
        (row for row in coco["annotations"] if not row.get("iscrowd")), key=lambda row: place[row["image_id"]]
    )
    return coco | {"annotations": rows[:NUM_REGIONS]}


def _project(folder: Path, images: Path, coco: Coco) -> Path:
    """A project of copies of just these images, with these regions."""
    copies = folder.with_name(f"{folder.name}-images")
    for image in coco["images"]:
        copy = copies / image["file_name"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(images / image["file_name"], copy)
    source = folder.with_name(f"{folder.name}.json")
    source.write_text(json.dumps(coco), encoding="utf-8")
    _locstudio("new", folder, "--images", copies)
    _locstudio("import", folder, source, "--format", "coco", "--images", copies)
    return folder


def _locstudio(*arguments: object) -> Any:
    command = [sys.executable, "-m", "locstudio", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def _print_table(case: str, rows: list[dict[str, Any]]) -> None:
    def spread(values: list[float]) -> str:
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        return f"{statistics.mean(values):+.3f} +- {deviation:.3f}"

    for name in METRICS:
        before = [row["before"][name] for row in rows]
        after = [row["after"][name] for row in rows]
        change = [new - old for old, new in zip(before, after, strict=True)]
        print(f"{case:10} {name:5} {spread(before)[1:]} -> {spread(after)[1:]}   {spread(change)}")
    print(f"{case:10} wall {statistics.mean(row['wall_s'] for row in rows):.0f} s")


if __name__ == "__main__":
    sys.exit(main())

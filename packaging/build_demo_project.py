"""Make the finished project that ships with the demo: dataset and index, from ``assets/demo/annotations.json``.

    python packaging/build_demo_project.py

Rerun by developers when the scenes or the bundled checkpoint change.  Takes about two minutes on two cores.
"""

import shutil
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from pysqlite3.dbapi2 import connect

from locstudio.domain.errors import LocStudioError
from locstudio.jobs.assets import assets_folder, bundled_checkpoint
from locstudio.jobs.messages import Finished
from locstudio.services.collection import new_project
from locstudio.services.importing import import_annotations
from locstudio.services.runs import run_and_wait, start_embed
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project


def main() -> int:
    """Build beside, check, then put in place."""
    demo = assets_folder() / "demo"
    with tempfile.TemporaryDirectory() as scratch:
        project = Project(Path(scratch) / "demo")
        new_project(project.path, [demo / "images"])
        with Dataset.open(project) as dataset:
            report = import_annotations(dataset, demo / "annotations.json", demo / "images", format="coco")
            if report.num_rejected:
                print(report.to_text(), file=sys.stderr)
                return 4
            run = start_embed(project, dataset, bundled_checkpoint())
            last = run_and_wait(run)
            if not isinstance(last, Finished):
                print(last.sentence, file=sys.stderr)
                return last.exit_status
            for root in dataset.roots():
                # Whoever opens the demo says where its images lie; the developer's own folders are nobody's business.
                dataset.relink_root(root.id, Path("/demo/images"))
        target = demo / "project"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        with closing(connect(project.dataset_path)) as connection:
            connection.execute("VACUUM INTO ?", (str(target / "dataset.sqlite"),))
        shutil.copytree(run.results / "index", target / "index")
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    print(f"{target}: {size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocStudioError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)

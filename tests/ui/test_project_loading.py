"""What is taken into the project when it is opened."""

from types import SimpleNamespace

import pytest

from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.configs import Embedding, RunConfig
from locstudio.jobs.messages import Finished
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project
from locstudio.ui import project_loading


@pytest.mark.parametrize("is_in_use", [True, False])
def test_that_an_index_finished_meanwhile_is_taken_unless_another_checkpoint_is_in_use(
    tmp_path, monkeypatch, is_in_use
):
    project = create_project(tmp_path / "project")
    checkpoint = bundled_checkpoint() if is_in_use else tmp_path / "replaced"
    config = RunConfig(kind="embed", checkpoint=str(checkpoint), embed=Embedding())
    folder = RunFolder.create(project.runs, config)
    log = EventLog(folder)
    log.append(Finished(sequence=0))
    log.close()
    taken = []
    monkeypatch.setattr(project_loading, "adopt_index", lambda _project, _dataset, run: taken.append(run))
    with Dataset.create(project) as dataset:
        opened = SimpleNamespace(project=project, dataset=dataset, checkpoint=bundled_checkpoint())
        project_loading.open_search(opened)
    assert taken == ([folder] if is_in_use else [])

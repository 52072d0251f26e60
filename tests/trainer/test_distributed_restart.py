"""A training that loses one of its processes begins again once, from its newest checkpoint."""

import sys
from pathlib import Path

import msgspec
import pytest

from locstudio.jobs.messages import Finished, Note, Saved, Started
from locstudio.jobs.run_state import RunState
from locstudio.services.runs import describe_run

sys.path.insert(0, str(Path(__file__).parent))
from shared_runs import TRAINING, going, messages_of, new_run, ranks_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_that_a_run_whose_process_is_killed_goes_on_from_its_newest_checkpoint_to_its_end(paint, tiny_checkpoint):
    training = msgspec.structs.replace(TRAINING, num_steps=400, batch_size=2, evaluate_every=1000)
    folder = new_run(paint(4), tiny_checkpoint, training)
    events = []
    with going(folder) as process:
        for message in messages_of(process):
            events.append(message)
            if isinstance(message, Saved) and message.step == 200:
                ranks_of(process)[1].kill()
        assert process.wait(timeout=120) == 0, folder.log.read_text()
    assert isinstance(events[-1], Finished)
    assert not events[-1].was_stopped
    assert [message.first_step for message in events if isinstance(message, Started)] == [0, 200]
    assert [message.sequence for message in events] == list(range(len(events)))
    notes = [message.text for message in events if isinstance(message, Note)]
    assert any("lost without a word" in note and "begin again from the last checkpoint" in note for note in notes)
    assert describe_run(folder).state is RunState.DONE
    assert [message.step for message in events if isinstance(message, Saved)] == [200, 400]
    assert (folder.path / "checkpoints" / "step_400").is_dir()
    assert not (folder.path / "ranks").exists()

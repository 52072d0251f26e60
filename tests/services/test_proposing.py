"""Runs that propose: how one is made, made again for edited captions, resumed, and counted."""

import numpy as np
import pytest

from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.regions import Origin
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.configs import Vesl
from locstudio.jobs.messages import Evaluated, Finished, Progress, Started
from locstudio.jobs.raw_proposals import Manifest, RawCaption, RawProposals, write_raw_proposals
from locstudio.jobs.run_folder import EventLog
from locstudio.services.proposing import proposals_counted, propose_again, resumable_vesl, start_vesl
from locstudio.services.runs import list_runs
from locstudio.store.snapshot import snapshot_hash


def write_proposals(folder, seen):
    proposals = RawProposals(
        manifest=Manifest(checkpoint_id="c", detector="a detector", dim=3, num_rows=1, num_images=len(seen)),
        phrases=("a dog",),
        captions=(RawCaption(id=1, image_id=seen[0], text="a dog", origin=Origin.IMPORTED),),
        image_ids=np.array(seen[:1]),
        boxes_q=np.array([[0, 0, 9, 9]], np.uint16),
        phrase_rows=np.zeros(1, np.int32),
        scores=np.ones(1, np.float16),
        objectness=np.ones(1, np.float16),
        caption_rows=np.zeros(1, np.int32),
        spans=np.array([[0, 5]], np.uint16),
        vectors=np.zeros((1, 3), np.float16),
        seen_image_ids=np.array(seen),
    )
    write_raw_proposals(folder.results, proposals)


def say(folder, *messages):
    log = EventLog(folder)
    for message in messages:
        log.append(message)
    log.close()


def test_that_a_run_says_what_is_asked_of_it_and_of_which_snapshot(project, dataset):
    vesl = Vesl(image_ids=(3, 1), phrases=("a dog",), detector="owlv2", detector_model="/somewhere")
    folder = start_vesl(project, dataset, bundled_checkpoint(), vesl=vesl, device="cpu", num_threads=1, title="Dogs")
    config = folder.config()
    assert config.vesl == vesl
    assert (config.kind, config.device, config.num_threads, config.title) == ("vesl", "cpu", 1, "Dogs")
    assert config.snapshot_sha256 == snapshot_hash(folder.snapshot)
    assert "-vesl-" in folder.id


def test_that_a_run_is_listed_with_how_far_it_is(project, dataset):
    folder = start_vesl(project, dataset, bundled_checkpoint(), vesl=Vesl())
    started = Started(sequence=0, device="CPU", num_images=8, num_regions=0, num_steps=8)
    progress = Progress(sequence=1, step=4, num_steps=8, images_per_second=2.0, seconds_left=2.0)
    say(folder, started, progress, Evaluated(sequence=2, step=4, metrics={"n_proposals": 7}))
    (row,) = list_runs(project)
    assert (row.kind, row.step, row.num_steps, row.share) == ("vesl", 4, 8, 0.5)
    assert row.metrics == {"n_proposals": 7}
    assert row.can_resume


def test_that_proposing_again_asks_the_same_of_the_newest_run_that_has_seen_the_image(project, dataset):
    asked = [Vesl(max_phrases=5, image_ids=(1,)), Vesl(has_class_names=True, phrases=("a cat",)), Vesl(num_boxes=7)]
    for vesl, seen in zip(asked, ([1], [1, 2], [3]), strict=True):
        write_proposals(start_vesl(project, dataset, bundled_checkpoint(), vesl=vesl), seen)
    again = propose_again(project, dataset, bundled_checkpoint(), [2]).config().vesl
    assert again == Vesl(has_class_names=True, image_ids=(2,))
    assert propose_again(project, dataset, bundled_checkpoint(), [9]).config().vesl == Vesl(image_ids=(9,))


def test_that_damaged_proposals_of_an_older_run_are_passed_over(project, dataset):
    folder = start_vesl(project, dataset, bundled_checkpoint(), vesl=Vesl(num_boxes=7))
    write_proposals(folder, [1])
    (folder.results / "proposals" / "scores.npy").write_bytes(b"?")
    assert propose_again(project, dataset, bundled_checkpoint(), [1]).config().vesl == Vesl(image_ids=(1,))
    with pytest.raises(BadInput, match="Propose again"):
        proposals_counted(folder)


def test_that_proposals_are_counted(project, dataset):
    folder = start_vesl(project, dataset, bundled_checkpoint(), vesl=Vesl())
    assert proposals_counted(folder)["num_proposals"] == 0
    write_proposals(folder, [1, 2])
    assert proposals_counted(folder) == {
        "num_images": 2,
        "num_captions": 1,
        "num_phrases": 1,
        "num_proposals": 1,
        "detector": "a detector",
        "captioner": "",
    }


def test_that_only_a_run_which_proposes_and_is_not_done_goes_on(project, dataset, make, first):
    folder = start_vesl(project, dataset, bundled_checkpoint(), vesl=Vesl())
    assert resumable_vesl(folder) == folder
    say(folder, Finished(sequence=0, was_stopped=True))
    assert resumable_vesl(folder) == folder
    say(folder, Finished(sequence=1))
    with pytest.raises(UserError, match="is done"):
        resumable_vesl(folder)
    with pytest.raises(UserError, match="no run that proposes"):
        resumable_vesl(make.embed_run(project, first))

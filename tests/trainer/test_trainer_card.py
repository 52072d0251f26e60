"""The model card of a run."""

from dataclasses import replace

from locstudio.jobs.checkpoint_folder import CheckpointInfo
from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.jobs.training_files import HeldOut
from trainer.card import CardFacts, write_card

PARENT = CheckpointInfo("cloc-0123", "cloc-lite", 384, 32, 192, 512, 1, "tf_efficientnet_lite2", "", {})
FACTS = CardFacts(
    parent=PARENT,
    name="cloc-lite",
    project="birds",
    run="20260101T000000Z-cloc-abc",
    config=RunConfig(
        kind="cloc",
        checkpoint="/checkpoints/cloc-lite",
        seed=7,
        snapshot_sha256="ab" * 32,
        snapshot_revision=41,
        code_version="0.1.0+g0123",
        cloc=ClocTraining(num_steps=240, ema=0.98),
    ),
    device="CPU, 2 cores",
    num_images=30,
    num_regions=150,
    held_out=HeldOut(split="val", image_ids=tuple(range(1, 9)), num_regions=40),
    num_measured=8,
    step=80,
    num_steps=240,
    before={"top1": 0.25},
    after={"top1": 0.5, "macc": 0.4375},
    happened=("Stopped after step 40.", "Resumed after step 40."),
)


def test_that_a_card_tells_data_seed_versions_and_what_happened():
    card = write_card(FACTS)
    for words in (
        "# cloc-lite, retrained",
        "from the checkpoint cloc-0123 (cloc-lite)",
        "Project birds, run 20260101T000000Z-cloc-abc",
        "30 images with 150 described regions",
        "8 images with 40 described regions (the split val)",
        f"Snapshot {'ab' * 32}, revision 41",
        "Step 80 of 240, seed 7",
        "CPU, 2 cores",
        "LocStudio 0.1.0+g0123, torch ",
        "- Stopped after step 40.",
        '"ema": 0.98',
    ):
        assert words in card


def test_that_what_was_not_measured_is_said_to_be_so_and_never_shown_as_zero():
    rows = [line for line in write_card(FACTS).splitlines() if line.startswith("| naming")]
    assert rows == ["| naming, top-1 | 0.250 | 0.500 |", "| naming, mean over classes | not measured | 0.438 |"]
    bare = write_card(replace(FACTS, held_out=HeldOut(), num_measured=0, before={}, after={}))
    assert "nothing could be measured" in bare
    assert "On what was held out" not in bare


def test_that_a_card_says_how_many_of_many_held_out_images_are_measured():
    assert "of which 5 images are measured" in write_card(replace(FACTS, num_measured=5))
    assert "drawn by content" in write_card(replace(FACTS, held_out=HeldOut(image_ids=(1,), num_regions=9)))


def test_that_a_sentence_of_two_lines_stays_one_item():
    assert "- The loss was no number." in write_card(replace(FACTS, happened=("The loss\nwas no number.",)))

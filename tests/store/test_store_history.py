"""The log of edits: undo, redo, steps, history, across images and restarts."""

from dataclasses import replace

from locstudio.domain.edits import Edit, add_regions, change_regions, delete_regions
from locstudio.domain.geometry import UnitBox
from locstudio.store.dataset import Dataset


def test_that_what_was_undone_can_be_redone_after_a_restart(dataset: Dataset, project, make_region):
    region = make_region()
    moved = replace(region, box=UnitBox(0.2, 0.1, 0.5, 0.5))
    dataset.apply(add_regions([region]))
    dataset.apply(change_regions([(region, moved)], "Move box"))
    dataset.undo()
    dataset.close()
    with Dataset.open(project) as again:
        assert again.region_page() == [region]
        again.redo()
        assert again.region_page() == [moved]
        again.undo()
        again.undo()
        assert again.region_page() == []
        assert again.undo() is None


def test_that_undo_returns_what_it_applied(dataset: Dataset, make_region):
    edit = add_regions([make_region(3)])
    inverse = dataset.apply(edit)
    assert inverse == edit.inverse()
    assert dataset.undo() == inverse
    assert dataset.redo() == edit


def test_that_a_new_edit_discards_what_could_have_been_redone(dataset: Dataset, make_region):
    dataset.apply(add_regions([make_region(1)], "First"))
    dataset.undo()
    dataset.apply(add_regions([make_region(2)], "Second"))
    assert dataset.redo() is None
    assert [entry.title for entry in dataset.history()] == ["Second"]
    assert dataset.integrity() == []


def test_that_edits_of_one_group_are_one_step_across_images(dataset: Dataset, make_region):
    dataset.apply(add_regions([make_region(1)], "By hand"))
    for image_id in (2, 3, 4):
        dataset.apply(add_regions([make_region(image_id)], "Import"), actor="import", group="import-1")
    assert [(entry.title, entry.num_changes, entry.actor) for entry in dataset.history()] == [
        ("Import", 3, "import"),
        ("By hand", 1, "human"),
    ]
    undone = dataset.undo()
    assert undone is not None
    assert len(undone.changes) == 3
    assert dataset.count_regions() == 1
    dataset.redo()
    assert dataset.count_regions() == 4
    assert dataset.integrity() == []


def test_that_a_group_broken_by_another_edit_becomes_two_steps(dataset: Dataset, make_region):
    dataset.apply(add_regions([make_region(1)]), group="g")
    dataset.apply(add_regions([make_region(2)], "Between"))
    dataset.apply(add_regions([make_region(3)]), group="g")
    assert len(dataset.history()) == 3
    dataset.undo()
    assert dataset.count_regions() == 2


def test_that_a_group_begun_before_an_undo_is_not_continued_by_what_comes_after(dataset: Dataset, make_region):
    dataset.apply(add_regions([make_region(1)]), group="g")
    dataset.undo()
    dataset.apply(add_regions([make_region(2)]), group="g")
    dataset.undo()
    assert dataset.count_regions() == 0
    assert dataset.integrity() == []


def test_that_the_history_goes_to_any_step_and_back(dataset: Dataset, make_region):
    regions = [make_region(number) for number in (1, 2, 3, 4)]
    for region in regions:
        dataset.apply(add_regions([region], f"Add {region.image_id}"))
    steps = {entry.title: entry.id for entry in dataset.history()}
    applied = dataset.go_to(steps["Add 2"])
    assert applied is not None
    assert [change.before for change in applied.changes] == [regions[3], regions[2]]
    assert dataset.region_page() == regions[:2]
    assert [entry.is_undone for entry in dataset.history()] == [True, True, False, False]
    dataset.go_to(steps["Add 4"])
    assert dataset.region_page() == regions
    dataset.go_to(0)
    assert dataset.region_page() == []
    assert dataset.go_to(0) is None


def test_that_the_history_is_limited_by_steps(dataset: Dataset, make_region):
    for number in range(5):
        dataset.apply(add_regions([make_region()], f"Add {number}"))
    assert [entry.title for entry in dataset.history(2)] == ["Add 4", "Add 3"]


def test_that_a_hundred_undone_edits_leave_a_log_that_replays_to_what_is_there(dataset: Dataset, make_region):
    region = make_region()
    dataset.apply(add_regions([region]))
    for number in range(100):
        changed = replace(region, phrase=f"phrase {number}")
        dataset.apply(change_regions([(region, changed)], "Rename"))
        region = changed
        if number % 3 == 0:
            dataset.undo()
            (region,) = dataset.region_page()
    dataset.apply(delete_regions([region]))
    dataset.undo()
    assert dataset.integrity() == []


def test_that_edits_queued_without_waiting_are_applied_in_order(dataset: Dataset, make_region):
    region = make_region()
    dataset.apply(add_regions([region]))
    waiting = []
    for number in range(20):
        changed = replace(region, phrase=f"phrase {number}")
        waiting.append(dataset.apply_async(change_regions([(region, changed)], "Rename")))
        region = changed
    assert all(isinstance(future.result(), Edit) for future in waiting)
    assert dataset.region_page() == [region]


def test_that_an_edit_that_changes_nothing_is_no_step(dataset: Dataset):
    dataset.apply(Edit("Nothing", ()))
    assert dataset.history() == []
    assert dataset.undo() is None

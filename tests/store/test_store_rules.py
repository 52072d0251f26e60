"""What a phrase is taken for is part of an edit: undone, redone, replayed, and frozen with a snapshot."""

import shutil
from pathlib import Path

import pytest

from locstudio.domain.edits import ClassChange, Edit, RegionChange, RuleChange
from locstudio.domain.errors import EditConflict
from locstudio.domain.phrase_rules import PhraseRule
from locstudio.domain.regions import LabelClass
from locstudio.store.dataset import Dataset, open_snapshot
from locstudio.store.snapshot import snapshot_hash

DATA = Path(__file__).resolve().parents[1] / "data"
KITTY = PhraseRule("a kitty", "a cat")


def given(rule: PhraseRule, before: PhraseRule | None = None) -> Edit:
    return Edit("Merge phrases", (RuleChange(before, rule),))


def test_that_undo_takes_a_rule_back_and_redo_makes_it_again(dataset: Dataset, make_region):
    region = make_region(phrase="a cat")
    dataset.apply(Edit("Merge phrases", (RuleChange(None, KITTY), RegionChange(None, region))))
    assert dataset.phrase_rules() == {"a kitty": KITTY}
    dataset.undo()
    assert dataset.phrase_rules() == {}
    assert dataset.regions_of(1) == []
    dataset.redo()
    assert dataset.phrase_rules() == {"a kitty": KITTY}
    assert dataset.integrity() == []


def test_that_a_rule_may_name_a_class_of_the_same_edit(dataset: Dataset):
    cat = LabelClass(dataset.next_class_id(), "cat", "#ff0000")
    rule = PhraseRule("a cat", class_id=cat.id)
    dataset.apply(Edit("Map", (RuleChange(None, rule), ClassChange(None, cat))))
    assert dataset.phrase_rules() == {"a cat": rule}


def test_that_a_rule_that_has_changed_since_is_not_overwritten(dataset: Dataset):
    dataset.apply(given(KITTY))
    with pytest.raises(EditConflict, match="there already"):
        dataset.apply(given(PhraseRule("a kitty", "a lion")))
    with pytest.raises(EditConflict, match="changed since"):
        dataset.apply(given(PhraseRule("a kitty", "a lion"), before=PhraseRule("a kitty", "a tiger")))
    with pytest.raises(EditConflict, match="does not fit"):
        dataset.apply(given(PhraseRule("a lion", class_id=77)))
    assert dataset.phrase_rules() == {"a kitty": KITTY}


def test_that_a_rule_is_no_correction_of_the_data(dataset: Dataset):
    revision = dataset.revision()
    dataset.apply(given(KITTY))
    assert dataset.corrections_since(revision) == 0
    assert dataset.history()[0].title == "Merge phrases"


def test_that_a_snapshot_holds_the_rules_and_its_hash_knows_them(dataset: Dataset, tmp_path: Path):
    without = dataset.snapshot(tmp_path / "without.sqlite")
    dataset.apply(given(KITTY))
    with_rule = dataset.snapshot(tmp_path / "with.sqlite")
    assert with_rule.sha256 != without.sha256
    with open_snapshot(with_rule.path) as frozen:
        assert frozen.phrase_rules() == {"a kitty": KITTY}
        assert frozen.edits_of_region(1) == []


@pytest.mark.parametrize("version", [1, 2])
def test_that_the_snapshot_of_an_older_schema_has_no_rules_and_keeps_its_hash(tmp_path: Path, project, version: int):
    older = tmp_path / "older.sqlite"
    shutil.copyfile(DATA / f"schema_{version}.sqlite", older)
    with open_snapshot(older) as frozen:
        assert frozen.phrase_rules() == {}
    shutil.copyfile(older, project.dataset_path)
    with Dataset.open(project) as dataset:
        assert dataset.snapshot(tmp_path / "newer.sqlite").sha256 == snapshot_hash(older)

"""`locstudio review` and `locstudio phrases`: curation without a window."""

import json

import pytest

from locstudio.cli import main
from locstudio.domain.edits import ClassChange, Edit, add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import LabelClass, Origin, Region, Review
from locstudio.store.dataset import Dataset

PLACES = [(0.1 * n, 0.1, 0.1 * n + 0.08, 0.4) for n in range(8)]
ROWS = [
    (1, PLACES[0], "a dog", 0.9),
    (1, PLACES[1], "a dog", 0.5),
    (1, PLACES[2], "a dog", 0.1),
    (1, PLACES[3], "a kitty", 0.7),
    (1, PLACES[4], "a kitties", 0.6),
    (2, (0.1, 0.5, 0.9, 0.51), "a <b>fence</b>", 0.8),
]


@pytest.fixture
def place(project, make):
    """The path of a project with six proposals, a class, and a box that a file has brought."""
    with Dataset.create(project) as dataset:
        make.add_pictures(dataset)
        label = LabelClass(dataset.next_class_id(), "Cat", "#ff0000")
        brought = Region(dataset.next_region_id(), 3, UnitBox(*PLACES[0]), "a bird", origin=Origin.IMPORTED)
        dataset.apply(Edit("Class", (ClassChange(None, label),)), actor="import")
        dataset.apply(add_regions([brought]), actor="import")
    make.vesl_run(project, ROWS)
    return str(project.path)


def said(capsys, *words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def regions_at(project):
    with Dataset.open(project, read_only=True) as dataset:
        return dataset.region_page()


def test_that_what_meets_the_filters_is_accepted_in_one_undo_step(project, place, capsys):
    document = said(capsys, "review", place, "--accept", "--phrase", "a dog", "--min-score", "0.3")
    assert (document["chosen"], document["raw"], document["changes"]) == (2, 2, 2)
    assert document["phrases"] == {"a dog": 2}
    accepted = [region for region in regions_at(project) if region.review is Review.ACCEPTED]
    assert [(region.phrase, region.origin) for region in accepted] == [("a dog", Origin.MODEL)] * 2
    with Dataset.open(project) as dataset:
        assert dataset.history()[0].title == "Accept 2 boxes"
        dataset.undo()
        assert dataset.count_regions() == 1


def test_that_a_dry_run_tells_the_same_and_writes_nothing(project, place, capsys):
    document = said(capsys, "review", place, "--reject", "--rule", "sliver", "--dry-run")
    assert (document["chosen"], document["changes"], document["dry_run"]) == (1, 0, True)
    assert len(regions_at(project)) == 1
    assert main(["review", place, "--reject", "--rule", "sliver"]) == 0
    assert capsys.readouterr().out.splitlines() == ["1 box rejected", "      1  a <b>fence</b>"]


def test_that_scores_limits_and_runs_narrow_it_down(place, capsys):
    dry = ("review", place, "--accept", "--dry-run")
    assert said(capsys, *dry)["chosen"] == 6  # five above the threshold, and the box of the file
    assert said(capsys, *dry, "--min-score", "0")["chosen"] == 7
    assert said(capsys, *dry, "--max-score", "0.65", "--origin", "model")["phrases"] == {"a dog": 1, "a kitties": 1}
    assert said(capsys, *dry, "--limit", "1", "--run", "aaaaaa")["phrases"] == {"a dog": 1}
    assert said(capsys, *dry, "--class", "cat")["chosen"] == 0


def test_that_a_review_is_taken_back_without_what_a_file_has_brought(project, place, capsys):
    assert said(capsys, "review", place, "--accept")["changes"] == 6
    assert said(capsys, "review", place, "--pending")["regions"] == 5
    assert {region.review for region in regions_at(project) if region.origin is Origin.MODEL} == {Review.PENDING}
    assert [region.review for region in regions_at(project) if region.origin is Origin.IMPORTED] == [Review.ACCEPTED]


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["review", "--accept", "--class", "zebra"], 4, "no class 'zebra'. Its classes: Cat"),
        (["review", "--accept", "--run", "nothing"], 2, "No run with proposals is called 'nothing'"),
        (["phrases", "--map", "cat"], 2, "PHRASE=CLASS"),
        (["phrases", "--merge", "=cat"], 2, "A,B,C=CANONICAL"),
        (["phrases", "--merge", "a,b="], 2, "A,B,C=CANONICAL"),
        (["phrases", "--image", "1.jpg"], 2, "A box needs its image"),
    ],
)
def test_that_what_cannot_be_is_told_in_a_sentence(place, capsys, words, status, sentence):
    assert main([words[0], place, *words[1:]]) == status
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--accept", "--reject"], ["--accept", "--min-score", "2"]])
def test_that_wrong_usage_of_review_is_status_2(place, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["review", place, *words])
    assert stopped.value.code == 2


def test_that_phrases_are_listed_with_their_counts_and_classes(place, capsys):
    document = said(capsys, "phrases", place)
    first = document["phrases"][0]
    assert (first["phrase"], first["count"]) == ("a dog", 3)
    assert document["rules"] == []
    assert main(["phrases", place]) == 0
    assert "a <b>fence</b>" in capsys.readouterr().out


def test_that_phrases_are_mapped_and_merged_and_followed_by_what_is_accepted_later(project, place, capsys):
    said(capsys, "phrases", place, "--merge", "a kitties, a kitty=a cat")
    said(capsys, "phrases", place, "--map", "a cat=cat")
    (cat,) = [row for row in said(capsys, "phrases", place)["phrases"] if row["phrase"] == "a cat"]
    assert (cat["count"], cat["class"], cat["stands_for"]) == (2, "Cat", ["a kitties", "a kitty"])
    assert said(capsys, "review", place, "--accept", "--class", "Cat")["chosen"] == 2
    assert {(region.phrase, region.class_id) for region in regions_at(project) if region.class_id} == {("a cat", 1)}
    assert said(capsys, "phrases", place, "--map", "a cat=")["edits"][0]["changes"] == 3


def test_that_phrases_that_may_mean_the_same_are_listed_without_an_index(place, capsys):
    assert said(capsys, "phrases", place, "--similar") == {"groups": []}
    assert main(["phrases", place, "--similar"]) == 0
    assert "No two phrases" in capsys.readouterr().out

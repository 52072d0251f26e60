"""Phrases: counts, classes by rule, synonyms; a rule is about words and makes no ground truth."""

from dataclasses import replace

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, Edit, add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import LabelClass, Origin, Region, Review
from locstudio.index.vocabulary import Vocabulary
from locstudio.services.curation import deciding
from locstudio.services.curation.phrases import map_phrases, merge_candidates, merge_phrases, phrase_table
from locstudio.services.curation.pool import item_of, pool_after, read_pool

PLACES = [(0.1 * n, 0.1, 0.1 * n + 0.08, 0.3) for n in range(10)]
PHRASES = ["a cat", "a cat", "a cat", "a kitty", "the cats", "a white horse", "a white house", "a dog"]


@pytest.fixture
def pictured(project, dataset, make):
    make.add_pictures(dataset)
    make.vesl_run(project, [(1, PLACES[n], phrase, 0.5) for n, phrase in enumerate(PHRASES)])
    return dataset


def new_class(dataset, name):
    label = LabelClass(dataset.next_class_id(), name, "#ff0000")
    dataset.apply(Edit("Class", (ClassChange(None, label),)))
    return label


def applied(dataset, edit):
    dataset.apply(edit)
    return edit


def test_that_phrases_are_counted_the_most_used_first(project, pictured):
    pool = read_pool(project, pictured)
    for edit in (deciding.accept(pictured, pool, [0, 1]), deciding.reject(pictured, pool, [2, 3])):
        pool = pool_after(pool, applied(pictured, edit))
    cat, *others = phrase_table(pool)
    assert (cat.phrase, cat.num, cat.num_accepted, cat.num_rejected, cat.num_decided) == ("a cat", 3, 2, 1, 3)
    assert [row.phrase for row in others] == sorted(PHRASES[3:])
    assert sum(row.num for row in phrase_table(pool, pool.is_provisional)) == 4


def test_that_a_phrase_that_names_a_class_has_that_class_until_a_rule_gives_it_another(project, pictured):
    cat, dog, pet = (new_class(pictured, name) for name in ("Cat", "dog", "pet"))
    pool = read_pool(project, pictured)
    assert [item_of(pool, row).class_id for row in range(8)] == [cat.id] * 3 + [None] * 4 + [dog.id]
    pool = pool_after(pool, applied(pictured, map_phrases(pictured, {"a cat": pet.id})))
    assert item_of(pool, 0).class_id == pet.id
    pool = pool_after(pool, pictured.undo())
    assert item_of(pool, 0).class_id == cat.id
    retired = replace(cat, is_retired=True)
    pool = pool_after(pool, applied(pictured, Edit("Retire", (ClassChange(cat, retired),))))
    assert item_of(pool, 0).class_id is None
    assert [item_of(read_pool(project, pictured), row).class_id for row in (0, 7)] == [None, dog.id]


def test_that_an_accepted_proposal_keeps_the_class_that_its_phrase_names(project, pictured):
    dog = new_class(pictured, "dog")
    pool = read_pool(project, pictured)
    applied(pictured, deciding.accept(pictured, pool, [7]))
    (region,) = pictured.region_page()
    assert (region.phrase, region.class_id, region.origin) == ("a dog", dog.id, Origin.MODEL)


def test_that_mapping_gives_the_class_to_what_is_there_and_what_comes_and_is_one_undo_step(project, pictured):
    cat = new_class(pictured, "pet")
    pool = read_pool(project, pictured)
    pool = pool_after(pool, applied(pictured, deciding.take_in(pictured, pool, [0])))
    before = pictured.region_page()
    edit = applied(pictured, map_phrases(pictured, {"a cat": cat.id}))
    pool = pool_after(pool, edit)
    assert [item_of(pool, row).class_id for row in range(4)] == [cat.id, cat.id, cat.id, None]
    (region,) = pictured.region_page()
    assert (region.class_id, region.origin, region.is_ground_truth) == (cat.id, Origin.MODEL, False)
    assert phrase_table(pool)[0].class_id == cat.id
    pool = pool_after(pool, pictured.undo())
    assert pictured.region_page() == before
    assert pictured.phrase_rules() == {}
    assert item_of(pool, 1).class_id is None


def test_that_a_class_that_a_person_or_a_file_has_given_stays(project, pictured):
    cat, dog = new_class(pictured, "cat"), new_class(pictured, "dog")
    box = UnitBox(0.1, 0.5, 0.3, 0.9)
    drawn = Region(pictured.next_region_id(), 2, box, "a cat", dog.id, Review.ACCEPTED)
    locked = Region(pictured.next_region_id(), 3, box, "a cat", is_locked=True)
    bare = Region(pictured.next_region_id(), 4, box, "a cat")
    pictured.apply(add_regions([drawn, locked, bare]))
    pictured.apply(map_phrases(pictured, {"a cat": cat.id}))
    assert [region.class_id for region in pictured.region_page()] == [dog.id, None, cat.id]
    pictured.apply(map_phrases(pictured, {"a cat": None}))
    assert [region.class_id for region in pictured.region_page()] == [dog.id, None, cat.id]
    assert pictured.phrase_rules() == {}


def test_that_another_class_replaces_the_one_that_the_rule_had_given(project, pictured):
    cat, pet = new_class(pictured, "cat"), new_class(pictured, "pet")
    pictured.apply(map_phrases(pictured, {"a cat": cat.id}))
    pool = read_pool(project, pictured)
    pictured.apply(deciding.accept(pictured, pool, [0]))
    pictured.apply(map_phrases(pictured, {"a cat": pet.id, "a dog": pet.id}))
    assert pictured.region_page()[0].class_id == pet.id
    assert pictured.history()[0].title == "Map 2 phrases"
    assert map_phrases(pictured, {"a cat": pet.id}).changes == ()


def test_that_merged_phrases_become_one_and_keep_whose_they_are(project, pictured):
    pool = read_pool(project, pictured)
    pool = pool_after(pool, applied(pictured, deciding.take_in(pictured, pool, [3])))
    edit = applied(pictured, merge_phrases(pictured, ["a kitty", "the cats", "a cat"], "a cat"))
    assert edit.title == "Merge 2 phrases into “a cat”"
    pool = pool_after(pool, edit)
    assert phrase_table(pool)[0].num == 5
    assert phrase_table(pool)[0].stands_for == ("a kitty", "the cats")
    (region,) = pictured.region_page()
    assert (region.phrase, region.origin) == ("a cat", Origin.MODEL)
    # What is decided later follows the rule too.
    (change,) = deciding.accept(pictured, pool, [4]).changes
    assert (change.after.phrase, change.after.origin) == ("a cat", Origin.MODEL)


def test_that_merging_back_and_forth_comes_to_an_end(project, pictured):
    cat = new_class(pictured, "cat")
    pictured.apply(map_phrases(pictured, {"a kitty": cat.id}))
    pictured.apply(merge_phrases(pictured, ["a cat"], "a kitty"))
    pool = read_pool(project, pictured)
    kitty = phrase_table(pool)[0]
    assert (kitty.phrase, kitty.num, kitty.class_id) == ("a kitty", 4, cat.id)
    pictured.apply(merge_phrases(pictured, ["a kitty"], "a cat"))
    assert phrase_table(read_pool(project, pictured))[0].phrase == "a cat"
    with pytest.raises(ValueError, match="must become"):
        merge_phrases(pictured, ["a cat"], " ")


def test_that_synonyms_are_found_by_meaning_and_spelling_but_not_a_horse_in_a_house(project, pictured, tmp_path):
    pool = read_pool(project, pictured)
    by_spelling = merge_candidates(pool, None, min_likeness=0.9)
    assert [(group.canonical, [other.phrase for other in group.others]) for group in by_spelling] == []
    vocabulary = Vocabulary.create(tmp_path / "words", "mine", 3)
    texts = ["a cat", "a kitty", "the cats", "a white horse", "a white house"]
    vectors = [(1, 0, 0), (0.98, 0.2, 0), (0.8, 0.6, 0), (0, 0, 1), (0, 1, 0)]
    vocabulary.add(texts, np.array(vectors, np.float64))
    (group,) = merge_candidates(pool, vocabulary)
    assert (group.canonical, [other.phrase for other in group.others]) == ("a cat", ["a kitty"])
    (wider,) = merge_candidates(pool, vocabulary, min_likeness=0.75)
    assert [other.phrase for other in wider.others] == ["a kitty", "the cats"]


def test_that_the_same_words_with_another_article_are_synonyms(project, dataset, make):
    make.add_pictures(dataset)
    names = ["a brown dog", "the brown dog", "Brown dogs", "<b>dog</b>"]
    make.vesl_run(project, [(1, PLACES[n], phrase, 0.5) for n, phrase in enumerate(names)])
    (group,) = merge_candidates(read_pool(project, dataset), None)
    assert {group.canonical, *(other.phrase for other in group.others)} == set(names[:3])


def test_that_an_empty_pool_has_no_phrases(project, dataset):
    pool = read_pool(project, dataset)
    assert phrase_table(pool) == merge_candidates(pool, None) == []

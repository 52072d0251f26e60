"""Where a person should look: outliers, disagreement, likeness, value, suggestions; vectors of one checkpoint only."""

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, Edit, add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import LabelClass, Region, Review
from locstudio.index.region_index import RegionIndex
from locstudio.index.vocabulary import Vocabulary
from locstudio.services.curation import deciding
from locstudio.services.curation import measures as measures_module
from locstudio.services.curation.measures import (
    ItemVectors,
    liken,
    measure,
    revalued,
    unmeasured,
    value_of,
    without_vector,
)
from locstudio.services.curation.pool import key_of, pool_after, read_pool
from locstudio.services.curation.suggestions import suggestions
from locstudio.services.curation.view import Order, Wish, rows_of

DOG, CAT, BIRD = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
ALL = {"min_score": 0, "max_overlap": 1, "reviews": frozenset()}


def near(vector, rng):
    return tuple((np.array(vector) + rng.normal(0, 0.05, 3)).tolist())


def box(number):
    return (0.01 * number, 0.1, 0.01 * number + 0.3, 0.5)


@pytest.fixture
def pool(project, dataset, make):
    """Ten dogs and ten cats, one dog of which is called a cat."""
    make.add_pictures(dataset)
    rng = np.random.default_rng(0)
    rows = [(1, box(n), "a dog", 0.5, -1, (0, 0), near(DOG, rng)) for n in range(10)]
    rows += [(2, box(n), "a cat", 0.5, -1, (0, 0), near(CAT, rng)) for n in range(9)]
    rows += [(2, box(9), "a cat", 0.5, -1, (0, 0), near(DOG, rng))]
    make.vesl_run(project, rows, checkpoint_id="mine")
    return read_pool(project, dataset)


@pytest.fixture
def vocabulary(tmp_path):
    vocabulary = Vocabulary.create(tmp_path / "words", "mine", 3)
    vocabulary.add(["a dog", "a cat", "a puppy"], np.array([DOG, CAT, (0.99, 0.01, 0.0)]))
    return vocabulary


def test_that_what_is_called_wrongly_is_the_outlier_and_the_disagreement(pool, vocabulary):
    measures = measure(pool, ItemVectors(pool, "mine"), vocabulary)
    assert rows_of(pool, Wish(**ALL, order=Order.OUTLIER), measures)[0] == 19
    assert rows_of(pool, Wish(**ALL, order=Order.DISAGREEMENT), measures)[0] == 19
    assert measures.texts[measures.best[19]] == "a dog"
    assert measures.disagreement[19] > 0.9
    assert (measures.disagreement[:19] < 0.1).all()
    assert measures.outlier[19] > 10


def test_that_a_text_of_the_same_meaning_is_no_disagreement(pool, tmp_path):
    vocabulary = Vocabulary.create(tmp_path / "alike", "mine", 3)
    vocabulary.add(["a dog", "a cat"], np.array([DOG, (0.99, 0.1, 0.0)]))
    measures = measure(pool, ItemVectors(pool, "mine"), vocabulary)
    assert np.isnan(measures.disagreement).all()


def test_that_vectors_of_another_checkpoint_are_no_vectors_and_disturb_no_order(pool, vocabulary):
    vectors = ItemVectors(pool, "another")
    assert not vectors.has(pool.rows).any()
    measures = measure(pool, vectors, vocabulary)
    assert np.isnan(measures.outlier).all()
    measures = liken(measures, pool, vectors, key_of(pool, 0))
    for order in Order:
        assert len(rows_of(pool, Wish(**ALL, order=order), measures)) == 20
    assert len(rows_of(pool, Wish(**ALL, order=Order.VALUE), unmeasured(pool))) == 20


def test_that_likeness_is_the_cosine_to_the_pinned_item(pool, vocabulary):
    vectors = ItemVectors(pool, "mine")
    measures = liken(measure(pool, vectors, vocabulary), pool, vectors, key_of(pool, 19))
    shown = rows_of(pool, Wish(**ALL, order=Order.LIKENESS), measures).tolist()
    assert shown[0] == 19
    assert set(shown[:11]) == {*range(10), 19}
    assert measures.likeness[19] == pytest.approx(1, abs=1e-3)
    assert liken(measures, pool, vectors, "region:77").likeness is None


def test_that_a_region_has_the_vector_of_the_index_and_a_moved_one_loses_the_raw_one(project, dataset, pool, tmp_path):
    index = RegionIndex.create(tmp_path / "index", "mine", 3)
    drawn = Region(dataset.next_region_id(), 3, UnitBox(0.1, 0.1, 0.5, 0.5), "a bird")
    edit = add_regions([drawn])
    dataset.apply(edit)
    pool = pool_after(pool, edit)
    move = deciding.move_boxes(dataset, pool, {0: UnitBox(0.5, 0.5, 0.9, 0.9)})
    accept = deciding.accept(dataset, pool, [1])
    for done in (move, accept):
        dataset.apply(done)
        pool = pool_after(pool, done)
    index.put_regions([drawn.id], [3], [drawn.box.as_tuple()], [BIRD])
    vectors = ItemVectors(pool, "mine", index)
    assert vectors.vectors_of(np.array([20]))[0] == pytest.approx(BIRD, abs=1e-3)
    assert vectors.has(np.array([0, 1, 20])).tolist() == [False, True, True]
    assert np.isnan(vectors.vectors_of(np.array([0]))).all()
    index.close()


def test_that_what_was_drawn_since_has_no_vector_yet_and_stops_nobody(pool, dataset, vocabulary):
    vectors = ItemVectors(pool, "mine")
    measures = measure(pool, vectors, vocabulary)
    drawn = Region(dataset.next_region_id(), 1, UnitBox(*box(9)), "a fox", review=Review.ACCEPTED)
    edit = add_regions([drawn])
    dataset.apply(edit)
    after = pool_after(pool, edit)
    assert vectors.has(np.array([0, 20])).tolist() == [True, False]
    assert np.isnan(vectors.vectors_of(np.array([20, 0]))).all(axis=1).tolist() == [True, False]
    assert suggestions(after, 19, vectors, vocabulary, [])[0].text == "a dog"
    likened = liken(measures, after, vectors, key_of(after, 0)).likeness
    assert np.isnan(likened[20])
    assert likened[1] > 0.9


def test_that_a_group_too_large_to_be_held_at_once_is_measured_as_any_other(pool, vocabulary, monkeypatch):
    vectors = ItemVectors(pool, "mine")
    whole = measure(pool, vectors, vocabulary)
    asked = []
    vectors_of = vectors.vectors_of
    monkeypatch.setattr(vectors, "vectors_of", lambda rows: asked.append(len(rows)) or vectors_of(rows))
    monkeypatch.setattr(measures_module, "_BATCH", 8)
    parts = measure(pool, vectors, vocabulary)
    assert max(asked) == 8
    assert np.argmax(parts.outlier) == np.argmax(whole.outlier) == 19
    assert (parts.outlier[:19] < 4).all()
    assert parts.disagreement.tolist() == pytest.approx(whole.disagreement.tolist(), abs=1e-6)
    assert (parts.best == whole.best).all()


def test_that_vectors_a_stranger_made_of_nothing_are_none(project, dataset, make):
    make.add_pictures(dataset)
    rows = [(1, box(0), "a dog", 0.5, -1, (0, 0), (0, 0, 0)), (1, box(9), "a dog", 0.5, -1, (0, 0), (np.inf, 0, 0))]
    make.vesl_run(project, rows, checkpoint_id="mine")
    pool = read_pool(project, dataset)
    measures = measure(pool, ItemVectors(pool, "mine"), None)
    assert np.isnan(measures.outlier).all()
    assert len(rows_of(pool, Wish(**ALL, order=Order.OUTLIER), measures)) == 2


def test_that_a_typical_unsure_row_of_a_frequent_phrase_is_worth_most(pool):
    outlier = np.zeros(len(pool), np.float32)
    outlier[3] = 5
    unknown = np.full(len(pool), np.nan, np.float32)
    value = value_of(pool, outlier, unknown)
    assert value[0] == pytest.approx(10, rel=1e-3)  # one bit, for each of ten dogs
    assert value[3] == pytest.approx(1, rel=1e-3)  # it speaks for itself alone
    sure = np.full(len(pool), 0.0, np.float32)  # the model is sure of the phrase
    assert value_of(pool, outlier, sure)[0] < value[0]


def test_that_answers_lower_the_value_of_asking_the_same_again(pool, dataset):
    before = unmeasured(pool)
    edit = deciding.accept(dataset, pool, range(4))
    dataset.apply(edit)
    after = revalued(pool_after(pool, edit), before)
    assert np.isnan(after.value[:4]).all()
    assert after.value[9] < before.value[9]
    assert after.value[10] == before.value[10]


def test_that_suggestions_are_words_that_fit_and_what_was_accepted_alike(pool, dataset, vocabulary):
    label = LabelClass(dataset.next_class_id(), "A Dog", "#ff0000")
    renamed = Edit("Class", (ClassChange(None, label),))
    dataset.apply(renamed)
    pool = pool_after(pool, renamed)
    first = suggestions(pool, 19, ItemVectors(pool, "mine"), vocabulary, dataset.classes())[0]
    assert (first.text, first.class_id) == ("a dog", label.id)
    relabel = deciding.relabel(dataset, pool, range(5), "a hound")
    dataset.apply(relabel)
    pool = pool_after(pool, relabel)
    found = suggestions(pool, 19, ItemVectors(pool, "mine"), vocabulary, [])
    assert {each.text for each in found[:2]} == {"a dog", "a hound"}
    assert all(each.class_id is None and 0 <= each.score <= 1 for each in found)
    assert "a cat" not in [each.text for each in found]  # what it is called already
    assert len(found) <= 5


def test_that_without_vectors_the_phrases_of_its_image_are_suggested_first(pool):
    assert [each.text for each in suggestions(pool, 19, ItemVectors(pool, "other"), None, [])] == ["a dog"]


def test_that_where_only_its_own_name_has_votes_the_usual_phrases_are_suggested(pool, dataset, tmp_path):
    edit = deciding.accept(dataset, pool, [10])  # a cat; nothing else is decided, and the index knows no words
    dataset.apply(edit)
    pool = pool_after(pool, edit)
    found = suggestions(pool, 11, ItemVectors(pool, "mine"), Vocabulary.create(tmp_path / "none", "mine", 3), [])
    assert [each.text for each in found] == ["a dog"]


def test_that_the_usual_phrases_follow_those_that_fit_and_are_believed_no_more(pool, dataset, tmp_path):
    vocabulary = Vocabulary.create(tmp_path / "one", "mine", 3)
    vocabulary.add(["a hound"], np.array([DOG]))
    edit = deciding.relabel(dataset, pool, range(5), "a hound")
    dataset.apply(edit)
    pool = pool_after(pool, edit)
    found = suggestions(pool, 19, ItemVectors(pool, "mine"), vocabulary, [])
    assert [each.text for each in found] == ["a hound", "a dog"]
    assert found[0].score >= found[1].score > 0


def test_that_what_the_vocabulary_lacks_is_told_the_most_used_first(pool, dataset, tmp_path):
    assert without_vector(pool, Vocabulary.create(tmp_path / "none", "mine", 3)) == ["a dog", "a cat"]


def test_that_rows_that_are_rejected_do_not_move_the_centre(pool, dataset, vocabulary):
    edit = deciding.reject(dataset, pool, [19])
    dataset.apply(edit)
    pool = pool_after(pool, edit)
    assert pool.reviews[19] == tuple(Review).index(Review.REJECTED)
    assert measure(pool, ItemVectors(pool, "mine"), vocabulary).outlier[19] > 10

"""Search over a dataset: which places are hits, which yield, where the cut lies, and what an edit leaves behind."""

from dataclasses import replace

import numpy as np
import pytest

from locstudio.domain.edits import Edit, ImageChange, add_regions, change_regions, delete_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.index.region_index import RegionIndex
from locstudio.index.vocabulary import Vocabulary
from locstudio.services.search import SearchService, combine, parse_query
from locstudio.store.dataset import Dataset
from locstudio.store.filters import ImageFilter
from locstudio.store.project import create_project

DIM = 16
LEFT, RIGHT = UnitBox(0.0, 0.0, 0.5, 1.0), UnitBox(0.5, 0.0, 1.0, 1.0)
ALMOST_LEFT = UnitBox(0.0, 0.0, 0.45, 1.0)
CAT, DOG, SKY = np.eye(DIM, dtype=np.float32)[:3]


@pytest.fixture
def dataset(tmp_path):
    with Dataset.create(create_project(tmp_path / "project")) as dataset:
        root = dataset.add_root(tmp_path)
        dataset.add_images([Image(0, root.id, f"{name}.jpg", 4, 3, split=name) for name in ("a", "b", "c")])
        yield dataset


@pytest.fixture
def service(tmp_path, dataset):
    index = RegionIndex.create(tmp_path / "index", "cloc-a", DIM)
    vocabulary = Vocabulary.create(tmp_path / "index", "cloc-a", DIM)
    vocabulary.add(["cat", "dog", "sky"], [CAT, DOG, SKY])
    yield SearchService(dataset, index, vocabulary)
    index.close()


def ids_of(dataset: Dataset) -> list[int]:
    return dataset.image_ids(ImageFilter()).tolist()


def add_region(service: SearchService, dataset: Dataset, image_id: int, box: UnitBox, phrase: str, vector) -> Region:
    region = Region(dataset.next_region_id(), image_id, box, phrase)
    dataset.apply(add_regions([region]))
    service.put_regions([region], [vector])
    return region


def fill_with_noise(service: SearchService, image_id: int, num: int = 400) -> None:
    """Proposals that resemble nothing, so that a query has a background to stand out from."""
    vectors = np.random.default_rng(0).normal(size=(num, DIM))
    corners = np.linspace(0, 0.9, num)
    service.index.put_proposals(
        [image_id] * num, np.stack([corners, corners, corners + 0.001, corners + 0.001], 1), vectors
    )


def test_that_hits_carry_their_place_and_phrase_best_first(service, dataset):
    a, b, _ = ids_of(dataset)
    cat = add_region(service, dataset, a, LEFT, "a cat", CAT)
    add_region(service, dataset, b, RIGHT, "a dog", DOG)
    result = service.hits_for(CAT + 0.3 * DOG)
    assert [hit.phrase for hit in result.hits] == ["a cat", "a dog"]
    best = result.hits[0]
    assert (best.image_id, best.region_id, best.box) == (a, cat.id, LEFT)
    assert best.score == pytest.approx(1 / np.hypot(1, 0.3), abs=2e-3)
    assert sum(result.histogram.counts) == 2 * 2
    assert len(result.histogram.edges) == len(result.histogram.counts) + 1


def test_that_a_region_without_phrase_is_called_by_its_class(service, dataset):
    from locstudio.domain.edits import ClassChange
    from locstudio.domain.regions import LabelClass

    label = LabelClass(dataset.next_class_id(), "tabby", "#aa5500")
    dataset.apply(Edit("Add class", (ClassChange(None, label),)))
    region = Region(dataset.next_region_id(), ids_of(dataset)[0], LEFT, "", label.id)
    dataset.apply(add_regions([region]))
    service.put_regions([region], [CAT])
    assert service.hits_for(CAT).hits[0].phrase == "tabby"


def test_that_a_proposal_yields_to_the_region_it_overlaps(service, dataset):
    a, b, _ = ids_of(dataset)
    region = add_region(service, dataset, a, LEFT, "a cat", CAT + 0.2 * DOG)
    service.index.put_proposals(
        [a, a, b], [ALMOST_LEFT.as_tuple(), RIGHT.as_tuple(), LEFT.as_tuple()], [CAT, DOG, CAT + 0.1 * SKY]
    )
    hits = service.hits_for(CAT).hits
    assert [(hit.image_id, hit.region_id) for hit in hits] == [(b, None), (a, region.id), (a, None)]
    assert hits[1].box == LEFT
    assert hits[1].score == pytest.approx(1 / np.hypot(1, 0.2), abs=2e-3)


def test_that_of_two_proposals_of_one_place_the_better_is_shown(service, dataset):
    a, b, _ = ids_of(dataset)
    service.index.put_proposals(
        [a, a, b], [LEFT.as_tuple(), ALMOST_LEFT.as_tuple(), LEFT.as_tuple()], [CAT + 0.3 * DOG, CAT, CAT + 0.5 * DOG]
    )
    hits = service.hits_for(CAT).hits
    assert [(hit.image_id, hit.box.x1) for hit in hits] == [(a, pytest.approx(0.45)), (b, 0.5)]


def test_that_overlapping_regions_of_a_person_are_all_hits(service, dataset):
    a, *_ = ids_of(dataset)
    add_region(service, dataset, a, LEFT, "a cat", CAT)
    add_region(service, dataset, a, ALMOST_LEFT, "a tabby", CAT)
    assert {hit.phrase for hit in service.hits_for(CAT).hits} == {"a cat", "a tabby"}


def test_that_the_query_itself_is_no_hit(service, dataset):
    a, b, _ = ids_of(dataset)
    own = add_region(service, dataset, a, LEFT, "a cat", CAT)
    other = add_region(service, dataset, b, LEFT, "a cat", CAT + 0.1 * DOG)
    service.index.put_proposals([a], [ALMOST_LEFT.as_tuple()], [CAT])
    assert [hit.region_id for hit in service.hits_for(CAT, exclude_region=own.id).hits] == [other.id]


def test_that_the_place_of_the_query_comes_once_as_its_region(service, dataset):
    a, b, _ = ids_of(dataset)
    own = add_region(service, dataset, a, LEFT, "a cat", CAT)
    other = add_region(service, dataset, b, LEFT, "a cat", CAT + 0.1 * DOG)
    service.index.put_proposals(
        [a, a], [ALMOST_LEFT.as_tuple(), UnitBox(0.0, 0.0, 0.28, 1.0).as_tuple()], [CAT, CAT + 0.05 * DOG]
    )
    assert [hit.region_id for hit in service.hits_for(CAT, own_place=(a, ALMOST_LEFT)).hits] == [own.id, other.id]


def test_that_the_place_of_the_query_comes_once_as_its_best_fitting_proposal(service, dataset):
    a, b, _ = ids_of(dataset)
    boxes = [ALMOST_LEFT, UnitBox(0.0, 0.0, 0.35, 1.0), UnitBox(0.0, 0.0, 0.28, 1.0)]
    service.index.put_proposals([a, a, a, b], [*(box.as_tuple() for box in boxes), LEFT.as_tuple()], [CAT] * 4)
    hits = service.hits_for(CAT, own_place=(a, LEFT)).hits
    assert [(hit.image_id, hit.box.x1) for hit in hits] == [(a, pytest.approx(0.45)), (b, 0.5)]


def test_that_proposals_that_crowd_a_better_hit_yield(service, dataset):
    """IoU 0.35 of two halves that are shifted by 0.24 of an image: (0.5 - 0.24) / (0.5 + 0.24)."""
    a, *_ = ids_of(dataset)
    shifted = UnitBox(0.24, 0.0, 0.74, 1.0)
    service.index.put_proposals([a, a], [LEFT.as_tuple(), shifted.as_tuple()], [CAT, CAT + 0.5 * DOG])
    assert [hit.box for hit in service.hits_for(CAT).hits] == [LEFT]


def test_that_a_part_of_a_better_hit_yields_only_where_it_scores_alike(service, dataset):
    a, b, c = ids_of(dataset)
    fill_with_noise(service, c)
    part = UnitBox(0.0, 0.0, 0.2, 0.5)  # IoU 0.2 with the left half
    service.index.put_proposals(
        [a, a, b, b], [LEFT.as_tuple(), part.as_tuple()] * 2, [CAT, CAT + 0.1 * DOG, CAT, CAT + 1.5 * DOG]
    )
    hits = [hit for hit in service.hits_for(CAT, top=400).hits if hit.image_id != c]
    assert [(hit.image_id, hit.box.y1) for hit in hits] == [(a, 1.0), (b, 1.0), (b, 0.5)]


def test_that_a_negative_removes_what_resembles_it_more(service, dataset):
    a, b, c = ids_of(dataset)
    fill_with_noise(service, c)
    cat = add_region(service, dataset, a, LEFT, "a cat", CAT + 0.1 * SKY)
    dog = add_region(service, dataset, b, LEFT, "a dog that looks like a cat", DOG + 0.8 * CAT)
    assert {hit.region_id for hit in service.hits_for(CAT, top=2).hits} == {cat.id, dog.id}
    regions = [hit.region_id for hit in service.hits_for(CAT, negatives=[DOG]).hits if hit.region_id]
    assert regions == [cat.id]


def test_that_a_filter_narrows_the_images(service, dataset):
    a, b, _ = ids_of(dataset)
    add_region(service, dataset, a, LEFT, "a cat", CAT)
    add_region(service, dataset, b, LEFT, "a cat", CAT)
    assert [hit.image_id for hit in service.hits_for(CAT, wanted=ImageFilter(split="b")).hits] == [b]


def test_that_the_cut_separates_what_stands_out_from_the_rest(service, dataset):
    a, b, c = ids_of(dataset)
    fill_with_noise(service, c)
    add_region(service, dataset, a, LEFT, "a cat", CAT + 0.1 * DOG)
    add_region(service, dataset, b, LEFT, "a cat", CAT - 0.1 * DOG)
    result = service.hits_for(CAT)
    assert result.num_above_cut == 2
    nothing = service.hits_for(-CAT, top=400)
    assert nothing.num_above_cut <= 0.02 * len(nothing.hits)


def test_that_phrases_are_ranked_for_a_vector(service):
    ranked = service.phrases_for(CAT + 0.5 * SKY, top=2)
    assert [phrase for phrase, _ in ranked] == ["cat", "sky"]


def test_that_a_moved_box_loses_its_old_vector_at_once_and_asks_for_a_new_one(service, dataset):
    a, *_ = ids_of(dataset)
    region = add_region(service, dataset, a, LEFT, "a cat", CAT)
    moved = replace(region, box=RIGHT)
    edit = change_regions([(region, moved)], "Move box")
    dataset.apply(edit)
    follow = service.on_edit(edit)
    assert [entry.id for entry in follow.regions] == [region.id]
    assert follow.removed == (region.id,)
    assert service.hits_for(CAT).hits == ()
    service.put_regions(follow.regions, [DOG])
    assert service.hits_for(DOG).hits[0].box == RIGHT


def test_that_a_new_phrase_asks_for_its_vector_and_keeps_the_regions(service, dataset):
    a, *_ = ids_of(dataset)
    region = add_region(service, dataset, a, LEFT, "cat", CAT)
    edit = change_regions([(region, replace(region, phrase="tabby"))], "Edit phrase")
    dataset.apply(edit)
    follow = service.on_edit(edit)
    assert (follow.regions, follow.removed, follow.phrases) == ((), (), ("tabby",))
    assert service.hits_for(CAT).hits[0].phrase == "tabby"


def test_that_a_deleted_region_leaves_the_index_and_its_undo_asks_for_it_again(service, dataset):
    a, *_ = ids_of(dataset)
    region = add_region(service, dataset, a, LEFT, "cat", CAT)
    inverse = dataset.apply(delete_regions([region]))
    assert service.on_edit(delete_regions([region])).removed == (region.id,)
    assert service.hits_for(CAT).hits == ()
    dataset.apply(inverse)
    assert [entry.id for entry in service.on_edit(inverse).regions] == [region.id]


def test_that_an_image_of_new_content_is_embedded_again(service, dataset):
    a, *_ = ids_of(dataset)
    region = add_region(service, dataset, a, LEFT, "cat", CAT)
    image = dataset.image(a)
    assert image is not None
    edit = Edit("Image changed", (ImageChange(image, replace(image, sha256="0" * 64)),))
    assert [entry.id for entry in service.on_edit(edit).regions] == [region.id]
    assert service.hits_for(CAT).hits == ()


def test_that_reconciling_finds_what_a_crash_left_out(service, dataset):
    """The edit was committed, its embedding was not."""
    a, *_ = ids_of(dataset)
    kept = add_region(service, dataset, a, LEFT, "cat", CAT)
    moved = add_region(service, dataset, a, LEFT, "cat", CAT)
    deleted = add_region(service, dataset, a, RIGHT, "dog", DOG)
    new = Region(dataset.next_region_id(), a, RIGHT, "tabby")
    dataset.apply(add_regions([new]))
    dataset.apply(change_regions([(moved, replace(moved, box=RIGHT))], "Move box"))
    dataset.apply(delete_regions([deleted]))
    follow = service.reconcile()
    assert sorted(region.id for region in follow.regions) == [moved.id, new.id]
    assert follow.removed == (moved.id, deleted.id)
    assert follow.phrases == ("tabby",)
    assert service.index.region_ids().tolist() == [kept.id]


@pytest.mark.parametrize(
    ("text", "positive", "negatives"),
    [
        ("a red car -truck", "a red car", ("truck",)),
        ("t-shirt -'traffic light' -bus", "t-shirt", ("traffic light", "bus")),
        ('"red  car" -"fire truck"', "red car", ("fire truck",)),
        ("-sky", "", ("sky",)),
        (" - a -", "a", ()),
        ("", "", ()),
        ("dog's bowl", "dog's bowl", ()),
    ],
)
def test_that_a_minus_before_a_word_makes_it_unwanted(text, positive, negatives):
    query = parse_query(text)
    assert (query.positive, query.negatives) == (positive, negatives)


def test_that_each_part_of_a_combination_counts_by_its_weight_not_its_length():
    assert combine([(CAT * 9, 1.0), (DOG * 0.1, 1.0)]) == pytest.approx((CAT + DOG) / np.sqrt(2))
    assert combine([(CAT, 1.0), (DOG, -0.5)]) @ DOG == pytest.approx(-0.5 / np.hypot(1, 0.5))


@pytest.mark.parametrize("parts", [[], [(CAT, 1.0), (CAT, -1.0)], [(np.zeros(DIM), 1.0)]])
def test_that_parts_that_cancel_are_refused(parts):
    with pytest.raises(ValueError):
        combine(parts)


def test_that_what_half_of_the_collection_shows_stands_out_from_the_other_half(service, dataset):
    image_id = ids_of(dataset)[0]
    random = np.random.default_rng(0)
    kinds = np.concatenate([np.tile(CAT, (100, 1)), np.tile(DOG, (100, 1))]) + random.normal(scale=0.1, size=(200, DIM))
    corners = np.linspace(0, 0.9, 200)
    boxes = np.stack([corners, corners, corners + 0.001, corners + 0.001], 1)
    service.index.put_proposals([image_id] * 200, boxes, kinds)
    result = service.hits_for(CAT, top=200)
    # The median lies between the heaps and the deviation is their distance, so no cosine lies 2.5 of it above.
    assert result.num_above_cut == 100
    assert 0.3 < result.cut < 0.7

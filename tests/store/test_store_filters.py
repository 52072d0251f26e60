"""Filters, pages, facets and words, against the same asked of a list in Python."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locstudio.domain.edits import (
    CaptionChange,
    ClassChange,
    Edit,
    ImageChange,
    LabelChange,
    RegionChange,
    add_regions,
)
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Caption, Image, LabelClass, Origin, Problem, Review
from locstudio.store import image_lists
from locstudio.store.dataset import Dataset, ImageFilter

WORDS = ("", "red car", "blue car", "a red dog", "Café table", "snake_case-word")


@pytest.fixture
def filled(dataset: Dataset, make_region) -> Dataset:
    """Sixty images in two roots, with regions, labels, captions and states of every kind."""
    other = dataset.add_root(dataset.project.path / "other")
    for number in range(50):
        problem = Problem.DAMAGED if number % 7 == 0 else Problem.NONE
        path = f"{number % 5}/Photo_{(number * 37) % 50:03}.jpg"
        dataset.add_images([Image(0, other.id, path, 10, 10, problem=problem)])
    classes = [LabelClass(dataset.next_class_id(), name, "#000000") for name in ("car", "dog", "table")]
    changes: list[object] = [ClassChange(None, label) for label in classes]
    rng = np.random.default_rng(1)
    for image in dataset.images(list(range(1, 61))):
        after = replace(image, is_verified=bool(rng.integers(2)), split=str(rng.choice(["", "train", "val"])))
        changes.append(ImageChange(image, after))
        for _ in range(rng.integers(4)):
            label = int(rng.integers(4))
            changes.append(
                RegionChange(
                    None,
                    make_region(
                        image.id,
                        WORDS[rng.integers(len(WORDS))],
                        review=list(Review)[rng.integers(3)],
                        origin=list(Origin)[rng.integers(4)],
                        class_id=classes[label].id if label < 3 else None,
                    ),
                )
            )
        for label in classes:
            if rng.integers(4) == 0:
                said = ImageLabel(image.id, label.id, list(Presence)[rng.integers(3)])
                changes.append(LabelChange(None, said))
        if rng.integers(3) == 0:
            caption = Caption(dataset.next_caption_id(), image.id, "A red umbrella beside a car")
            changes.append(CaptionChange(None, caption))
    dataset.apply(Edit("Fill", tuple(changes)))
    return dataset


def meets(dataset: Dataset, image: Image, wanted: ImageFilter) -> bool:
    """The filter in plain Python."""
    regions = dataset.regions_of(image.id)
    of_kind = [
        region
        for region in regions
        if (not wanted.reviews or region.review in wanted.reviews)
        and (not wanted.origins or region.origin in wanted.origins)
        and (not wanted.class_ids or region.class_id in wanted.class_ids)
    ]
    asks_regions = wanted.reviews or wanted.origins or wanted.class_ids
    is_said = not (wanted.reviews or wanted.origins) and bool(wanted.class_ids & present(dataset, image.id))
    return (
        (not asks_regions or bool(of_kind) or is_said)
        and (wanted.has_regions is None or bool(regions) == wanted.has_regions)
        and (not wanted.problems or image.problem in wanted.problems)
        and (wanted.has_problem is None or bool(image.problem) == wanted.has_problem)
        and (wanted.is_verified is None or image.is_verified == wanted.is_verified)
        and (not wanted.split or image.split == wanted.split)
    )


def present(dataset: Dataset, image_id: int) -> set[int]:
    """The classes of which it is said that the image has them."""
    return {label.class_id for label in dataset.labels_of(image_id) if label.presence is Presence.POSITIVE}


filters = st.builds(
    ImageFilter,
    reviews=st.frozensets(st.sampled_from(Review), max_size=2),
    origins=st.frozensets(st.sampled_from(Origin), max_size=2),
    class_ids=st.frozensets(st.integers(1, 4), max_size=2),
    problems=st.frozensets(st.sampled_from([Problem.NONE, Problem.DAMAGED, Problem.MISSING]), max_size=2),
    has_problem=st.none() | st.booleans(),
    has_regions=st.none() | st.booleans(),
    is_verified=st.none() | st.booleans(),
    split=st.sampled_from(["", "train", "val"]),
    order=st.sampled_from(["path", "id"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(wanted=filters, is_common=st.booleans())
def test_that_a_filter_means_what_it_says_in_lists_pages_counts_and_facets(
    filled: Dataset, wanted: ImageFilter, is_common: bool
):
    images = [image for image in filled.images(list(range(1, 61))) if meets(filled, image, wanted)]
    key = (lambda image: image.id) if wanted.order == "id" else (lambda image: (image.root_id, image.path))
    expected = sorted(images, key=key)
    ids = filled.image_ids(wanted)
    assert ids.dtype == np.int64
    assert ids.tolist() == [image.id for image in expected]
    assert filled.count_images(wanted) == len(expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_lists, "_COMMON_FROM", 1 if is_common else 20_000)
        paged: list[Image] = []
        while page := filled.image_page(wanted, paged[-1].id if paged else 0, limit=7):
            paged += page
    assert paged == expected
    facets = filled.facets(wanted)
    assert facets.num_images == len(expected)
    assert facets.num_verified == sum(image.is_verified for image in expected)
    regions = filled.regions_of_images([image.id for image in expected]).values()
    for review in Review:
        assert facets.reviews[review] == sum(any(r.review == review for r in own) for own in regions)
    for origin in Origin:
        assert facets.origins[origin] == sum(any(r.origin == origin for r in own) for own in regions)
    for class_id in (1, 2, 3):
        has_class = [
            any(region.class_id == class_id for region in filled.regions_of(image.id))
            or class_id in present(filled, image.id)
            for image in expected
        ]
        assert facets.classes.get(class_id, 0) == sum(has_class)
    assert facets.num_without_regions == sum(not own for own in regions)
    assert facets.num_problems == sum(bool(image.problem) for image in expected)


def test_that_all_words_must_meet_in_one_text(dataset: Dataset, make_region):
    dataset.apply(add_regions([make_region(1, "a red car"), make_region(2, "a red dog"), make_region(2, "a blue car")]))
    caption = Caption(dataset.next_caption_id(), 3, "Red roof above a parked car")
    dataset.apply(Edit("Caption", (CaptionChange(None, caption),)))
    assert dataset.image_ids(ImageFilter(words="red car")).tolist() == [1, 3]
    assert dataset.image_ids(ImageFilter(words="image 7")).tolist() == [8]
    assert dataset.image_ids(ImageFilter(words="red", reviews=frozenset({Review.PENDING}))).tolist() == [1, 2]


def test_that_words_are_found_while_they_are_typed_whatever_their_case_and_accents(dataset: Dataset, make_region):
    region = make_region(1, "ein Café am See")
    dataset.apply(add_regions([region]))
    for typed in ("caf", "CAFÉ", "cafe", "am ca", "see caf"):
        assert dataset.regions_with_words(typed) == [region.id]
    assert dataset.regions_with_words("caf ") == []  # a finished word is meant as it stands


@pytest.mark.parametrize("typed", ['"', "*", "NEAR(", "red OR", "a AND", "-", "col:", "'", "(", ";--", "\x00", "🐕"])
def test_that_signs_of_a_query_language_are_only_signs(dataset: Dataset, make_region, typed: str):
    region = make_region(1, "near red and or")
    dataset.apply(add_regions([region]))
    everything = set(dataset.image_ids(ImageFilter()).tolist())
    assert set(dataset.regions_with_words(typed)) <= {region.id}
    assert set(dataset.image_ids(ImageFilter(words=typed)).tolist()) <= everything
    assert {image.id for image in dataset.images_named(typed.replace("\x00", ""))} <= everything


def test_that_words_follow_every_edit_and_its_undo(dataset: Dataset, make_region):
    region = make_region(1, "")
    steps = ["a dog", "a cat", "", "a horse"]
    dataset.apply(add_regions([region]))
    for phrase in steps:
        changed = replace(region, phrase=phrase)
        dataset.apply(Edit("Rename", (RegionChange(region, changed),)))
        region = changed
    assert dataset.regions_with_words("horse") == [region.id]
    assert dataset.regions_with_words("dog") == []
    for _ in range(3):
        dataset.undo()
    assert dataset.regions_with_words("dog") == [region.id]
    assert dataset.phrases() == [("a dog", 1)]
    assert dataset.integrity() == []


def test_that_phrases_come_most_used_first(dataset: Dataset, make_region):
    dataset.apply(add_regions([make_region(1, phrase) for phrase in ("b", "a", "c", "b", "", "c", "b")]))
    assert dataset.phrases() == [("b", 3), ("c", 2), ("a", 1)]
    assert dataset.phrases(1) == [("b", 3)]


def test_that_facets_are_counted_once_for_each_revision(dataset: Dataset, make_region):
    assert dataset.facets() is dataset.facets()
    before = dataset.facets()
    dataset.apply(add_regions([make_region()]))
    assert dataset.facets().reviews[Review.PENDING] == before.reviews[Review.PENDING] + 1


def test_that_a_page_after_an_image_that_left_the_filter_goes_on_where_it_was(dataset: Dataset):
    pending = ImageFilter(is_verified=False)
    first = dataset.image_page(pending, limit=3)
    last = first[-1]
    dataset.apply(Edit("Verify", (ImageChange(last, replace(last, is_verified=True)),)))
    assert [image.id for image in dataset.image_page(pending, last.id, limit=2)] == [4, 5]


def test_that_an_image_that_only_has_a_label_is_found_by_its_class(dataset: Dataset):
    car = LabelClass(dataset.next_class_id(), "car", "#000000")
    said = [ImageLabel(3, car.id), ImageLabel(4, car.id, Presence.NEGATIVE), ImageLabel(5, car.id, Presence.UNKNOWN)]
    dataset.apply(Edit("Say", (ClassChange(None, car), *(LabelChange(None, label) for label in said))))
    wanted = ImageFilter(class_ids=frozenset({car.id}))
    assert dataset.image_ids(wanted).tolist() == [3]
    assert dataset.facets().classes == {car.id: 1}
    assert dataset.count_images(replace(wanted, reviews=frozenset({Review.PENDING}))) == 0
    assert dataset.count_images(replace(wanted, has_regions=False)) == 1
    dataset.undo()
    assert dataset.facets().classes == {}

"""A caption in other words, and what pointed into it."""

from dataclasses import replace

from locstudio.domain.edits import found_again, reworded
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Caption, Origin, Region

CAPTION = Caption(5, 1, "A dog beside a red car.", Origin.MODEL)
DOG = Region(1, 1, UnitBox(0.1, 0.1, 0.5, 0.5), "a dog", origin=Origin.MODEL, caption_id=5, caption_span=(2, 5))
CAR = replace(DOG, id=2, phrase="a red car", caption_span=(15, 22))


def test_that_a_caption_in_other_words_is_edited_unless_a_person_wrote_it():
    for origin in Origin:
        caption = replace(CAPTION, origin=origin)
        after = reworded(caption, "A cat.", []).changes[0].after
        assert after == replace(
            caption, text="A cat.", origin=Origin.HUMAN if origin is Origin.HUMAN else Origin.EDITED
        )


def test_that_spans_follow_their_words_and_end_where_these_are_gone():
    edit = reworded(CAPTION, "Beside a blue car sits a dog.", [DOG, CAR])
    text = edit.changes[0].after.text
    dog, car = (change.after for change in edit.changes[1:])
    assert text[slice(*dog.caption_span)] == "dog"
    assert (car.caption_span, car.caption_id) == (None, 5)
    assert (dog.origin, car.origin) == (Origin.MODEL, Origin.MODEL)  # neither box nor phrase is another


def test_that_a_region_whose_words_stay_in_place_and_one_of_another_caption_do_not_change():
    other = replace(CAR, caption_id=6)
    edit = reworded(CAPTION, "A dog beside a tree.", [DOG, other])
    assert len(edit.changes) == 1


def test_that_the_same_text_is_no_edit():
    assert reworded(CAPTION, CAPTION.text, [DOG]).changes == ()


def test_that_whole_words_are_found_nearest_to_their_old_place():
    old = "the cat and the cat"
    assert found_again(old, (16, 19), "a cat, a catfish, the cat") == (22, 25)
    assert found_again(old, (4, 7), "a cat, a catfish, the cat") == (2, 5)
    assert found_again(old, (4, 7), "concatenate") is None
    assert found_again(old, (4, 4), "cat") is None
    assert found_again("say (what?)", (4, 11), "(what?) he said") == (0, 7)

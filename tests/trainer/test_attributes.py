import pytest

from trainer.recipes.attributes import COLOURS, NUM_ALTERED, altered_phrases, named_colours


def test_that_a_colour_becomes_every_other_colour():
    altered = altered_phrases("red car")
    assert len(altered) == NUM_ALTERED == len(COLOURS) - 1
    assert set(altered) == {f"{colour} car" for colour in COLOURS if colour != "red"}


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("a red car", "an orange car"),
        ("an orange", "a red"),
        ("An old dog", "A young dog"),
        ("a wooden chair", "a glass chair"),
        ("a tiny bird", "a large bird"),
    ],
)
def test_that_the_article_follows_the_word(phrase, expected):
    assert expected in altered_phrases(phrase)


def test_that_another_spelling_is_no_alteration():
    assert "grey cat" not in altered_phrases("gray cat")
    assert "small cat" not in altered_phrases("little cat")


def test_that_words_within_words_are_left_alone():
    assert altered_phrases("a greenhouse with rodeo folders") == ()


def test_that_the_first_attribute_comes_first_and_the_limit_holds():
    altered = altered_phrases("a small dog with a long tail")
    assert altered == ("a large dog with a long tail", "a small dog with a short tail")
    assert len(altered_phrases("a red ball, a blue ball")) == NUM_ALTERED


def test_that_colours_are_named_once_and_in_order():
    assert named_colours("A gray cat, a red and grey rug; greenish") == ("grey", "red")

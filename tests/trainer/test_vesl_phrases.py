"""Captions to phrases: golden captions, exact places, and text that no caption should be."""

import os
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.vesl.phrases import MAX_CHARACTERS, MAX_PHRASES, phrases_of
from trainer.vesl.words import GENERIC, STOP, UNBOXED

GOLDEN = {
    "A person standing on top of a ski covered slope.": ["a person", "a ski", "slope"],
    "A cat sitting on top of a banana tree.": ["a cat", "a banana tree"],
    "A plate topped with baby carrots and beans next to a  peeler.": [
        "a plate",
        "baby carrots",
        "beans",
        "a peeler",
    ],
    "A large clock tower in front of a building next to a fountain.": [
        "a large clock tower",
        "a building",
        "a fountain",
    ],
    "Two men kicking a ball on a city street.": ["men", "a ball", "a city street"],
    "A group of people in red shirts": ["people", "red shirts"],
    "the dog on the left": ["the dog"],
    "A red stop sign and a bathroom sink": ["a red stop sign", "a bathroom sink"],
    "Two teddy bears and a teddy bear": ["teddy", "a teddy bear"],
    "Stock photo of a happy dog, royalty free HD image": ["a happy dog"],
    "A dog background wall": ["a dog wall"],
    "Man's best friend isn't a cat; the child’s toys can’t be seen": [
        "man",
        "best friend",
        "a cat",
        "the child",
        "toys",
    ],
    "a dog standing next to the girls' bikes": ["a dog", "the girls", "bikes"],
    "A <b>red</b> <a href='x.html'>car</a> &amp; a bus": ["a red car", "a bus"],
    "<script>alert(1)</script> a horse": ["a horse"],
    "a happy dog 😀🐕 on the beach 🏖️": ["a happy dog", "the beach"],
    "Cafe\u0301 chairs in a NAÏVE café": ["café chairs", "a naïve café"],
    "一只狗在草地上 a dog": ["a dog"],
    "Собака лежит на траве": [],
    "كلب على العشب": [],
    "12 cats, 3.5 m of rope and a 747 airplane": ["cats", "rope", "airplane"],
    "A U.S. Army truck. A t-shirt! Is that a kite?": ["a u.s. army truck", "a t-shirt", "a kite"],
    "see https://example.org/a-dog.jpg or www.cats.com for a zebra": ["a zebra"],
    "a dog, a dog and A DOG": ["a dog"],
    "": [],
    "   \n\t ": [],
    "?!… -- <> &&": [],
    "the group on the left": [],
    "the very same others": [],
    "İstanbul's ferry": ["i̇stanbul", "ferry"],
}


@pytest.mark.parametrize("caption", GOLDEN)
def test_that_a_caption_has_these_phrases(caption):
    assert [phrase.text for phrase in phrases_of(caption)] == GOLDEN[caption]


def words_of(text):
    return unicodedata.normalize("NFC", text.lower()).replace("’", "'")


@pytest.mark.parametrize("caption", GOLDEN)
def test_that_a_phrase_lies_where_it_says(caption):
    for phrase in phrases_of(caption):
        place = words_of(caption[phrase.start : phrase.end])
        at = 0
        for word in phrase.text.split():
            at = place.index(word, at) + len(word)
        assert place.startswith(phrase.text.split()[0])
        assert at == len(place)


def test_that_a_place_holds_what_was_left_out_between_the_words():
    caption = "See a happy dog background wall"
    (phrase,) = phrases_of(caption)
    assert (phrase.text, caption[phrase.start : phrase.end]) == ("a happy dog wall", "a happy dog background wall")


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=200) | st.lists(st.sampled_from([*GOLDEN, "n't", "'s", "<", "\ud800"]), max_size=6).map(" ".join)
)
def test_that_any_text_gives_phrases_inside_it_in_order(caption):
    phrases = phrases_of(caption)
    assert len({phrase.text for phrase in phrases}) == len(phrases)
    last = 0
    for phrase in phrases:
        assert last <= phrase.start < phrase.end <= len(caption)
        assert phrase.text == " ".join(phrase.text.split())
        last = phrase.end


def test_that_a_caption_gives_twenty_phrases_at_most():
    caption = ", ".join(f"a {color} {thing}" for color in ("red", "green", "blue") for thing in THINGS)
    assert [phrase.text for phrase in phrases_of(caption)] == [
        f"a {color} {thing}" for color in ("red", "green", "blue") for thing in THINGS
    ][:MAX_PHRASES]
    assert len(phrases_of(caption, 3)) == 3


THINGS = ("dog", "cat", "horse", "car", "bus", "tree", "table", "chair", "house")


@pytest.mark.parametrize(
    "piece", ["dog cat ", "a", "<", "<a", "-a", "a.", "n't", "'s", "é", "e\u0301", "&amp;", "a dog. ", "\u200d", "\0"]
)
def test_that_text_without_end_is_read_to_its_limit(piece):
    phrases = phrases_of(piece * 10_000)
    assert all(phrase.end <= MAX_CHARACTERS for phrase in phrases)
    assert all(len(phrase.text) < 1000 for phrase in phrases)


def test_that_ten_thousand_characters_of_sentences_are_read_until_there_are_enough_phrases():
    caption = " ".join(f"A {thing} stands near the {other}." for thing in THINGS for other in THINGS)
    caption *= 10_000 // len(caption) + 1
    assert len(phrases_of(caption)) == 2 * len(THINGS)


def test_that_the_lists_of_words_are_whole():
    assert len(GENERIC) == 61
    assert len(STOP) == 179
    assert not STOP & UNBOXED - {"other", "others"}


def test_that_no_corpus_and_no_hub_is_needed(tmp_path):
    code = "from trainer.vesl.phrases import phrases_of; print([p.text for p in phrases_of('A dog on the beach')])"
    quiet = {"HOME": str(tmp_path), "NLTK_DATA": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": os.environ["PATH"]}
    answer = subprocess.run([sys.executable, "-c", code], env=quiet, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "['a dog', 'the beach']"
    assert list(tmp_path.iterdir()) == []

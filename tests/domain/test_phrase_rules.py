"""Rules of phrases, followed from one to the next."""

import pytest

from locstudio.domain.phrase_rules import PhraseRule, followed


def rules(*given: PhraseRule) -> dict[str, PhraseRule]:
    return {rule.phrase: rule for rule in given}


def test_that_a_phrase_without_a_rule_stands_for_itself():
    assert followed({}, "a cat") == ("a cat", None)


def test_that_rules_lead_from_one_to_the_next():
    chain = rules(PhraseRule("kitty", "cat"), PhraseRule("cat", "animal"), PhraseRule("animal", class_id=3))
    assert followed(chain, "kitty") == ("animal", 3)


def test_that_the_nearest_class_counts():
    chain = rules(PhraseRule("kitty", "cat", 5), PhraseRule("cat", class_id=3))
    assert followed(chain, "kitty") == ("cat", 5)


def test_that_rules_in_a_circle_come_to_an_end():
    circle = rules(PhraseRule("a", "b"), PhraseRule("b", "c"), PhraseRule("c", "a"))
    assert followed(circle, "a") == ("c", None)
    assert followed(rules(PhraseRule("a", "a", 2)), "a") == ("a", 2)


def test_that_a_rule_without_a_phrase_is_refused():
    with pytest.raises(ValueError, match="needs a phrase"):
        PhraseRule("", "b")

"""What phrases are taken for: synonyms that were merged, and phrases that were given a class."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PhraseRule:
    """How a phrase that a run proposes is read.

    ``becomes`` is the phrase that stands for it, empty where it stands for itself; ``class_id`` is the class of its
    regions.

    Raises:
        ValueError: there is no phrase.
    """

    phrase: str
    becomes: str = ""
    class_id: int | None = None

    def __post_init__(self) -> None:
        if not self.phrase:
            raise ValueError("a rule needs a phrase")


def followed(rules: Mapping[str, PhraseRule], phrase: str) -> tuple[str, int | None]:
    """The phrase that stands for ``phrase``, and its class, when one rule leads to the next.

    A class that was given nearer to ``phrase`` counts before one further on; rules in a circle are left where they
    close it.
    """
    seen = {phrase}
    class_id: int | None = None
    while rule := rules.get(phrase):
        class_id = rule.class_id if class_id is None else class_id
        if not rule.becomes or rule.becomes in seen:
            break
        phrase = rule.becomes
        seen.add(phrase)
    return phrase, class_id

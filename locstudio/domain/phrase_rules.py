"""What phrases are taken for: synonyms that were merged, and phrases that were given a class."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from locstudio.domain.regions import LabelClass

_ARTICLES = ("a ", "an ", "the ")


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


def bare(name: str) -> str:
    """A phrase or a class name without case, article and superfluous spaces: "a  Dog" and "dog" are the same."""
    folded = " ".join(name.casefold().split())
    article = next((article for article in _ARTICLES if folded.startswith(article)), "")
    return folded.removeprefix(article)


def classes_by_name(classes: Iterable[LabelClass]) -> dict[str, int]:
    """The class that a bare phrase names; of two that fold to one name the older, and never a retired one."""
    named: dict[str, int] = {}
    for entry in sorted(classes, key=lambda entry: entry.id):
        if not entry.is_retired:
            named.setdefault(bare(entry.name), entry.id)
    return named


def taken_for(rules: Mapping[str, PhraseRule], named: Mapping[str, int], phrase: str) -> tuple[str, int | None]:
    """The phrase that stands for ``phrase``, and its class: by the rules, else the one whose name it is.

    ``named`` is what ``classes_by_name`` says.
    """
    phrase, class_id = followed(rules, phrase)
    return phrase, class_id if class_id is not None else named.get(bare(phrase))

"""Phrases with one attribute altered: "a red car" becomes "a blue car", which it is not.

Words are altered within closed groups, so that what comes out is surely wrong where the phrase was right, and is still
English.  Source: hard fine-grained negatives of FG-CLIP (arXiv:2505.05071), there written by a language model.
"""

import re

NUM_ALTERED = 10
COLOURS = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
_GROUPS = (
    COLOURS,
    ("wooden", "metal", "plastic", "glass", "leather", "paper"),
    ("striped", "spotted", "plain"),
    ("small", "large"),
    ("young", "old"),
    ("long", "short"),
    ("open", "closed"),
    ("empty", "full"),
)
_SPELLINGS = {"gray": "grey", "big": "large", "huge": "large", "little": "small", "tiny": "small"}
_GROUP_OF = {word: group for group in _GROUPS for word in group}
_GROUP_OF |= {spelling: _GROUP_OF[word] for spelling, word in _SPELLINGS.items()}
_ATTRIBUTE = re.compile(r"(?:\b(?P<article>an?) )?\b(?P<word>" + "|".join(_GROUP_OF) + r")\b", re.IGNORECASE)


def altered_phrases(phrase: str, limit: int = NUM_ALTERED) -> tuple[str, ...]:
    """At most ``limit`` phrases that differ in one attribute, the first attribute's alternatives first; none where no
    attribute is named."""
    found = []
    for match in _ATTRIBUTE.finditer(phrase):
        word = match["word"].lower()
        for other in _GROUP_OF[word]:
            if other != _SPELLINGS.get(word, word):
                found.append(phrase[: match.start()] + _with_article(match["article"], other) + phrase[match.end() :])
    return tuple(dict.fromkeys(found))[:limit]


def named_colours(phrase: str) -> tuple[str, ...]:
    """The different colours that a phrase names, in its order."""
    words = [_SPELLINGS.get(word, word) for word in re.findall(r"[a-z]+", phrase.lower())]
    return tuple(dict.fromkeys(word for word in words if word in COLOURS))


def _with_article(article: str | None, word: str) -> str:
    if article is None:
        return word
    own = "an" if word[0] in "aeiou" else "a"
    return f"{own.capitalize() if article[0].isupper() else own} {word}"

"""Captions to noun phrases, each with its place in the caption.  English, offline.

Words are tagged by TextBlob's PatternTagger, whose lexicon lies in its wheel, and chunked by the paper's own grammar.
Text in other scripts than Latin breaks phrases and is part of none: to the tagger it would be one long noun.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from nltk.chunk.regexp import RegexpParser
from textblob.en.taggers import PatternTagger

from trainer.vesl.words import GENERIC, STOP, UNBOXED

MAX_PHRASES = 20
GRAMMAR = "NP: {<DT>?<JJ.*>*<NN.*>+}"
MAX_CHARACTERS = 65_535
"""What of a caption is read: raw proposals keep places in 16 bits."""

_MAX_WORD = 60
_MAX_PHRASE_WORDS = 12
_MAX_SENTENCE_TOKENS = 200
_MARKS = "\u0300-\u036f"
_WORD = rf"[^\W_][^\W_{_MARKS}]*(?:[{_MARKS}]+[^\W_]*)*"
_TOKEN = re.compile(
    rf"""
    (?P<left_out></?[a-z!][^<>]{{0,2000}}>)  # markup
  | (?P<other>&(?:[a-z]{{2,8}}|\#x?[0-9a-f]{{1,6}});|(?:https?://|www\.)\S+)
  | (?P<word>(?:[^\W\d_]\.){{2,}}|[^\W\d_]+(?=n['’]t\b)|n['’]t\b|['’](?:s|re|ve|ll|d|m)\b|{_WORD}(?:-{_WORD})*)
  | (?P<end>[.!?\n])
  | \S
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LATIN = re.compile("[a-zà-ɏ]")
_BREAK = "."
_NEVER_NOUNS = frozenset({"am", "are", "be", "close", "do", "have", "put"})

_tagger = PatternTagger()
_parser = RegexpParser(GRAMMAR)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase of a caption: lower-case, its words one space apart, at the half-open range [start, end) of it.

    Between its words the caption may hold what was left out: markup, and generic words.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Token:
    """A word in lower case, or the break that anything else is."""

    text: str
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        return self.text != _BREAK


def phrases_of(caption: str, limit: int = MAX_PHRASES) -> list[Phrase]:
    """The first ``limit`` noun phrases of a caption, each once.

    Source: CLOC (arXiv:2410.02746), section 3 and its listing: lower-case, generic words out, tags, grammar, phrases of
    stop words out.  Not in the paper: tags are mended (``_mended``), phrases of ``UNBOXED`` words are left out, and so
    are those of more than a dozen words, which are lists.
    """
    found: dict[str, Phrase] = {}
    for sentence in _sentences(caption[:MAX_CHARACTERS]):
        for words in _noun_phrases(sentence):
            texts = [word.text for word in words]
            is_empty = all(text in STOP or text in UNBOXED for text in texts)
            if is_empty or len(texts) > _MAX_PHRASE_WORDS:
                continue
            text = " ".join(texts)
            found.setdefault(text, Phrase(text, words[0].start, words[-1].end))
            if len(found) >= limit:
                return list(found.values())
    return list(found.values())


def _sentences(caption: str) -> Iterator[list[_Token]]:
    sentence: list[_Token] = []
    for match in _TOKEN.finditer(caption):
        kind = match.lastgroup
        if kind == "left_out":
            continue
        if kind == "end" or len(sentence) >= _MAX_SENTENCE_TOKENS:
            yield sentence
            sentence = []
        if kind == "end":
            continue
        text = _BREAK
        if kind == "word":
            text = unicodedata.normalize("NFC", match.group().lower()).replace("’", "'")
            if text in GENERIC:
                continue
            if len(text) > _MAX_WORD:
                text = _BREAK
        sentence.append(_Token(text, match.start(), match.end()))
    yield sentence


def _noun_phrases(sentence: list[_Token]) -> Iterator[list[_Token]]:
    """Runs of tokens that the grammar takes for noun phrases."""
    if not any(token.is_word for token in sentence):
        return
    words = [token.text for token in sentence]
    tags = [tag for _, tag in _tagger.tag(" ".join(words), tokenize=False)]
    assert len(tags) == len(words)
    at = 0
    for chunk in _parser.parse(list(zip(words, _mended(words, tags), strict=True))):
        if isinstance(chunk, tuple):
            at += 1
        else:
            yield sentence[at : at + len(chunk)]
            at += len(chunk)


def _mended(words: list[str], tags: list[str]) -> list[str]:
    """Tags without the tagger's commonest mistakes in captions, and breaks where nothing can be tagged.

    A verb's base form cannot follow an article or an adjective, nor, mostly, a noun in the singular: "a stop sign",
    "a teddy bear", "a bathroom sink".  Of 900 captions of COCO this mends 65 and spoils 10 ("man cross").  What the
    tagger takes for an adjective because of its hyphen is the noun itself where none follows: "a t-shirt".
    """
    mended = [tag if _LATIN.search(word) else _BREAK for word, tag in zip(words, tags, strict=True)]
    for at in range(1, len(words)):
        before, after = mended[at - 1], tags[at + 1] if at + 1 < len(tags) else ""
        if mended[at] in ("VB", "VBP") and words[at] not in _NEVER_NOUNS:
            has_object = after in ("DT", "PRP", "PRP$")
            is_noun = before in ("DT", "JJ") or (before == "NN" and not has_object)
        else:
            is_noun = mended[at] == "JJ" and "-" in words[at] and before == "DT" and not after.startswith(("NN", "JJ"))
        if is_noun:
            mended[at] = "NN"
    return mended

"""Words for what was painted: colours that are measured, phrases, captions."""

from collections import Counter

import numpy as np
from demo_parts.noise import Array, to_picture
from demo_parts.stamps import PLURALS, Stamp
from PIL import Image

NUMBERS = ["no", "a", "two", "three", "four", "five", "six", "seven"]


def colour_word(rgb: Array, alpha: Array, *, is_painted: bool = False) -> str:
    """The name of the colour that most of the opaque, colourful pixels have.

    Args:
        rgb: Picture (H, W, 3) in [0, 1].
        alpha: Opacity (H, W) in [0, 1].
        is_painted: Whether it is a vehicle, whose tyres and windows say nothing about its colour.
    """
    hsv = np.asarray(to_picture(rgb).convert("HSV"), np.float32)[alpha > 0.8] / 255
    hue, saturation, value = hsv.T
    is_coloured = (saturation > 0.33) & (value > 0.16)
    if is_coloured.mean() < 0.22:
        # Tyres and windows take much of a vehicle; its paint is among the brighter parts.
        brightness = float(np.percentile(value, 75 if is_painted else 60))
        dark, bright = (0.42, 0.62) if is_painted else (0.34, 0.80)
        return "black" if brightness < dark else "white" if brightness > bright else "grey"
    votes = Counter[str]()
    for h, s, v in zip(hue[is_coloured][::7], saturation[is_coloured][::7], value[is_coloured][::7], strict=True):
        votes[hue_word(float(h), float(s), float(v))] += 1
    return votes.most_common(1)[0][0]


def told(stamp: Stamp, colour: str) -> str:
    """The measured colour in the word that people use for such a thing: horses are not orange, paint is not brown."""
    if stamp.label == "horse":
        return {"orange": "light brown", "yellow": "golden", "red": "brown", "brown": "dark brown"}.get(colour, colour)
    if stamp.label in ("car", "truck") and colour == "brown":
        return "orange"
    return colour


def hue_word(hue: float, saturation: float, value: float) -> str:
    """The name of one colour in HSV, every channel in [0, 1]."""
    if hue > 0.955 or hue < 0.028:
        return "pink" if saturation < 0.62 and value > 0.72 else "red" if value > 0.30 else "dark red"
    for stop, name in ((0.105, "orange"), (0.20, "yellow"), (0.45, "green"), (0.52, "turquoise"), (0.69, "blue")):
        if hue < stop:
            return "brown" if name == "orange" and value < 0.68 else name
    return "purple" if hue < 0.83 else "pink"


def phrase_for(rng: np.random.Generator, stamp: Stamp, colour: str) -> str:
    """A short description of one object, such as "a brown dog"."""
    if stamp.phrases[0] and rng.random() < 0.36:
        return with_article(str(rng.choice(stamp.phrases)).removeprefix("a ").removeprefix("an ").replace("?", colour))
    return with_article(name_of(stamp, colour))


def name_of(stamp: Stamp, colour: str) -> str:
    """Adjective and noun without an article."""
    adjective = colour if stamp.adjective == "?" else stamp.adjective
    return stamp.noun if adjective == stamp.noun else f"{adjective} {stamp.noun}"


def with_article(words: str) -> str:
    """The words behind the fitting indefinite article; words that are a plural or an article already stay."""
    if words.startswith(("two ", "pliers ")):
        return words
    return f"{'an' if words[0].lower() in 'aeiou' and not words.startswith('one') else 'a'} {words}"


def plural(words: str, noun: str) -> str:
    """The same words for several of them."""
    return words[: len(words) - len(noun)] + PLURALS.get(noun, f"{noun}s")


def caption_for(things: list[tuple[Stamp, str]], place: str) -> str:
    """One sentence that names what is to be seen, largest first, and where.

    Args:
        things: Stamps with their measured colours, the most conspicuous first.
        place: Such as "in a green meadow".
    """
    counts = Counter((name_of(stamp, colour), stamp.noun) for stamp, colour in things)
    parts = []
    for (words, noun), count in list(counts.items())[:5]:
        parts.append(with_article(words) if count == 1 else f"{NUMBERS[count]} {plural(words, noun)}")
    if len(counts) > 5:
        parts.append("more")
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{text[0].upper()}{text[1:]} {place}."


def open_stamp(stamp: Stamp) -> Image.Image:
    """The cut-out as RGBA, without its transparent margin."""
    with Image.open(stamp.file) as opened:
        picture = opened.convert("RGBA")
    box = picture.getchannel("A").point(lambda a: 255 if a > 40 else 0).getbbox()
    assert box is not None, stamp.path
    return picture.crop(box)

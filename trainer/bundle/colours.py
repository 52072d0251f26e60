"""Photos tinted in a colour, so that a phrase with that colour is surely true of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trainer.bundle.photos import Photo
from trainer.recipes.attributes import COLOURS, named_colours

# What black and white of the photo become.
_RAMPS = {
    "black": ((0, 0, 0), (70, 70, 72)),
    "white": ((175, 175, 172), (255, 255, 255)),
    "grey": ((60, 60, 62), (185, 185, 188)),
    "red": ((60, 0, 0), (255, 95, 85)),
    "orange": ((110, 45, 0), (255, 175, 80)),
    "yellow": ((120, 100, 0), (255, 240, 110)),
    "green": ((0, 50, 5), (120, 220, 110)),
    "blue": ((0, 10, 70), (100, 160, 255)),
    "purple": ((45, 0, 60), (195, 115, 235)),
    "pink": ((130, 40, 80), (255, 195, 215)),
    "brown": ((40, 18, 5), (180, 120, 75)),
}
_SHAKE = 20.0


def tinted(photo: Photo, colour: str, random: np.random.Generator) -> Photo:
    """The photo between a dark and a light shade of the colour; its usual name with the colour is its only phrase."""
    # Black, white and grey are shaken alike in all channels, or they would be tinted themselves.
    shake = random.uniform(-_SHAKE, _SHAKE, (2, 1 if colour in ("black", "white", "grey") else 3))
    dark, light = np.array(_RAMPS[colour]) + shake
    luminance = photo.rgb @ np.array([0.299, 0.587, 0.114]) / 255
    rgb = np.clip(dark + luminance[..., None] * (light - dark), 0, 255).astype(np.uint8)
    return replace(photo, rgb=rgb, phrases=tuple((f"{colour} {words[0]}",) for words in photo.phrases))


def tinted_photos(photos: Sequence[Photo], count: int, random: np.random.Generator) -> list[Photo]:
    """So many of the photos whose names say no colour, each in one colour, all colours equally often."""
    plain = [photo for photo in photos if not named_colours(" ".join(words[0] for words in photo.phrases))]
    chosen = random.permutation(len(plain))[:count]
    return [tinted(plain[row], COLOURS[place % len(COLOURS)], random) for place, row in enumerate(chosen)]

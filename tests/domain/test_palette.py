"""Colours of classes."""

import re

import pytest

from locstudio.domain.palette import class_color


def test_that_the_first_twenty_colours_are_all_different_and_so_are_the_next_hundred():
    assert len({class_color(index) for index in range(124)}) == 124


def test_that_a_colour_is_written_as_rrggbb():
    assert all(re.fullmatch("#[0-9a-f]{6}", class_color(index)) for index in range(2000))


def test_that_the_first_eight_differ_for_every_kind_of_colour_vision():
    # Machado, Oliveira, Fernandes (2009), severity 1, on linear light; the distance is Euclidean in sRGB (0 to 255).
    seen_by = {
        "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }
    colors = [[int(class_color(i)[at : at + 2], 16) for at in (1, 3, 5)] for i in range(8)]
    for matrix in seen_by.values():
        linear = [[(value / 255) ** 2.2 for value in color] for color in colors]
        mixed = [[sum(m * v for m, v in zip(row, color, strict=True)) for row in matrix] for color in linear]
        srgb = [[255 * min(max(value, 0), 1) ** (1 / 2.2) for value in color] for color in mixed]
        for first in range(8):
            for second in range(first):
                distance = sum((a - b) ** 2 for a, b in zip(srgb[first], srgb[second], strict=True)) ** 0.5
                assert distance > 25


def test_that_there_is_no_colour_before_the_first():
    with pytest.raises(ValueError):
        class_color(-1)

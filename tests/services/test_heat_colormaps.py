"""Colour tables of heat."""

import numpy as np
import pytest

from locstudio.services.heat.colormaps import COLORMAPS, color_table


def lightness(table_V3):
    """CIE L* of sRGB colours."""
    linear = np.asarray(table_V3, np.float64) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


@pytest.mark.parametrize("name", COLORMAPS)
def test_that_more_heat_is_lighter_everywhere(name):
    light_V = lightness(color_table(name))
    assert np.all(np.diff(light_V) > -0.35)  # a step of a channel is rounded to a whole number
    assert np.all(np.diff(light_V[::8]) > 0)
    assert light_V[-1] - light_V[0] > 70


@pytest.mark.parametrize("name", COLORMAPS)
def test_that_an_inverted_table_is_the_same_from_the_other_end(name):
    assert np.array_equal(color_table(name, is_inverted=True)[::-1], color_table(name))
    assert not color_table(name).flags.writeable


def test_that_a_map_nobody_knows_is_named_in_the_refusal():
    with pytest.raises(LookupError, match="jet"):
        color_table("jet")

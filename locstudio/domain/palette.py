"""Colours for classes: told apart by people with every kind of colour vision, on light and dark photographs."""

import colorsys

# Okabe and Ito's eight (black exchanged for grey), Tol's "muted" and "vibrant" schemes, without their near doubles.
_COLORS = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#332288",
    "#999999",
    "#88ccee",
    "#117733",
    "#ddcc77",
    "#cc6677",
    "#882255",
    "#aa4499",
    "#44aa99",
    "#999933",
    "#ee3377",
    "#33bbee",
    "#bbbbbb",
    "#661100",
    "#6699cc",
    "#aa4466",
    "#4477aa",
)


def class_color(index: int) -> str:
    """The colour ``#rrggbb`` of the class at this position: 24 chosen ones, then hues a golden ratio apart.

    Raises:
        ValueError: the index is negative.
    """
    if index < 0:
        raise ValueError(f"index must not be negative, not {index}")
    if index < len(_COLORS):
        return _COLORS[index]
    turn = index - len(_COLORS)
    hue = (turn * 0.61803398875) % 1.0
    lightness = (0.45, 0.62, 0.34)[turn % 3]
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, 0.65))
    return f"#{red:02x}{green:02x}{blue:02x}"

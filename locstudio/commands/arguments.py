"""What a word of the command line has to be like: argparse types, which refuse with a sentence."""

import argparse


def box(text: str) -> tuple[float, float, float, float]:
    """Four numbers, ``x0,y0,x1,y1``."""
    corners = text.split(",")
    if len(corners) != 4:
        raise argparse.ArgumentTypeError(f"a box is x0,y0,x1,y1 with four numbers, not {text!r}")
    try:
        x0, y0, x1, y1 = (float(corner) for corner in corners)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a box is x0,y0,x1,y1 with four numbers, not {text!r}") from error
    return x0, y0, x1, y1


def point(text: str) -> tuple[float, float]:
    """Two numbers, ``x,y``."""
    try:
        x, y = (float(place) for place in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a point is x,y with two numbers, not {text!r}") from error
    return x, y


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a whole number above 0, not {text!r}")
    return int(text)


def reviews(text: str) -> str:
    """Words of review with commas between them."""
    unknown = set(text.split(",")) - {"accepted", "pending", "rejected"}
    if unknown:
        raise argparse.ArgumentTypeError(f"accepted, pending or rejected, with commas between them, not {text!r}")
    return text


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"a number from 0 to 1, not {text!r}")
    return share

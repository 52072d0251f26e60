"""Routing in typed words: ``expert:3``, ``margin<0.2`` and ``mismatch:yes`` among the words of a filter."""

import re
from dataclasses import replace

from locstudio.services.routing.wishes import RoutingWish

_EXPERT = re.compile(r"expert:(\d{1,4}(?:,\d{1,4})*)", re.IGNORECASE)
_MARGIN = re.compile(r"margin<(\d*\.?\d+)", re.IGNORECASE)


def taken_from(words: str, num_experts: int) -> tuple[str, RoutingWish]:
    """What is said of routing in these words, and the words without that.

    Experts are counted from 1; one that the router does not have stays a word, and so finds what is called so.
    """
    rest, wish = [], RoutingWish()
    for word in words.split():
        if (found := _EXPERT.fullmatch(word)) and all(0 < int(n) <= num_experts for n in found[1].split(",")):
            wish = replace(wish, experts=wish.experts | {int(number) - 1 for number in found[1].split(",")})
        elif found := _MARGIN.fullmatch(word):
            wish = replace(wish, max_margin=float(found[1]))
        elif word.casefold() == "mismatch:yes":
            wish = replace(wish, has_mismatch=True)
        else:
            rest.append(word)
    return " ".join(rest), wish

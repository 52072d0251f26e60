"""Which images a person wants to see, as a value and as SQL.

An image carries ``region_states``: one bit for each pair of review and origin that one of its regions has.  So most
filters look at the image table alone, and a filter by class asks the region table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, Select, case, literal_column, or_, select, text, tuple_

from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Origin, Problem, Review
from locstudio.store.schema import image, image_class, region
from locstudio.store.words import WORD_TABLES, match_expression

_REVIEWS = tuple(Review)
_ORIGINS = tuple(Origin)


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Conditions that an image must meet, all of them; an empty one is met by all.

    ``reviews``, ``origins`` and ``class_ids`` speak of one and the same region: "has a pending region of class 3".
    A class alone is also met by an image of which it is said that the class is there, with or without a region.
    ``words`` must all occur in one text of the image: its path, a caption or a phrase.
    """

    reviews: frozenset[Review] = frozenset()
    origins: frozenset[Origin] = frozenset()
    class_ids: frozenset[int] = frozenset()
    problems: frozenset[Problem] = frozenset()
    has_problem: bool | None = None
    has_regions: bool | None = None
    is_verified: bool | None = None
    split: str = ""
    words: str = ""
    order: Literal["path", "id"] = "path"


@dataclass(frozen=True, slots=True)
class Facets:
    """How many images have at least one region of each kind, and how many are in each state of their own.

    ``classes`` counts an image as well of which it is said that the class is there.
    """

    num_images: int
    num_without_regions: int
    num_verified: int
    reviews: dict[Review, int] = field(default_factory=dict)
    origins: dict[Origin, int] = field(default_factory=dict)
    classes: dict[int, int] = field(default_factory=dict)
    problems: dict[Problem, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)

    @property
    def num_problems(self) -> int:
        """Images that cannot be used as they are."""
        return sum(count for problem, count in self.problems.items() if problem)


def state_bit(review: Review, origin: Origin) -> int:
    """The bit of ``image.region_states`` for regions in this state."""
    return 1 << (_REVIEWS.index(review) * len(_ORIGINS) + _ORIGINS.index(origin))


def state_bits(reviews: frozenset[Review], origins: frozenset[Origin]) -> int:
    """The bits of all states that meet both conditions; an empty condition is met by all."""
    return sum(state_bit(r, o) for r in reviews or _REVIEWS for o in origins or _ORIGINS)


def region_state_bit() -> ColumnElement[int]:
    """``state_bit`` of a region's row, in SQL."""
    by_review: dict[str, Any] = {
        str(review): literal_column(str(state_bit(review, _ORIGINS[0]))) for review in _REVIEWS
    }
    by_origin: dict[str, Any] = {
        str(origin): literal_column(str(state_bit(_REVIEWS[0], origin))) for origin in _ORIGINS
    }
    return case(by_review, value=region.c.review) * case(by_origin, value=region.c.origin)


def conditions(wanted: ImageFilter, *, is_class_common: bool = False) -> list[ColumnElement[bool]]:
    """The filter as conditions on the image table.

    ``is_class_common``: look for the class image by image, which is quick where most images have it.
    """
    found: list[ColumnElement[bool]] = []
    if wanted.has_regions is not None:
        found.append(image.c.region_states != 0 if wanted.has_regions else image.c.region_states == 0)
    if wanted.problems:
        found.append(image.c.problem.in_(sorted(wanted.problems)))
    if wanted.has_problem is not None:
        found.append(image.c.problem != "" if wanted.has_problem else image.c.problem == "")
    if wanted.is_verified is not None:
        found.append(image.c.is_verified.is_(wanted.is_verified))
    if wanted.split:
        found.append(image.c.split == wanted.split)
    found += _region_conditions(wanted, is_class_common=is_class_common)
    found += _word_conditions(wanted.words)
    return found


def _region_conditions(wanted: ImageFilter, *, is_class_common: bool) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.reviews or wanted.origins:
        bits = state_bits(wanted.reviews, wanted.origins)
        found.append(image.c.region_states.bitwise_and(literal_column(str(bits))) != 0)
    if wanted.class_ids:
        of_class = select(region.c.image_id).where(region.c.class_id.in_(sorted(wanted.class_ids)))
        if wanted.reviews:
            of_class = of_class.where(region.c.review.in_(sorted(wanted.reviews)))
        if wanted.origins:
            of_class = of_class.where(region.c.origin.in_(sorted(wanted.origins)))
        said = select(image_class.c.image_id).where(
            image_class.c.class_id.in_(sorted(wanted.class_ids)), image_class.c.presence == str(Presence.POSITIVE)
        )
        of_kind = [of_class] if wanted.reviews or wanted.origins else [of_class, said]
        if is_class_common:
            own = [query.where(query.selected_columns.image_id == image.c.id) for query in of_kind]
            found.append(or_(*(query.correlate(image).exists() for query in own)))
        else:
            found.append(or_(*(image.c.id.in_(query) for query in of_kind)))
    return found


def _word_conditions(words: str) -> list[ColumnElement[bool]]:
    expression = match_expression(words)
    if not expression:
        return []
    parts = []
    for index, (table, _) in WORD_TABLES.items():
        owner = "id" if table == "image" else "image_id"
        parts.append(f"SELECT {owner} FROM {table} WHERE id IN (SELECT rowid FROM {index} WHERE {index} MATCH :words)")
    found = text("image.id IN (" + " UNION ALL ".join(parts) + ")").bindparams(words=expression)
    return [cast(ColumnElement[bool], found)]


def order_columns(wanted: ImageFilter) -> list[ColumnElement[Any]]:
    """The order in which the images are shown; total, so that a page can begin after any of them."""
    return [image.c.id] if wanted.order == "id" else [image.c.root_id, image.c.path]


def page_query(
    wanted: ImageFilter,
    columns: Sequence[ColumnElement[Any]],
    after_id: int,
    limit: int,
    *,
    is_class_common: bool = False,
) -> Select[Any]:
    """Rows of the filter that follow the image ``after_id``, from the first when it is 0."""
    found = conditions(wanted, is_class_common=is_class_common)
    query = select(*columns).where(*found).order_by(*order_columns(wanted)).limit(limit)
    if after_id == 0:
        return query
    if wanted.order == "id":
        return query.where(image.c.id > after_id)
    last = image.alias("last")
    at = select(last.c.root_id, last.c.path).where(last.c.id == after_id).scalar_subquery()
    return query.where(tuple_(image.c.root_id, image.c.path) > at)

"""Whole lists of images: their identities, their number, their facets."""

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select, union_all

from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Image, Origin, Problem, Review
from locstudio.store import schema
from locstudio.store.filters import Facets, ImageFilter, conditions, order_columns, page_query, state_bits
from locstudio.store.joining import joined, numbers_of
from locstudio.store.rows import IMAGE_COLUMNS, image_of, values_of

_image = schema.image.c
# From so many regions or labels of a class on, a page is found sooner by walking through the images than through it.
_COMMON_FROM = 20_000


def page_of(connection: Connection, wanted: ImageFilter, after_id: int, limit: int) -> list[Image]:
    """The next images of a filter after ``after_id``, in its order."""
    is_common = bool(wanted.class_ids) and _is_common(connection, wanted.class_ids)
    query = page_query(wanted, IMAGE_COLUMNS, after_id, limit, is_class_common=is_common)
    return values_of(image_of, connection.execute(query).all())


def _is_common(connection: Connection, class_ids: frozenset[int]) -> bool:
    region, label = schema.region.c, schema.image_class.c
    wanted = sorted(class_ids)
    either = union_all(
        select(region.class_id).where(region.class_id.in_(wanted)),
        select(label.class_id).where(label.class_id.in_(wanted), label.presence == str(Presence.POSITIVE)),
    )
    some = either.limit(_COMMON_FROM).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one()) == _COMMON_FROM


def ids_of(connection: Connection, wanted: ImageFilter) -> NDArray[np.int64]:
    """Identities of all images of a filter, in its order."""
    (ids,) = joined(connection, select(_image.id).where(*conditions(wanted)).order_by(*order_columns(wanted)))
    return numbers_of(ids)


def count_of(connection: Connection, wanted: ImageFilter) -> int:
    """How many images meet a filter."""
    return int(
        connection.execute(select(func.count()).select_from(schema.image).where(*conditions(wanted))).scalar_one()
    )


def facets_of(connection: Connection, wanted: ImageFilter) -> Facets:
    """Count the images of a filter by everything that the chips show."""
    states = (_image.region_states, _image.problem, _image.is_verified, _image.split)
    query = select(*states, func.count()).where(*conditions(wanted)).group_by(*states)
    rows = connection.execute(query).all()
    bits = [(int(row[0]), int(row[4])) for row in rows]

    def count_with(mask: int) -> int:
        return sum(count for states, count in bits if states & mask)

    problems = dict.fromkeys(Problem, 0)
    splits: dict[str, int] = {}
    for _, problem, _, split, count in rows:
        problems[Problem(problem)] += count
        splits[split] = splits.get(split, 0) + count
    return Facets(
        num_images=sum(count for _, count in bits),
        num_without_regions=sum(count for states, count in bits if states == 0),
        num_verified=sum(row[4] for row in rows if row[2]),
        reviews={review: count_with(state_bits(frozenset({review}), frozenset())) for review in Review},
        origins={origin: count_with(state_bits(frozenset(), frozenset({origin}))) for origin in Origin},
        classes=_class_counts(connection, wanted),
        problems=problems,
        splits=splits,
    )


def _class_counts(connection: Connection, wanted: ImageFilter) -> dict[int, int]:
    """Images by class: those with a region of it, and those without one of which it is said that the class is there."""
    region, label = schema.region.c, schema.image_class.c
    drawn = (
        select(region.class_id, func.count(region.image_id.distinct()))
        .where(region.class_id.is_not(None))
        .group_by(region.class_id)
    )
    is_drawn = select(region.id).where(region.class_id == label.class_id, region.image_id == label.image_id).exists()
    said = (
        select(label.class_id, func.count())
        .where(label.presence == str(Presence.POSITIVE), ~is_drawn)
        .group_by(label.class_id)
    )
    if found := conditions(wanted):
        images = select(_image.id).where(*found)
        drawn, said = drawn.where(region.image_id.in_(images)), said.where(label.image_id.in_(images))
    counts: dict[int, int] = {}
    for class_id, count in (*connection.execute(drawn), *connection.execute(said)):
        counts[int(class_id)] = counts.get(int(class_id), 0) + int(count)
    return counts

"""What is said of the classes of whole images, and what was painted on heatmaps.  Axes: N = rows."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BindParameter, Connection, bindparam, select

from locstudio.domain.heat_corrections import HeatCorrection
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Origin
from locstudio.store import schema
from locstudio.store.changing import chunks
from locstudio.store.connections import damage_named
from locstudio.store.joining import coded, codes_of, joined, numbers_of, refuse_ragged
from locstudio.store.rows import CORRECTION_COLUMNS, LABEL_COLUMNS, correction_of, label_of, values_of

PRESENCE_CODES = {str(Presence.POSITIVE): 1, str(Presence.NEGATIVE): 0, str(Presence.UNKNOWN): -1}
"""How ``LabelColumns`` says presence."""
_ORIGIN_CODES = {str(origin): code for code, origin in enumerate(Origin)}

_l = schema.image_class.c
_h = schema.heatmap_correction.c
_keys: BindParameter[Any] = bindparam("keys", expanding=True)
_labels_of = select(*LABEL_COLUMNS).where(_l.image_id.in_(_keys)).order_by(_l.image_id, _l.class_id)
_every_label = select(
    _l.image_id, _l.class_id, coded(_l.presence, PRESENCE_CODES), coded(_l.origin, _ORIGIN_CODES)
).order_by(_l.image_id, _l.class_id)
_corrections_of = select(*CORRECTION_COLUMNS).where(_h.image_id.in_(_keys)).order_by(_h.id)
_correction_page = select(*CORRECTION_COLUMNS).where(_h.id > bindparam("after")).order_by(_h.id).limit(bindparam("num"))
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class LabelColumns:
    """Every label of the images of a dataset, by rising image and class.

    Attributes:
        image_ids: Images, (N,).
        class_ids: Classes, (N,).
        presence: 1 positive, 0 negative, -1 unknown, (N,).
        origins: Positions in ``Origin``, (N,).
    """

    image_ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    presence: NDArray[np.int8]
    origins: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.image_ids)


def labels_of_images(connection: Connection, image_ids: Sequence[int]) -> dict[int, list[ImageLabel]]:
    """What is said of several images, by rising class; every image asked for has a list, perhaps empty."""
    found: dict[int, list[ImageLabel]] = {int(key): [] for key in image_ids}
    for chunk in chunks(list(found)):
        for label in values_of(label_of, connection.execute(_labels_of, {"keys": chunk}).all()):
            found[label.image_id].append(label)
    return found


def label_columns(connection: Connection) -> LabelColumns:
    """Every label, by columns."""
    with damage_named():
        images, classes, presence, origins = joined(connection, _every_label)
        found = LabelColumns(numbers_of(images), numbers_of(classes), codes_of(presence), codes_of(origins))
        refuse_ragged(found.image_ids, found.class_ids, found.presence, found.origins)
    return found


def corrections_of_images(connection: Connection, image_ids: Sequence[int]) -> dict[int, list[HeatCorrection]]:
    """What was painted on several images, oldest first; every image asked for has a list, perhaps empty."""
    found: dict[int, list[HeatCorrection]] = {int(key): [] for key in image_ids}
    for chunk in chunks(list(found)):
        for correction in _readable(connection.execute(_corrections_of, {"keys": chunk}).all()):
            found[correction.image_id].append(correction)
    return found


def corrections_page(connection: Connection, after_id: int, limit: int) -> list[HeatCorrection]:
    """The next corrections after ``after_id``; fewer than ``limit`` only at the end."""
    found: list[HeatCorrection] = []
    while len(found) < limit:
        rows = connection.execute(_correction_page, {"after": after_id, "num": limit - len(found)}).all()
        if not rows:
            break
        found += _readable(rows)
        after_id = rows[-1][0]
    return found


def corrected_image_ids(connection: Connection) -> NDArray[np.int64]:
    """The images on whose heatmaps something was painted, by rising identity."""
    found = connection.execute(select(_h.image_id).distinct().order_by(_h.image_id)).scalars().all()
    return np.array(found, np.int64)


def _readable(rows: Sequence[Sequence[Any]]) -> list[HeatCorrection]:
    # The shapes are JSON that any program may have written: one that is no strokes is passed over.
    found = []
    for row in rows:
        try:
            found.append(correction_of(row))
        except ValueError as error:
            _log.warning("Heat correction %s of image %s is passed over: %s", row[0], row[1], error)
    return found

"""The one-click fix of each geometry rule, as one undo step."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from locstudio.domain.edits import Edit
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Origin, Region, Review
from locstudio.services.curation.deciding import Chosen
from locstudio.services.curation.drafting import Draft, drafts, edit_of
from locstudio.services.curation.geometry import DEFAULTS, GeometrySettings, Rule
from locstudio.services.curation.table import Pool
from locstudio.store.dataset import Dataset


def fix(
    dataset: Dataset,
    pool: Pool,
    rows: Chosen,
    rule: Rule,
    settings: GeometrySettings = DEFAULTS,
    *,
    is_selected: bool = False,
) -> Edit:
    """Fix what breaks a rule: ``OUTSIDE`` is clamped to the border, everything else is rejected.

    What a person drew, changed or locked is left alone, unless she has selected these very rows (``is_selected``);
    locked regions keep their place even then.  A clamped box of a model stays a model's, and waits for its review.
    """
    found = drafts(dataset, pool, rows)
    if not is_selected:
        found = [draft for draft in found if not _is_own(draft.region)]
    if rule is not Rule.OUTSIDE:
        pairs = [(draft, draft.reviewed(Review.REJECTED)) for draft in found]
        return edit_of(_titled(rule, pairs), [pair for pair in pairs if pair[0].region != pair[1]])
    pairs = [(draft, _clamped(pool, draft, settings)) for draft in found if not draft.region.is_locked]
    pairs = [pair for pair in pairs if pair[0].region != pair[1]]
    return edit_of(_titled(rule, pairs), pairs, is_by_hand=False)


def _is_own(region: Region) -> bool:
    return region.is_locked or region.origin in (Origin.HUMAN, Origin.EDITED)


def _clamped(pool: Pool, draft: Draft, settings: GeometrySettings) -> Region:
    """The region with every side that ends just before the border on the border."""
    width, height = np.maximum(pool.sides_of(np.array([draft.row]))[0], 1).tolist()
    x0, y0, x1, y1 = draft.region.box.as_tuple()
    near_x, near_y = settings.border_px / width, settings.border_px / height
    box = UnitBox(
        0.0 if x0 <= near_x else x0,
        0.0 if y0 <= near_y else y0,
        1.0 if 1 - x1 <= near_x else x1,
        1.0 if 1 - y1 <= near_y else y1,
    )
    # What the mask outlines is the same thing, so it stays.
    return draft.region if box == draft.region.box else replace(draft.region, box=box)


def _titled(rule: Rule, pairs: Sequence[tuple[Draft, Region]]) -> str:
    verb = "Clamp" if rule is Rule.OUTSIDE else "Reject"
    count = len(pairs)
    return f"{verb} {rule} box" if count == 1 else f"{verb} {count} {rule} boxes"

"""What an importer put into a dataset before, found by the identities of the file it came from."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from locstudio.domain.regions import Caption, Region
from locstudio.store import schema
from locstudio.store.changing import chunks
from locstudio.store.rows import CAPTION_COLUMNS, REGION_COLUMNS, caption_of, region_of, values_of
from locstudio.store.view import DatasetView

_any_region = select(schema.region.c.id).where(
    schema.region.c.source == bindparam("name"), schema.region.c.external_id != ""
)
_regions = select(*REGION_COLUMNS).where(
    schema.region.c.source == bindparam("name"),
    schema.region.c.external_id != "",
    schema.region.c.external_id.in_(bindparam("keys", expanding=True)),
)
_any_label = select(schema.image_class.c.image_id).where(schema.image_class.c.source == bindparam("name"))
_captions = select(*CAPTION_COLUMNS).where(
    schema.caption.c.source == bindparam("name"), schema.caption.c.image_id.in_(bindparam("keys", expanding=True))
)
_any_caption = select(schema.caption.c.id).where(schema.caption.c.source == bindparam("name"))


def has_rows_from(dataset: DatasetView, source: str) -> bool:
    """Whether any region, caption or label of an image came from this source."""
    return any(dataset._rows(query.limit(1), name=source) for query in (_any_region, _any_caption, _any_label))


def regions_from(dataset: DatasetView, source: str, external_ids: Sequence[str]) -> list[Region]:
    """Regions that came from this source under these identities."""
    found: list[Region] = []
    for chunk in chunks(external_ids):
        found += values_of(region_of, dataset._rows(_regions, name=source, keys=chunk))
    return found


def captions_from(dataset: DatasetView, source: str, image_ids: Sequence[int]) -> list[Caption]:
    """Captions of these images that came from this source."""
    found: list[Caption] = []
    for chunk in chunks(image_ids):
        found += values_of(caption_of, dataset._rows(_captions, name=source, keys=chunk))
    return found

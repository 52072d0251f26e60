"""Reading a dataset: images, regions, captions, classes, words, counts.  Callable from any thread."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, bindparam, func, inspect, select

from locstudio.domain.heat_corrections import HeatCorrection
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.phrase_rules import PhraseRule
from locstudio.domain.regions import Caption, Image, LabelClass, Region, Superclass
from locstudio.store import schema
from locstudio.store.changing import chunks
from locstudio.store.columns import (
    ImageContents,
    ImageSizes,
    RegionColumns,
    image_contents,
    image_sizes,
    region_classes,
    region_columns,
)
from locstudio.store.connections import damage_named, failures_named
from locstudio.store.edit_log import HistoryEntry, count_corrections_since, read_history
from locstudio.store.filters import Facets, ImageFilter
from locstudio.store.image_lists import count_of, facets_of, ids_of, page_of
from locstudio.store.ingesting import RunEvent
from locstudio.store.labels import (
    LabelColumns,
    corrected_image_ids,
    corrections_of_images,
    corrections_page,
    label_columns,
    labels_of_images,
)
from locstudio.store.records import CheckpointRow, RunRow, SavedSearch
from locstudio.store.region_history import RegionEdit, edits_of_region
from locstudio.store.rows import (
    CAPTION_COLUMNS,
    CLASS_COLUMNS,
    IMAGE_COLUMNS,
    REGION_COLUMNS,
    RULE_COLUMNS,
    SUPERCLASS_COLUMNS,
    ImageRoot,
    caption_of,
    class_of,
    image_of,
    region_of,
    rule_of,
    stored_path,
    superclass_of,
    values_of,
)
from locstudio.store.settings import read_revision, read_setting
from locstudio.store.words import match_expression

_EVERYTHING = ImageFilter()

_roots = select(schema.image_root.c.id, schema.image_root.c.path).order_by(schema.image_root.c.id)
_images = select(*IMAGE_COLUMNS).where(schema.image.c.id.in_(bindparam("keys", expanding=True)))
_named = select(*IMAGE_COLUMNS).order_by(schema.image.c.root_id, schema.image.c.path)
_regions = select(*REGION_COLUMNS).where(schema.region.c.id.in_(bindparam("keys", expanding=True)))
_regions_of = select(*REGION_COLUMNS).where(schema.region.c.image_id == bindparam("of")).order_by(schema.region.c.id)
_region_page = (
    select(*REGION_COLUMNS)
    .where(schema.region.c.id > bindparam("after"))
    .order_by(schema.region.c.id)
    .limit(bindparam("num"))
)
_classes = select(*CLASS_COLUMNS).order_by(schema.label_class.c.id)
_superclasses = select(*SUPERCLASS_COLUMNS).order_by(schema.superclass.c.id)
_captions_of = (
    select(*CAPTION_COLUMNS).where(schema.caption.c.image_id == bindparam("of")).order_by(schema.caption.c.id)
)
_captions = select(*CAPTION_COLUMNS).where(schema.caption.c.id.in_(bindparam("keys", expanding=True)))
_caption_page = (
    select(*CAPTION_COLUMNS)
    .where(schema.caption.c.id > bindparam("after"))
    .order_by(schema.caption.c.id)
    .limit(bindparam("num"))
)
_rules = select(*RULE_COLUMNS).order_by(schema.phrase_rule.c.phrase)
_regions_with_phrases = (
    select(*REGION_COLUMNS)
    .where(schema.region.c.phrase.in_(bindparam("keys", expanding=True)), schema.region.c.phrase != "")
    .order_by(schema.region.c.id)
)
_num_phrases = func.count().label("num")
_phrases = (
    select(schema.region.c.phrase, _num_phrases)
    .where(schema.region.c.phrase != "")
    .group_by(schema.region.c.phrase)
    .order_by(_num_phrases.desc(), schema.region.c.phrase)
    .limit(bindparam("num"))
)


class DatasetView:
    """Every read of a dataset.  ``Dataset`` adds what writes."""

    def __init__(self, readers: Engine, roots: dict[int, str] | None = None) -> None:
        self._readers = readers
        self._moved_roots = roots or {}
        self._root_paths: dict[int, str] = {}
        self._facets: dict[ImageFilter, tuple[int, Facets]] = {}

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with failures_named("Not read"), self._readers.begin() as connection:
            yield connection

    def _rows(self, query: Any, **values: object) -> Sequence[Any]:
        with self._read() as connection:
            return connection.execute(query, values).all()

    def revision(self) -> int:
        """How many writes the dataset has seen."""
        with self._read() as connection:
            return read_revision(connection)

    def get_setting(self, key: str, default: str = "") -> str:
        """What ``set_setting`` has put under the key."""
        with self._read() as connection:
            return read_setting(connection, f"user.{key}", default)

    def roots(self) -> list[ImageRoot]:
        """The folders of images, oldest first."""
        return [ImageRoot(row.id, self._moved_roots.get(row.id, row.path)) for row in self._rows(_roots)]

    def image_file(self, image: Image) -> Path:
        """Where the image's file should be.

        Raises:
            LookupError: the image's root is not in the dataset.
        """
        if image.root_id not in self._root_paths:
            self._root_paths = {root.id: root.path for root in self.roots()}
        if image.root_id not in self._root_paths:
            raise LookupError(f"no image root {image.root_id}")
        return Path(self._root_paths[image.root_id], image.path)

    def image(self, image_id: int) -> Image | None:
        """One image."""
        found = self.images([image_id])
        return found[0] if found else None

    def images(self, image_ids: Sequence[int]) -> list[Image]:
        """Images in the order of their identities as given; unknown ones are left out."""
        return self._in_order(_images, image_of, image_ids)

    def images_named(self, name: str, limit: int = 10) -> list[Image]:
        """Images with this path; if none, with this file name; if none, with this anywhere in their path."""
        path = schema.image.c.path
        stored = stored_path(name.replace("\\", "/")).lstrip("/")
        for condition in (
            path == stored,
            path.endswith(f"/{stored}", autoescape=True),
            path.contains(stored, autoescape=True),
        ):
            if found := values_of(image_of, self._rows(_named.where(condition).limit(limit))):
                return found
        return []

    def images_at(self, root_id: int, paths: Sequence[str]) -> dict[str, Image]:
        """The images of a root by their paths; unknown ones are left out."""
        query = select(*IMAGE_COLUMNS).where(
            schema.image.c.root_id == root_id, schema.image.c.path.in_(bindparam("keys", expanding=True))
        )
        found: dict[str, Image] = {}
        for chunk in chunks(paths):
            rows = self._rows(query, keys=[stored_path(path) for path in chunk])
            found.update({image.path: image for image in values_of(image_of, rows)})
        return found

    def images_with_content(self, sha256: str) -> list[Image]:
        """Images whose file has this hash."""
        query = select(*IMAGE_COLUMNS).where(schema.image.c.sha256 == bindparam("sha"), schema.image.c.sha256 != "")
        return values_of(image_of, self._rows(query, sha=sha256))

    def image_ids(self, wanted: ImageFilter = _EVERYTHING) -> NDArray[np.int64]:
        """Identities of all images of a filter, in its order."""
        with self._read() as connection:
            return ids_of(connection, wanted)

    def image_page(self, wanted: ImageFilter = _EVERYTHING, after_id: int = 0, limit: int = 200) -> list[Image]:
        """The next images of a filter after ``after_id``, in its order; from the first when it is 0."""
        with self._read() as connection:
            return page_of(connection, wanted, int(after_id), limit)

    def count_images(self, wanted: ImageFilter = _EVERYTHING) -> int:
        """How many images meet a filter."""
        with self._read() as connection:
            return count_of(connection, wanted)

    def facets(self, wanted: ImageFilter = _EVERYTHING) -> Facets:
        """Counts of the filter's images by review, origin, class, problem, split; remembered until the next write."""
        revision = self.revision()
        known = self._facets.get(wanted)
        if known and known[0] == revision:
            return known[1]
        with self._read() as connection, damage_named():
            found = facets_of(connection, wanted)
        self._facets = {key: entry for key, entry in self._facets.items() if entry[0] == revision}
        self._facets[wanted] = revision, found
        return found

    def regions_of(self, image_id: int) -> list[Region]:
        """The regions of an image, oldest first."""
        return values_of(region_of, self._rows(_regions_of, of=int(image_id)))

    def regions_of_images(self, image_ids: Sequence[int]) -> dict[int, list[Region]]:
        """The regions of several images; every image asked for has a list, perhaps empty."""
        query = select(*REGION_COLUMNS).where(schema.region.c.image_id.in_(bindparam("keys", expanding=True)))
        found: dict[int, list[Region]] = {int(key): [] for key in image_ids}
        for chunk in chunks(list(found)):
            for region in values_of(region_of, self._rows(query.order_by(schema.region.c.id), keys=chunk)):
                found[region.image_id].append(region)
        return found

    def regions(self, region_ids: Sequence[int]) -> list[Region]:
        """Regions in the order of their identities as given; unknown ones are left out."""
        return self._in_order(_regions, region_of, region_ids)

    def region_page(self, after_id: int = 0, limit: int = 1000) -> list[Region]:
        """The next regions of the whole dataset after ``after_id``, by identity."""
        return values_of(region_of, self._rows(_region_page, after=int(after_id), num=limit))

    def region_columns(self) -> RegionColumns:
        """Every region, by columns."""
        with self._read() as connection:
            return region_columns(connection)

    def image_sizes(self) -> ImageSizes:
        """Every image with its size, by columns."""
        with self._read() as connection:
            return image_sizes(connection)

    def image_contents(self) -> ImageContents:
        """Every image with the hash of its file and its problem, by columns."""
        with self._read() as connection:
            return image_contents(connection)

    def region_classes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Images and classes of all regions that count as true, each pair once, by rising image and class."""
        with self._read() as connection:
            return region_classes(connection)

    def regions_with_phrases(self, phrases: Sequence[str]) -> list[Region]:
        """Regions whose phrase is one of these, to the letter."""
        found: list[Region] = []
        for chunk in chunks(list(dict.fromkeys(phrases))):
            found += values_of(region_of, self._rows(_regions_with_phrases, keys=chunk))
        return found

    def edits_of_region(self, region_id: int) -> list[RegionEdit]:
        """Every edit of a region, oldest first, undone ones included."""
        with self._read() as connection:
            return edits_of_region(connection, int(region_id))

    def count_regions(self) -> int:
        """How many regions there are."""
        return int(self._rows(select(func.count()).select_from(schema.region))[0][0])

    def classes(self) -> list[LabelClass]:
        """The vocabulary, retired classes included, oldest first."""
        return values_of(class_of, self._rows(_classes))

    def superclasses(self, *, with_retired: bool = False) -> list[Superclass]:
        """The groups of classes that one expert looks at, oldest first; retired ones on demand."""
        found = values_of(superclass_of, self._rows(_superclasses))
        return [each for each in found if with_retired or not each.is_retired]

    def phrase_rules(self) -> dict[str, PhraseRule]:
        """What phrases are taken for, by phrase; a snapshot of an older schema has none."""
        with self._read() as connection:
            if not inspect(connection).has_table(schema.phrase_rule.name):
                return {}
            rows = connection.execute(_rules).all()
        return {rule.phrase: rule for rule in values_of(rule_of, rows)}

    def labels_of(self, image_id: int) -> list[ImageLabel]:
        """What is said of the classes of an image as a whole, by rising class."""
        return self.labels_of_images([image_id])[int(image_id)]

    def labels_of_images(self, image_ids: Sequence[int]) -> dict[int, list[ImageLabel]]:
        """What is said of several images; every image asked for has a list, perhaps empty."""
        with self._read() as connection:
            return labels_of_images(connection, image_ids)

    def label_columns(self) -> LabelColumns:
        """What is said of every image, by columns."""
        with self._read() as connection:
            return label_columns(connection)

    def corrections_of(self, image_id: int) -> list[HeatCorrection]:
        """What was painted on the heatmaps of an image, oldest first."""
        return self.corrections_of_images([image_id])[int(image_id)]

    def corrections_of_images(self, image_ids: Sequence[int]) -> dict[int, list[HeatCorrection]]:
        """What was painted on several images; every image asked for has a list, perhaps empty."""
        with self._read() as connection:
            return corrections_of_images(connection, image_ids)

    def corrections_page(self, after_id: int = 0, limit: int = 1000) -> list[HeatCorrection]:
        """The next corrections of the whole dataset after ``after_id``, by identity."""
        with self._read() as connection:
            return corrections_page(connection, int(after_id), limit)

    def corrected_image_ids(self) -> NDArray[np.int64]:
        """The images on whose heatmaps something was painted, by rising identity."""
        with self._read() as connection:
            return corrected_image_ids(connection)

    def captions(self, caption_ids: Sequence[int]) -> list[Caption]:
        """Captions in the order of their identities as given; unknown ones are left out."""
        return self._in_order(_captions, caption_of, caption_ids)

    def captions_of(self, image_id: int) -> list[Caption]:
        """The captions of an image, oldest first."""
        return values_of(caption_of, self._rows(_captions_of, of=int(image_id)))

    def captions_page(self, after_id: int = 0, limit: int = 1000) -> list[Caption]:
        """The next captions of the whole dataset after ``after_id``, by identity."""
        return values_of(caption_of, self._rows(_caption_page, after=int(after_id), num=limit))

    def phrases(self, limit: int = 1000) -> list[tuple[str, int]]:
        """Phrases with the number of their regions, most used first."""
        return [(row.phrase, row.num) for row in self._rows(_phrases, num=limit)]

    def regions_with_words(self, words: str, limit: int = 200) -> list[int]:
        """Identities of regions whose phrase has every word (the last may be a beginning), oldest first."""
        expression = match_expression(words)
        if not expression:
            return []
        statement = "SELECT rowid FROM region_words WHERE region_words MATCH ? ORDER BY rowid LIMIT ?"
        with self._read() as connection:
            return [int(row[0]) for row in connection.exec_driver_sql(statement, (expression, limit))]

    def history(self, limit: int = 200) -> list[HistoryEntry]:
        """The newest undo steps that are done or can be redone, newest first."""
        with self._read() as connection:
            return read_history(connection, limit)

    def corrections_since(self, revision: int) -> int:
        """How many changes of a person the dataset has seen since this revision; since its beginning for -1.

        What was undone since counts as well, and what was undone and done again does not.
        """
        with self._read() as connection:
            return count_corrections_since(connection, revision)

    def runs(self) -> list[RunRow]:
        """Every run, newest first."""
        query = select(schema.run).order_by(schema.run.c.created_at.desc(), schema.run.c.id.desc())
        return [RunRow(*row) for row in self._rows(query)]

    def events_of(self, run_id: str, kind: str = "") -> list[RunEvent]:
        """The messages of a run that were taken in, in their order; of one kind only, if it is named."""
        table = schema.run_event.c
        query = select(table.sequence, table.kind, table.step, table.body).where(table.run_id == run_id)
        if kind:
            query = query.where(table.kind == kind)
        return [RunEvent(*row) for row in self._rows(query.order_by(table.sequence))]

    def last_sequence_of(self, run_id: str) -> int:
        """The highest number of a message of the run that was taken in; -1 before the first."""
        table = schema.run_event.c
        newest = self._rows(select(func.max(table.sequence)).where(table.run_id == run_id))[0][0]
        return -1 if newest is None else int(newest)

    def checkpoints(self) -> list[CheckpointRow]:
        """Every checkpoint the project knows, newest first."""
        table = schema.checkpoint
        return [
            CheckpointRow(*row) for row in self._rows(select(table).order_by(table.c.created_at.desc(), table.c.id))
        ]

    def active_checkpoint(self, model: str = "cloc") -> CheckpointRow | None:
        """The checkpoint of this model that the project uses; None means the bundled one."""
        return next((row for row in self.checkpoints() if row.is_active and row.model == model), None)

    def choices(self, old_id: str, new_id: str) -> dict[str, str]:
        """What a person chose of the changes between two checkpoints, by the changes' keys."""
        table = schema.change_choice.c
        query = select(table.key, table.choice).where(table.old_id == old_id, table.new_id == new_id)
        return {row.key: row.choice for row in self._rows(query.order_by(table.key))}

    def saved_searches(self) -> list[SavedSearch]:
        """Searches that were kept, by name."""
        return [
            SavedSearch(*row) for row in self._rows(select(schema.saved_search).order_by(schema.saved_search.c.name))
        ]

    def _in_order(self, query: Any, make: Any, keys: Sequence[int]) -> list[Any]:
        found: dict[int, Any] = {}
        for chunk in chunks([int(key) for key in keys]):
            found.update((value.id, value) for value in values_of(make, self._rows(query, keys=chunk)))
        return [found[key] for key in map(int, keys) if key in found]

"""What a dataset knows already when a file comes in: its classes by name, and the rows that came before."""

import base64
import json
import zlib
from collections.abc import Iterable

from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.palette import class_color
from locstudio.domain.regions import Caption, LabelClass, Region
from locstudio.domain.text import shown
from locstudio.interchange.rows import Key
from locstudio.store.dataset import Dataset
from locstudio.store.imported import has_rows_from


class Classes:
    """The dataset's vocabulary by name; names differ when they differ in more than case and spaces."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        labels = dataset.classes()
        self._num = len(labels)
        self._by_name = {_folded(label.name): (label.id, label.name) for label in reversed(labels)}
        self._made: list[LabelClass] = []
        self.by_key: dict[Key, tuple[int | None, str]] = {}

    def find_or_make(self, key: Key, name: str) -> tuple[int | None, str]:
        """The class of a row, by its name and never by its position; no name stands for no class."""
        found: tuple[int | None, str] | None = (None, "") if not name else self._by_name.get(_folded(name))
        if found is None:
            label = LabelClass(self._dataset.next_class_id(), name, class_color(self._num), external_id=str(key))
            self._num += 1
            self._made.append(label)
            self._by_name[_folded(name)] = (label.id, name)
            found = (label.id, name)
        self.by_key[key] = found
        return found

    def take_made(self) -> list[LabelClass]:
        """Classes made since the last call; they are not in the dataset yet."""
        made, self._made = self._made, []
        return made


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def row_name(row: Region | Caption | ImageLabel) -> str:
    """What a row that came from a file is remembered under."""
    if isinstance(row, ImageLabel):
        return f"l{row.image_id}:{row.class_id}"
    return f"{'r' if isinstance(row, Region) else 'c'}{row.image_id}:{row.external_id}"


class Memory:
    """Which rows of a source were imported before, so that what a person deleted does not come back.

    When nothing of the source is left, its import was undone, and everything may come again.
    """

    def __init__(self, dataset: Dataset, source: str) -> None:
        self._dataset = dataset
        self._setting = f"imported.{source}"
        self.is_second_time = has_rows_from(dataset, source)
        self._before: set[str] = set()
        if self.is_second_time:
            stored = dataset.get_setting(self._setting)
            self._before = set(json.loads(zlib.decompress(base64.b64decode(stored)))) if stored else set()
        self._now: list[str] = []

    def was_here(self, name: str) -> bool:
        """Whether this row was imported before."""
        return name in self._before

    def remember(self, names: Iterable[str]) -> None:
        """Keep rows in mind, once they are on disk: what was never stored may come again."""
        self._now += (name for name in names if name not in self._before)

    def other_names(self, names: dict[str, str]) -> str:
        """What a list of classes by position says otherwise than at the last import, in words; "" if nothing.

        A list that only has new entries is remembered from now on; one that says otherwise is not.
        """
        setting = f"{self._setting}.classes"
        stored = self._dataset.get_setting(setting) if self.is_second_time else None
        before: dict[str, str] = json.loads(stored) if stored else {}
        other = [key for key, name in names.items() if _folded(before.get(key, name)) != _folded(name)]
        other += [key for key in before if key not in names]
        if other:
            first = other[0]
            now = f"is {shown(names[first], 60)}" if first in names else "is gone"
            return f"number {first} was {shown(before[first], 60)} and {now}"
        if names != before:
            self._dataset.set_setting(setting, json.dumps(names))
        return ""

    def save(self) -> None:
        """Keep what is known for the next import."""
        if self._now:
            names = json.dumps([*self._before, *self._now]).encode()
            self._dataset.set_setting(self._setting, base64.b64encode(zlib.compress(names, 1)).decode())

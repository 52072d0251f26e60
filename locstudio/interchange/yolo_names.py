"""The class list of a YOLO folder: data.yaml, classes.txt or *.names, as values."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from locstudio.domain.errors import BadInput
from locstudio.domain.text import shown
from locstudio.interchange.paths import inside
from locstudio.interchange.rows import clean

_MAX_BYTES = 1 << 20
_MAX_LIST_BYTES = 256 << 20
_LIST_KEYS = ("train", "val", "test")
_PLAIN_LISTS = ("classes.txt", "obj.names", "names.txt", "labels/classes.txt")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _PlainLoader(_Loader):  # type: ignore[misc]  # a class that has no types
    """PyYAML's safe loader that leaves scalars as the text they are: a class may be called "no"."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


@dataclass(slots=True)
class YoloNames:
    """What a YOLO folder says beside its labels.

    ``names`` are the classes by number, ``num_classes`` is how many there should be (0: not said), ``lists`` the files
    that list images, and ``has_keypoints`` whether rows go on with keypoints after the box.
    """

    names: dict[int, str] = field(default_factory=dict)
    num_classes: int = 0
    lists: list[str] = field(default_factory=list)
    has_keypoints: bool = False


def read_names(folder: Path) -> YoloNames:
    """What stands at the top of a folder.

    Raises:
        BadInput: a file is broken, is more than plain data, or two of them name the classes differently.
    """
    found = YoloNames()
    said: dict[str, dict[int, str]] = {}
    for name in _names_of(folder):
        if name.lower().endswith((".yaml", ".yml")) and (folder / name).is_file():
            names = _take_yaml(folder, name, found)
            if names:
                said[name] = names
    for name in _PLAIN_LISTS:
        if (folder / name).is_file():
            lines = _lines_of(folder / name, _MAX_BYTES)
            said[name] = {number: clean(line).strip() for number, line in enumerate(lines)}
    for name, names in said.items():
        first = next(iter(said))
        if names != said[first]:
            raise BadInput(
                f"{shown(name)} and {shown(first)} in {shown(folder.name)} name the classes differently; which number "
                "is which cannot be told. Remove the one that is wrong."
            )
    found.names = next(iter(said.values()), {})
    return found


def listed_images(folder: Path, found: YoloNames) -> list[str]:
    """The images that the lists of a folder name, as they stand there.

    Raises:
        BadInput: a list cannot be read.
    """
    names: list[str] = []
    for name in found.lists:
        names += [line.removeprefix("./") for line in _lines_of(folder / name, _MAX_LIST_BYTES)]
    return names


def _names_of(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: Path, error: OSError) -> BadInput:
    return BadInput(f"{shown(path.name)} cannot be read: {(error.strerror or 'unknown error').lower()}.")


def _take_yaml(folder: Path, name: str, found: YoloNames) -> dict[int, str]:
    document = _yaml_of(folder / name)
    if not isinstance(document, dict):
        return {}
    found.has_keypoints = found.has_keypoints or "kpt_shape" in document
    count = document.get("nc")
    if isinstance(count, str) and count.isdecimal() and len(count) < 9:
        found.num_classes = int(count)
    for key in _LIST_KEYS:
        values = document.get(key)
        for value in values if isinstance(values, list) else [values]:
            path = inside(os.path.realpath(folder), value) if isinstance(value, str) else None
            if path and path.endswith(".txt") and path not in found.lists and (folder / path).is_file():
                found.lists.append(path)
    return _names_in(name, document.get("names"))


def _yaml_of(path: Path) -> Any:
    name = shown(path.name)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadInput(f"{name} is too large for a list of classes.")
        return yaml.load(path.read_bytes(), Loader=_PlainLoader)
    except yaml.constructor.ConstructorError as error:
        raise BadInput(f"{name} asks for more than plain values ({error.problem}), which is never read.") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise BadInput(f"{name} is no valid YAML: {shown(reason)}.") from error
    except RecursionError as error:
        raise BadInput(f"{name} is nested too deeply.") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _names_in(file: str, names: Any) -> dict[int, str]:
    if names is None or names == "":
        return {}
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return {number: clean(name).strip() for number, name in enumerate(names)}
    is_plain = isinstance(names, dict) and all(
        isinstance(key, str) and key.isdecimal() and len(key) < 9 and isinstance(name, str)
        for key, name in names.items()
    )
    if not is_plain:
        raise BadInput(f"The names in {shown(file)} are neither a list nor numbers with a name each.")
    return {int(key): clean(name).strip() for key, name in names.items()}


def _lines_of(path: Path, limit: int) -> list[str]:
    """Lines of a text; bytes that are no UTF-8 stay what they are, as in names of files."""
    try:
        if path.stat().st_size > limit:
            raise BadInput(f"{shown(path.name)} is too large for a list.")
        text = os.fsdecode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise _unreadable(path, error) from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines

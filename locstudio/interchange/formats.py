"""The formats that annotations come in and go out in, by the names that the command line knows them under."""

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from locstudio.domain.errors import BadInput
from locstudio.domain.text import shown
from locstudio.interchange import (
    coco_writer,
    csv_table,
    cvat_writer,
    label_studio_writer,
    labelme_writer,
    labels_csv,
    parquet_writer,
    phrases_jsonl_writer,
    voc_writer,
    webdataset_writer,
    yolo_writer,
)
from locstudio.interchange.class_folders import ClassFolders, holds_class_folders
from locstudio.interchange.coco import CocoFile
from locstudio.interchange.csv_table import CsvTable
from locstudio.interchange.cvat import CvatFile
from locstudio.interchange.label_studio import LabelStudioFile
from locstudio.interchange.labelme import LabelmeFile
from locstudio.interchange.labels_csv import LabelTable
from locstudio.interchange.parquet import ParquetFolder, check_embeddings
from locstudio.interchange.phrases_jsonl import PhrasesFile
from locstudio.interchange.rows import AnnotationFile
from locstudio.interchange.voc import VocFile
from locstudio.interchange.webdataset import WebDatasetFolder, check_members
from locstudio.interchange.writing import Carries, Check, Writer
from locstudio.interchange.yolo import YoloFile

_HEAD = 1 << 16
_MAX_NAMES = 2000
_ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "a zip archive",
    b"\x1f\x8b": "compressed with gzip",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
}


@dataclass(frozen=True, slots=True)
class Clues:
    """What a path looks like from outside.

    ``start`` is the beginning of the file, or of the first file of the folder that ends in .xml or .json, which is
    called ``first`` (in small letters, "" if there is none).  ``names`` are the first names in the folder, sorted,
    folders ending in a slash; none for a file.
    """

    path: Path
    is_folder: bool
    names: tuple[str, ...]
    first: str
    start: bytes

    @property
    def suffix(self) -> str:
        """The file's suffix in small letters; "" for a folder."""
        return "" if self.is_folder else self.path.suffix.lower()

    def has(self, *names: str) -> bool:
        """Whether the folder has one of these."""
        return not set(names).isdisjoint(self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format.  ``title`` is for a person; ``suffixes`` are those of its files, the usual one first.

    ``reader`` reads what comes in, and reads an export again before it is done; with ``is_out_only`` it serves that
    alone.  ``check`` compares what an export holds beside its rows.  A format without ``writer`` only comes in.  An
    ``is_folder`` format goes out as a folder; what comes in may be a file of it.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    is_folder: bool
    reader: type[AnnotationFile]
    writer: Writer | None
    carries: Carries
    looks_like: Callable[[Clues], bool]
    is_out_only: bool = False
    check: Check | None = None


def _is_coco(clues: Clues) -> bool:
    return clues.suffix == ".json" and clues.start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def _is_voc(clues: Clues) -> bool:
    is_one = re.search(rb"<annotation[\s>]", clues.start) is not None
    return is_one if clues.first.endswith(".xml") else clues.has("Annotations/")


def _is_yolo(clues: Clues) -> bool:
    if clues.is_folder:
        return clues.has("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names", "labels/")
    return clues.suffix in (".yaml", ".yml", ".names") or _is_label_row(clues)


def _is_label_row(clues: Clues) -> bool:
    row = clues.start.split(b"\n", 1)[0].strip()
    return clues.suffix == ".txt" and re.fullmatch(rb"\d+(\s+[-+.\deE]+){4,}", row) is not None


def _is_labelme(clues: Clues) -> bool:
    is_object = clues.start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    return clues.first.endswith(".json") and is_object and b'"shapes"' in clues.start


def _is_cvat(clues: Clues) -> bool:
    return clues.suffix == ".xml" and b"<annotations" in clues.start


def _is_label_studio(clues: Clues) -> bool:
    is_array = clues.start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    return clues.suffix == ".json" and is_array and b'"data"' in clues.start


def _is_nothing(_clues: Clues) -> bool:
    return False


def _is_labels(clues: Clues) -> bool:
    return clues.suffix in (".csv", ".tsv", ".txt") and labels_csv.is_table_of_labels(clues.start)


def _is_phrases(clues: Clues) -> bool:
    return clues.suffix in (".jsonl", ".ndjson", ".odvg")


_ALL = (
    Format(
        name="voc",
        title="Pascal VOC",
        suffixes=(".xml",),
        is_folder=True,
        reader=VocFile,
        writer=voc_writer.write_voc,
        carries=voc_writer.CARRIES,
        looks_like=_is_voc,
    ),
    Format(
        name="yolo",
        title="YOLO",
        suffixes=(".txt", ".yaml", ".yml", ".names"),
        is_folder=True,
        reader=YoloFile,
        writer=yolo_writer.write_yolo,
        carries=yolo_writer.CARRIES,
        looks_like=_is_yolo,
    ),
    Format(
        name="labelme",
        title="labelme",
        suffixes=(".json",),
        is_folder=True,
        reader=LabelmeFile,
        writer=labelme_writer.write_labelme,
        carries=labelme_writer.CARRIES,
        looks_like=_is_labelme,
    ),
    Format(
        name="coco",
        title="COCO",
        suffixes=(".json",),
        is_folder=False,
        reader=CocoFile,
        writer=coco_writer.write_coco,
        carries=coco_writer.CARRIES,
        looks_like=_is_coco,
    ),
    Format(
        name="cvat",
        title="CVAT",
        suffixes=(".xml",),
        is_folder=False,
        reader=CvatFile,
        writer=cvat_writer.write_cvat,
        carries=cvat_writer.CARRIES,
        looks_like=_is_cvat,
    ),
    Format(
        name="labelstudio",
        title="Label Studio",
        suffixes=(".json",),
        is_folder=False,
        reader=LabelStudioFile,
        writer=label_studio_writer.write_label_studio,
        carries=label_studio_writer.CARRIES,
        looks_like=_is_label_studio,
    ),
    Format(
        name="phrases",
        title="Region phrases (ODVG)",
        suffixes=(".jsonl", ".ndjson", ".odvg"),
        is_folder=False,
        reader=PhrasesFile,
        writer=phrases_jsonl_writer.write_phrases,
        carries=phrases_jsonl_writer.CARRIES,
        looks_like=_is_phrases,
    ),
    Format(
        name="folders",
        title="Class folders",
        suffixes=(),
        is_folder=True,
        reader=ClassFolders,
        writer=None,
        carries=Carries(regions=False, labels=True),
        looks_like=_is_nothing,
    ),
    Format(
        name="labels-csv",
        title="Labels CSV",
        suffixes=(".csv", ".tsv"),
        is_folder=False,
        reader=LabelTable,
        writer=labels_csv.write_labels,
        carries=labels_csv.CARRIES,
        looks_like=_is_labels,
    ),
    Format(
        name="csv",
        title="CSV",
        suffixes=(".csv",),
        is_folder=False,
        reader=CsvTable,
        writer=csv_table.write_csv,
        carries=csv_table.CARRIES,
        looks_like=_is_nothing,
        is_out_only=True,
    ),
    Format(
        name="parquet",
        title="Parquet",
        suffixes=(".parquet",),
        is_folder=True,
        reader=ParquetFolder,
        writer=parquet_writer.write_parquet,
        carries=parquet_writer.CARRIES,
        looks_like=_is_nothing,
        is_out_only=True,
        check=check_embeddings,
    ),
    Format(
        name="webdataset",
        title="WebDataset",
        suffixes=(".tar",),
        is_folder=True,
        reader=WebDatasetFolder,
        writer=webdataset_writer.write_webdataset,
        carries=webdataset_writer.CARRIES,
        looks_like=_is_nothing,
        is_out_only=True,
        check=check_members,
    ),
)
"""In the order in which they are tried: a file may look like several, and the first is meant."""

FORMATS: dict[str, Format] = {format.name: format for format in _ALL}


def format_named(name: str) -> Format:
    """The format of this name.

    Raises:
        BadInput: there is none.
    """
    if name not in FORMATS:
        raise BadInput(f"There is no format called {shown(name)}; there are {', '.join(FORMATS)}.")
    return FORMATS[name]


def guess_format(path: Path, *, is_named: bool = False) -> Format | None:
    """The format that a file or folder seems to be in; None when it looks like none of them.

    ``is_named``: a person has said that these are annotations, so that mere folders of images are those of classes.

    Raises:
        BadInput: it cannot be read, or is an archive.
    """
    clues = clues_of(path)
    found = next((format for format in _ALL if not format.is_out_only and format.looks_like(clues)), None)
    if found is None and is_named and clues.is_folder and holds_class_folders(path):
        return FORMATS["folders"]
    return found


def clues_of(path: Path) -> Clues:
    """What a path looks like; nothing but names and the beginning of one file is read.

    Raises:
        BadInput: it cannot be read, or is an archive.
    """
    try:
        if not path.is_dir():
            start = _start_of(path)
            _refuse_archive(path, start)
            return Clues(path, False, (), path.name.lower(), start)
        names = _names_in(path)
        first = next((name for name in names if name.lower().endswith((".xml", ".json"))), "")
        return Clues(path, True, names, first.lower(), _start_of(path / first) if first else b"")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BadInput:
    return BadInput(f"{shown(str(path))} cannot be read: {(error.strerror or 'unknown error').lower()}.")


def refuse_archive(path: Path) -> None:
    """Say in words that an archive must be unpacked first.

    An importer reads plain files only: what an archive unpacks to, and where, is for the person's own tool to watch.

    Raises:
        BadInput: it is one, or cannot be read.
    """
    try:
        if path.is_file():
            _refuse_archive(path, _start_of(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _refuse_archive(path: Path, start: bytes) -> None:
    kind = next((kind for sign, kind in _ARCHIVES.items() if start.startswith(sign)), "")
    if not kind and start[257:262] == b"ustar":
        kind = "a tar archive"
    if kind:
        raise BadInput(f"{shown(path.name)} is {kind}; unpack it, and import the file or folder that is in it.")


def _start_of(path: Path) -> bytes:
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe or device would be waited for
        return b""
    with open(path, "rb") as file:
        return file.read(_HEAD)


def _names_in(folder: Path) -> tuple[str, ...]:
    names = []
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            names.append(f"{entry.name}/" if entry.is_dir() else entry.name)
            if number >= _MAX_NAMES:
                break
    return tuple(sorted(names))

"""YOLO labels, written image by image; the images themselves are linked to, and never copied."""

import contextlib
import os
from pathlib import Path

import yaml

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import HELD_OUT_SPLITS, Region
from locstudio.domain.text import shown
from locstudio.interchange.writing import Carries, Contents

DECIMALS = 6
CARRIES = Carries(
    all_classes=True,
    tolerance_share=1.5 * 10**-DECIMALS,
    precision="Boxes are rounded to six decimals of the image's sides.",
)


def write_yolo(contents: Contents, target: Path) -> None:
    """Write an export as ``labels/**.txt``, lists of images, and ``data.yaml``.

    ``images`` is a link to the folder that the images have in common, where the file system knows links; a trainer
    finds the labels of ``images/a.jpg`` in ``labels/a.txt``.

    Raises:
        BadInput: two images would share a label file, or a list cannot hold an image's name.
    """
    numbers = {label.id: number for number, label in enumerate(contents.classes)}
    owners: dict[str, str] = {}
    lists: dict[str, list[str]] = {"train": []}
    os.makedirs(target / "labels")
    for page in contents.pages():
        name = os.path.splitext(page.file_name)[0] + ".txt"
        _check(page.file_name, owners.setdefault(name.casefold(), page.file_name))
        file = target / "labels" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(_row(region, numbers[region.class_id or 0]) for region in page.regions), "ascii")
        lists.setdefault(_list_of(page.image.split), []).append(page.file_name)
    for split, names in lists.items():
        lines = (b"./images/" + os.fsencode(name) + b"\n" for name in names)
        (target / f"{split}.txt").write_bytes(b"".join(lines))
    with contextlib.suppress(OSError, NotImplementedError):
        os.symlink(contents.image_root, target / "images", target_is_directory=True)
    _write_yaml(target / "data.yaml", contents, lists)


def _check(file_name: str, owner: str) -> None:
    if owner != file_name:
        raise BadInput(
            f"{shown(owner)} and {shown(file_name)} would share a label file, because YOLO knows an image by its name "
            "without suffix; rename one of them, or export in another format."
        )
    if "\n" in file_name or "\r" in file_name or file_name != file_name.strip():
        raise BadInput(f"{shown(file_name)} is a name that YOLO's list of images cannot hold; rename it.")


def _list_of(split: str) -> str:
    if split == "test":
        return "test"
    return "val" if split in HELD_OUT_SPLITS else "train"


def _row(region: Region, number: int) -> str:
    box = region.box
    width, height = box.x1 - box.x0, box.y1 - box.y0
    sides = [max(value, 10**-DECIMALS) for value in (width, height)]
    values = (box.x0 + width / 2, box.y0 + height / 2, *sides)
    return f"{number} " + " ".join(f"{value:.{DECIMALS}f}" for value in values) + "\n"


def _write_yaml(file: Path, contents: Contents, lists: dict[str, list[str]]) -> None:
    document = {"train": "train.txt", "val": "val.txt" if "val" in lists else "train.txt"}
    document |= {"test": "test.txt"} if "test" in lists else {}
    names = {"names": {number: label.name for number, label in enumerate(contents.classes)}}
    head = "# Exported from LocStudio.  The folder images is a link to the pictures, which are not copied.\n"
    text = yaml.safe_dump(document, sort_keys=False) + yaml.safe_dump(names, sort_keys=False)
    file.write_text(head + text, encoding="utf-8")

"""The development data as photos with boxes and words.  Boxes are pixels of the photo, XYXY."""

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from locstudio.domain.geometry import BoxArray

# Caltech's folder names that are not words.
_CALTECH_WORDS = {
    "Faces": "face",
    "Faces_easy": "face",
    "Leopards": "leopard",
    "Motorbikes": "motorbike",
    "airplanes": "airplane",
    "car_side": "car",
    "cougar_body": "cougar",
    "cougar_face": "cougar face",
    "crocodile_head": "crocodile head",
    "flamingo_head": "flamingo head",
    "gerenuk": "gerenuk antelope",
    "inline_skate": "inline skate",
    "ketch": "ketch sailing boat",
    "minaret": "minaret tower",
    "okapi": "okapi",
    "schooner": "schooner sailing ship",
    "wheelchair": "wheelchair",
    "windsor_chair": "wooden chair",
    "yin_yang": "yin yang symbol",
    "water_lilly": "water lily",
}


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One photo.  ``phrases`` has for every box the words that name it, the usual name first.

    ``class_index`` is the COCO class of every box (0..79), empty for other sources.  ``is_exhaustive``: nothing that
    the classes name is left without box.
    """

    name: str
    rgb: NDArray[np.uint8]
    boxes_R4: BoxArray
    phrases: tuple[tuple[str, ...], ...]
    captions: tuple[str, ...] = ()
    class_index: tuple[int, ...] = ()
    is_exhaustive: bool = False


def coco_class_names(data: Path) -> tuple[str, ...]:
    """The 80 names of COCO in the order of their ids."""
    categories = sorted(_json(data / "coco_dev.json")["categories"], key=lambda category: category["id"])
    return tuple(category["name"] for category in categories)


def coco_photos(data: Path, split: str) -> Iterator[Photo]:
    """Photos of ``coco_train`` or ``coco_dev`` with their boxes, crowd regions left out."""
    known = _json(data / f"coco_{split}.json")
    categories = sorted(known["categories"], key=lambda category: category["id"])
    position = {category["id"]: row for row, category in enumerate(categories)}
    ids = {image["file_name"]: image["id"] for image in known["images"]}
    for name, rgb in _photos_of(data / f"coco_{split}.tar"):
        found = [one for one in known["annotations"] if one["image_id"] == ids[name] and not one.get("iscrowd")]
        corners = [(x, y, x + w, y + h) for x, y, w, h in (one["bbox"] for one in found)]
        rows = tuple(position[one["category_id"]] for one in found)
        yield Photo(
            name=name,
            rgb=rgb,
            boxes_R4=np.array(corners, np.float32).reshape(-1, 4),
            phrases=tuple((categories[row]["name"],) for row in rows),
            captions=tuple(one["caption"].strip() for one in known["captions"] if one["image_id"] == ids[name]),
            class_index=rows,
            is_exhaustive=True,
        )


def object_photos(data: Path, *, per_caltech_class: int, per_tiny_class: int, seed: int) -> list[Photo]:
    """Photos of one thing each: ImageNet samples, a draw from every Caltech category and every Tiny-ImageNet class.

    The box is the whole photo; words are the names, synonyms and the gloss of WordNet.
    """
    random = np.random.default_rng(seed)
    words = {wnid: _words(entry) for wnid, entry in _json(data / "hierarchy.json")["classes"].items()}
    wnids = {file: entry["wnid"] for file, entry in _json(data / "imagenet_samples.json")["files"].items()}
    photos = [_whole(name, rgb, words[wnids[name]]) for name, rgb in _photos_of(data / "imagenet_samples.tar")]
    files = _json(data / "caltech101.json")["files"]
    chosen = _draw(files, per_caltech_class, random)
    for name, rgb in _photos_of(data / "caltech101.tar", chosen):
        photos.append(_whole(name, rgb, (_caltech_word(files[name]),)))
    tiny = {file.split("/", 1)[1]: file.split("/", 1)[0] for file in _json(data / "tiny_imagenet.json")["boxes"]}
    chosen = _draw(tiny, per_tiny_class, random)
    for name, rgb in _photos_of(data / "tiny_imagenet.tar.gz", {f"{tiny[file]}/{file}" for file in chosen}):
        photos.append(_whole(name, rgb, words[name.split("/", 1)[0]]))
    return photos


def _draw(class_of: dict[str, str], per_class: int, random: np.random.Generator) -> set[str]:
    members: dict[str, list[str]] = {}
    for file in sorted(class_of):
        members.setdefault(class_of[file], []).append(file)
    return {
        files[row] for files in members.values() for row in random.permutation(len(files))[: min(per_class, len(files))]
    }


def _whole(name: str, rgb: NDArray[np.uint8], words: tuple[str, ...]) -> Photo:
    height, width = rgb.shape[:2]
    return Photo(name=name, rgb=rgb, boxes_R4=np.array([[0, 0, width, height]], np.float32), phrases=(words,))


def _words(entry: dict[str, Any]) -> tuple[str, ...]:
    names = [entry["name"], *entry["synonyms"]]
    gloss = entry["gloss"].split(";")[0].strip()
    return tuple(dict.fromkeys(name.replace("_", " ").strip() for name in [*names, gloss] if name.strip()))


def _caltech_word(category: str) -> str:
    return _CALTECH_WORDS.get(category, category.replace("_", " ").lower())


def _photos_of(path: Path, chosen: set[str] | None = None) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    with tarfile.open(path) as tar:
        for member in tar:
            if not member.isfile() or (chosen is not None and member.name not in chosen):
                continue
            file = tar.extractfile(member)
            assert file is not None
            yield member.name, np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))

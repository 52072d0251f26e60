"""Photos with masks as the squares that the mask head learns from, their maps made once and kept in half precision.

Axes: S = scenes, N = tokens, C = channels, R = regions.
"""

import json
import pickle
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from locstudio.models.cloc import Cloc
from locstudio.models.mask_head import FINE_WIDTHS, ImageMaps
from locstudio.models.mask_segmenter import fine_maps, rgb_map
from trainer.bundle.scenes import PADDING

_PAINTED_SIDE = 192  # pixels that the long side of a small mask is painted with
_MOST_SCALE = 6.0
_MIN_VISIBLE = 0.5
_MIN_SIDE_PX = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class TrueMask:
    """A mask as a picture of its own.

    ``values_HW`` (0 or 255) covers the part of the photo that begins at ``left``, ``top`` (photo pixels), ``scale`` of
    its pixels to one of the photo's.  ``box`` is the annotation's box, XYXY in photo pixels.
    """

    values_HW: NDArray[np.uint8]
    left: float
    top: float
    scale: float
    box: tuple[float, float, float, float]

    def seen_in(self, window: tuple[float, float, float, float], size: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask in a window of the photo (XYXY pixels), painted with ``size`` = (width, height) pixels."""
        x0, y0, x1, y1 = window
        across, down = (x1 - x0) / size[0] * self.scale, (y1 - y0) / size[1] * self.scale
        affine = (across, 0.0, (x0 - self.left) * self.scale, 0.0, down, (y0 - self.top) * self.scale)
        picture = Image.fromarray(self.values_HW).transform(
            size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
        return np.asarray(picture) >= 128

    def area_in(self, part: tuple[float, float, float, float]) -> float:
        """Photo pixels that it covers of a part of the photo."""
        x0, y0, x1, y1 = part
        columns = slice(max(0, round((x0 - self.left) * self.scale)), max(0, round((x1 - self.left) * self.scale)))
        rows = slice(max(0, round((y0 - self.top) * self.scale)), max(0, round((y1 - self.top) * self.scale)))
        return float(np.count_nonzero(self.values_HW[rows, columns] >= 128) / self.scale**2)


@dataclass(frozen=True, slots=True, eq=False)
class MaskPhoto:
    """A photo with the masks of its regions."""

    name: str
    rgb: NDArray[np.uint8]
    masks: tuple[TrueMask, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MaskScene:
    """A square made of ``part`` of a photo (XYXY pixels), whose pixel ``p`` lies at ``p * scale + (left, top)`` in it.

    ``areas_R`` are the photo's pixels of each mask that lie in the part, ``boxes_R4`` are in the ``square`` frame.
    """

    name: str
    scale: float
    left: float
    top: float
    part: tuple[float, float, float, float]
    masks: tuple[TrueMask, ...]
    areas_R: NDArray[np.float32]
    boxes_R4: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class MaskScenes:
    """Scenes with their maps, mapped from disk."""

    scenes: list[MaskScene]
    tokens_SNC: NDArray[np.float16]
    middle_SCHW: NDArray[np.float16]
    fine_SCHW: NDArray[np.float16]
    rgb_SHW3: NDArray[np.uint8]

    def maps(self, row: int) -> ImageMaps:
        """What the head reads of one scene."""
        grid = round((self.tokens_SNC.shape[1] - 1) ** 0.5)
        tokens = torch.from_numpy(np.array(self.tokens_SNC[row, 1:])).float()
        return ImageMaps(
            coarse=tokens.T.reshape(1, -1, grid, grid),
            middle=torch.from_numpy(np.array(self.middle_SCHW[row])).float()[None],
            fine=torch.from_numpy(np.array(self.fine_SCHW[row])).float()[None],
            rgb=rgb_map(self.rgb_SHW3[row]),
        )


def coco_mask_photos(data: Path, split: str) -> Iterator[MaskPhoto]:
    """Photos of coco_train or coco_dev with the regions that have polygons."""
    known = json.loads((data / f"coco_{split}.json").read_text(encoding="utf-8"))
    of_image = _by_image(known)
    ids = {image["file_name"]: image["id"] for image in known["images"]}
    with tarfile.open(data / f"coco_{split}.tar") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                rgb = np.asarray(Image.open(BytesIO(file.read())).convert("RGB"))
                yield MaskPhoto(member.name, rgb, _masks_of(of_image.get(ids[member.name], [])))


def composed_mask_photos(folder: Path) -> Iterator[MaskPhoto]:
    """Scenes composed of cut-outs (the demo's), whose masks are exact."""
    known = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    of_image = _by_image(known)
    for image in known["images"]:
        rgb = np.asarray(Image.open(folder / image["file_name"]).convert("RGB"))
        yield MaskPhoto(image["file_name"], rgb, _masks_of(of_image.get(image["id"], [])))


def scenes_of(
    photos: Iterator[MaskPhoto], side: int, num_zooms: int, random: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint8], MaskScene]]:
    """Each photo whole, then parts of it."""
    for photo in photos:
        height, width = photo.rgb.shape[:2]
        yield _rendered(photo, (0.0, 0.0, float(width), float(height)), side)
        for _ in range(num_zooms):
            share = random.uniform(0.4, 0.9)
            part_w, part_h = (side_px * min(1.0, share * random.uniform(0.85, 1.2)) for side_px in (width, height))
            x0, y0 = random.uniform(0, width - part_w), random.uniform(0, height - part_h)
            yield _rendered(photo, (x0, y0, x0 + part_w, y0 + part_h), side)


def encoded_masks(
    model: Cloc, made: Iterator[tuple[NDArray[np.uint8], MaskScene]], folder: Path, say: Callable[[str], None]
) -> MaskScenes:
    """Make every scene's maps, or read what an earlier call with the same folder made."""
    listing = folder / "scenes.pickle"
    grid = model.input_px // 4
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "tokens": ((model.config.tower.num_tokens, model.config.token_width), np.float16),
        "middle": ((FINE_WIDTHS[1], grid // 2, grid // 2), np.float16),
        "fine": ((FINE_WIDTHS[0], grid, grid), np.float16),
        "rgb": ((model.input_px, model.input_px, 3), np.uint8),
    }
    if not listing.exists():
        folder.mkdir(parents=True, exist_ok=True)
        scenes, begun = [], time.monotonic()
        files = {name: open(folder / name, "wb") for name in shapes}  # noqa: SIM115 - closed below
        for square, scene in made:
            with torch.inference_mode():
                pixels = model.preprocess(square)[None]
                fine, middle = fine_maps(model.towers, pixels)
                arrays = {
                    "tokens": model.encode_image(pixels)[0].half().numpy(),
                    "middle": middle[0].half().numpy(),
                    "fine": fine[0].half().numpy(),
                    "rgb": square,
                }
            for name, array in arrays.items():
                files[name].write(np.ascontiguousarray(array).tobytes())
            scenes.append(scene)
            if len(scenes) % 100 == 0:
                say(f"{folder.name}: {len(scenes)} scenes, {time.monotonic() - begun:.0f} s")
        for file in files.values():
            file.close()
        listing.write_bytes(pickle.dumps(scenes))
    scenes = pickle.loads(listing.read_bytes())  # our own file of a minute ago, in a scratch folder
    mapped = {
        name: np.memmap(folder / name, kind, "r", shape=(len(scenes), *shape)) for name, (shape, kind) in shapes.items()
    }
    return MaskScenes(scenes, mapped["tokens"], mapped["middle"], mapped["fine"], mapped["rgb"])


def _by_image(known: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for one in known["annotations"]:
        if one.get("segmentation") and not one.get("iscrowd"):
            found.setdefault(one["image_id"], []).append(one)
    return found


def _masks_of(annotations: Sequence[dict[str, Any]]) -> tuple[TrueMask, ...]:
    return tuple(_painted(one["segmentation"], one["bbox"]) for one in annotations)


def _painted(segmentation: Any, bbox: Sequence[float]) -> TrueMask:
    x, y, w, h = bbox
    box = (x, y, x + w, y + h)
    if isinstance(segmentation, dict):
        height, width = segmentation["size"]
        bits = np.repeat(np.arange(len(segmentation["counts"])) % 2, segmentation["counts"]).astype(np.uint8)
        whole = bits.reshape(width, height).T * np.uint8(255)
        first_x, first_y = max(0, int(x) - 1), max(0, int(y) - 1)
        part = np.ascontiguousarray(whole[first_y : int(y + h) + 2, first_x : int(x + w) + 2])
        return TrueMask(part, first_x, first_y, 1.0, box)
    scale = min(_MOST_SCALE, max(1.0, _PAINTED_SIDE / max(w, h)))
    left, top = x - 1, y - 1
    picture = Image.new("L", (int((w + 2) * scale) + 1, int((h + 2) * scale) + 1))
    draw = ImageDraw.Draw(picture)
    for polygon in segmentation:
        corners = [
            ((px - left) * scale - 0.5, (py - top) * scale - 0.5)
            for px, py in zip(polygon[0::2], polygon[1::2], strict=True)
        ]
        draw.polygon(corners, fill=255)
    return TrueMask(np.asarray(picture), left, top, scale, box)


def _rendered(
    photo: MaskPhoto, part: tuple[float, float, float, float], side: int
) -> tuple[NDArray[np.uint8], MaskScene]:
    x0, y0, x1, y1 = part
    is_whole = part == (0.0, 0.0, photo.rgb.shape[1], photo.rgb.shape[0])
    scale = side / max(x1 - x0, y1 - y0)
    width, height = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    picture = Image.fromarray(photo.rgb).resize((width, height), Image.Resampling.BICUBIC, box=part)
    left, top = (side - width) // 2, (side - height) // 2
    square = np.empty((side, side, 3), np.uint8)
    square[:] = PADDING
    square[top : top + height, left : left + width] = np.asarray(picture)
    masks, areas, boxes = [], [], []
    for mask in photo.masks:
        cut = (max(mask.box[0], x0), max(mask.box[1], y0), min(mask.box[2], x1), min(mask.box[3], y1))
        sides = cut[2] - cut[0], cut[3] - cut[1]
        whole = (mask.box[2] - mask.box[0]) * (mask.box[3] - mask.box[1])
        if min(sides) <= 0 or sides[0] * sides[1] < _MIN_VISIBLE * whole:
            continue
        area = mask.area_in(part)
        is_too_small = max(sides) * scale < _MIN_SIDE_PX or min(sides) * scale < 1.0 or area == 0
        if is_too_small and not is_whole:  # what is measured is measured whatever its size
            continue
        masks.append(mask)
        areas.append(area)
        offset = np.array([left - x0 * scale, top - y0 * scale] * 2)
        boxes.append((np.array(cut) * scale + offset) / side)
    return square, MaskScene(
        name=photo.name,
        scale=scale,
        left=left - x0 * scale,
        top=top - y0 * scale,
        part=part,
        masks=tuple(masks),
        areas_R=np.array(areas, np.float32),
        boxes_R4=np.array(boxes, np.float32).reshape(-1, 4),
    )

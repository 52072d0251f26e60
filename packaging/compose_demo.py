"""Compose the demo's scenes from photographic cut-outs; rerun only by developers.

Needs the Debian packages ``tuxpaint-stamps-default`` and ``mate-backgrounds``, NumPy and Pillow.  The same seed gives
the same pictures, boxes, masks and words.  Run from the root of the checkout:

    python packaging/compose_demo.py            writes assets/demo
    python packaging/compose_demo.py --out DIR --only meadow,road --limit 4     a trial
"""

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from demo_parts import licences
from demo_parts.backdrops import Backdrop
from demo_parts.noise import Array, to_picture
from demo_parts.painting import Painted, Painter
from demo_parts.placing import Placer
from demo_parts.scenes import KINDS, LANDSCAPE, SIZES, SMALL, Kind
from demo_parts.stamps import Stamp, class_names, read_table
from demo_parts.words import caption_for, colour_word, phrase_for, told

SEED = 20261
LEAST_VISIBLE = 0.55
LEAST_SIDE = 18
JPEG_QUALITY = 86


@dataclass(slots=True)
class Scene:
    """A finished scene: its picture, what can be seen, and its caption."""

    rgb: Array
    things: list[Painted]
    colours: list[str]
    phrases: list[str]
    caption: str
    photos: list[str]


def size_for(rng: np.random.Generator, kind: Kind) -> tuple[int, int]:
    """A picture size that suits the kind of scene."""
    if kind.layout == "flat" or kind.name == "table":
        return SMALL[int(rng.integers(0, len(SMALL)))]
    sizes = LANDSCAPE if kind.name in ("road", "storm", "hall", "dune", "savanna", "desert") else SIZES
    return sizes[int(rng.integers(0, len(sizes)))]


def compose(rng: np.random.Generator, kind: Kind, stamps: dict[str, Stamp], usage: Counter[str]) -> Scene | None:
    """One scene, or None where too little found its place."""
    width, height = size_for(rng, kind)
    backdrop = kind.place(rng, width, height)
    wanted = Placer(rng, kind, backdrop, stamps, usage).fill()
    state = rng.bit_generator.state
    while True:
        rng.bit_generator.state = state
        painter = Painter(rng, backdrop)
        for placed in wanted:
            painter.paint(placed)
        hidden = [p for p in painter.painted if p.visible_share < LEAST_VISIBLE or min(sides(p)) < LEAST_SIDE]
        if not hidden:
            break
        wanted.remove(min(hidden, key=lambda p: p.visible_share).placed)
    if len(painter.painted) < 2:
        return None
    return described(rng, painter, backdrop)


def described(rng: np.random.Generator, painter: Painter, backdrop: Backdrop) -> Scene:
    """Add the words: colours are measured on the sprites as they were painted."""
    things = painter.painted
    colours = [measured(p) for p in things]
    phrases = [phrase_for(rng, p.placed.stamp, colour) for p, colour in zip(things, colours, strict=True)]
    order = sorted(range(len(things)), key=lambda i: -float(things[i].visible.sum()))
    caption = caption_for([(things[i].placed.stamp, colours[i]) for i in order], backdrop.words)
    return Scene(painter.finished(), things, colours, phrases, caption, backdrop.photos)


def measured(thing: Painted) -> str:
    """The colour word for one thing, as it was painted."""
    stamp = thing.placed.stamp
    return told(stamp, colour_word(thing.sprite.rgb, thing.sprite.alpha, is_painted=stamp.label in ("car", "truck")))


def mask_of(thing: Painted) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The pixels (H, W) of which at least half belongs to the thing."""
    return thing.visible >= 0.5


def sides(thing: Painted) -> tuple[int, int]:
    """Width and height of the visible part, in pixels; zeros where nothing is seen."""
    rows, columns = np.nonzero(mask_of(thing))
    return (0, 0) if rows.size == 0 else (int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)


def run_lengths(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> list[int]:
    """COCO's uncompressed run lengths: down the columns, background first."""
    values = mask.flatten(order="F").astype(np.int8)
    changes = np.flatnonzero(np.diff(values)) + 1
    edges = np.concatenate([[0], changes, [values.size]])
    counts = np.diff(edges).tolist()
    return [0, *counts] if values[0] else counts


def annotation(number: int, image: int, category: int, thing: Painted, phrase: str) -> dict[str, Any]:
    """One region in COCO's layout, with its phrase."""
    mask = mask_of(thing)
    rows, columns = np.nonzero(mask)
    x, y = int(columns.min()), int(rows.min())
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y],
        "area": int(mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
        "phrase": phrase,
    }


def compose_all(out: Path, only: set[str], limit: int) -> dict[str, Any]:
    """Write the pictures and return the COCO document."""
    stamps, names = read_table(), class_names()
    usage, used_stamps, used_photos = Counter[str](), set[str](), set[str]()
    document: dict[str, Any] = {
        "info": licences.info(),
        "licenses": licences.licence_rows(),
        "images": [],
        "annotations": [],
    }
    captions: list[dict[str, Any]] = []
    (out / "images").mkdir(parents=True, exist_ok=True)
    for old in (out / "images").glob("*.jpg"):
        old.unlink()
    for kind in [k for k in KINDS if not only or k.name in only]:
        done, attempt = 0, 0
        while done < min(kind.count, limit):
            rng = np.random.default_rng([SEED, *kind.name.encode(), attempt])
            attempt += 1
            scene = compose(rng, kind, stamps, usage)
            if scene is None:
                continue
            done += 1
            image = len(document["images"]) + 1
            file_name = f"{kind.name}_{done:02d}.jpg"
            to_picture(scene.rgb).save(out / "images" / file_name, quality=JPEG_QUALITY, optimize=True)
            height, width = scene.rgb.shape[:2]
            document["images"].append(
                {"id": image, "file_name": f"images/{file_name}", "width": width, "height": height, "license": 1}
            )
            captions.append({"image_id": image, "caption": scene.caption})
            used_photos.update(scene.photos)
            for thing, phrase in zip(scene.things, scene.phrases, strict=True):
                stamp = thing.placed.stamp
                used_stamps.add(stamp.name)
                number = len(document["annotations"]) + 1
                document["annotations"].append(annotation(number, image, names.index(stamp.label) + 1, thing, phrase))
            print(file_name, scene.caption, flush=True)
    document["categories"] = [{"id": i + 1, "name": name, "supercategory": ""} for i, name in enumerate(names)]
    document["captions"] = captions
    sources = {"stamps": [stamps[name].path for name in stamps if name in used_stamps], "photos": sorted(used_photos)}
    (out / "sources.json").write_text(json.dumps(sources, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    licences.write(out, [stamps[name] for name in stamps if name in used_stamps], sorted(used_photos))
    return document


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Compose the scenes of the demo.")
    parser.add_argument("--out", type=Path, default=Path("assets/demo"))
    parser.add_argument("--only", default="", help="kinds of scenes, separated by commas")
    parser.add_argument("--limit", type=int, default=1000, help="at most so many scenes of each kind")
    options = parser.parse_args()
    document = compose_all(options.out, set(filter(None, options.only.split(","))), options.limit)
    with (options.out / "annotations.json").open("w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()

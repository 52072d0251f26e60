"""Commands that ask the model: search, ground, phrases."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.commands.opening import checkpoint_folder, image_of, opened, session, unit_box
from locstudio.commands.output import print_json, say
from locstudio.domain.errors import UserError
from locstudio.domain.geometry import UnitBox
from locstudio.services.search import SearchResult, SearchService, parse_query
from locstudio.store.dataset import Dataset


def search(options: argparse.Namespace) -> int:
    """Find the nearest regions of the whole collection to a box, to words, or to both."""
    if not options.text and not (options.image and options.box):
        raise UserError("Say what to search: --text WORDS, or --image IMAGE with --box x0,y0,x1,y1.")
    with opened(options.project, read_only=True) as (project, dataset):
        folder = checkpoint_folder(project, dataset, None)
        service = SearchService.open(project, dataset, folder)
        engine = session(project, folder)
        vectors: list[NDArray[np.float32]] = []
        negatives: list[NDArray[np.float32]] = []
        if options.image and options.box:
            vectors.append(_box_vector(engine, dataset, options.image, options.box))
        if options.text:
            query = parse_query(options.text)
            vectors.extend(engine.encode_texts([query.positive]) if query.positive else [])
            negatives.extend(engine.encode_texts(list(query.negatives)) if query.negatives else [])
        if not vectors:
            raise UserError("A search needs at least one word without a minus.")
        result = service.hits_for(np.mean(vectors, axis=0), negatives=negatives, top=options.top)
        _print_hits(options, dataset, result)
    return 0


def _box_vector(
    engine: Any, dataset: Dataset, name: str, corners: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    file, width, height = _picture(dataset, name)
    engine.set_image(file)
    vector: NDArray[np.float32] = engine.encode_boxes([unit_box(corners, width, height)])[0]
    return vector


def _picture(dataset: Dataset, name: str) -> tuple[Path, int, int]:
    """An image of the project, or any image file on disk, with its upright size."""
    from locstudio.domain.errors import BadInput
    from locstudio.media.decode import read_header

    try:
        image = image_of(dataset, name)
    except BadInput:
        if not Path(name).is_file():
            raise
        header = read_header(Path(name))
        return Path(name), header.width, header.height
    return dataset.image_file(image), image.width, image.height


def _print_hits(options: argparse.Namespace, dataset: Dataset, result: SearchResult) -> None:
    paths = {image.id: image.path for image in dataset.images([hit.image_id for hit in result.hits])}
    hits = [
        {
            "image": paths[hit.image_id],
            "image_id": hit.image_id,
            "box": [round(corner, 5) for corner in hit.box.as_tuple()],
            "score": round(float(hit.score), 5),
            "phrase": hit.phrase,
            "region": hit.region_id,
        }
        for hit in result.hits
    ]
    if options.json:
        print_json({"hits": hits, "cut": round(float(result.cut), 5)})
        return
    for hit in hits:
        say(f"{hit['score']:.3f}  {hit['image']}  {_corners(hit['box'])}  {hit['phrase']}")


def _corners(box: Any) -> str:
    return ",".join(f"{corner:.3f}" for corner in box)


def ground(options: argparse.Namespace) -> int:
    """Find the box of a phrase in one image."""
    with opened(options.project, read_only=True) as (project, dataset):
        engine = session(project, checkpoint_folder(project, dataset, None))
        engine.set_image(_picture(dataset, options.image)[0])
        box, score = engine.ground_text(options.text)
    _print_box(options, box, score)
    return 0


def _print_box(options: argparse.Namespace, box: UnitBox, score: float) -> None:
    if options.json:
        corners = [round(corner, 5) for corner in box.as_tuple()]
        print_json({"image": options.image, "phrase": options.text, "box": corners, "score": round(score, 5)})
    else:
        say(f"{score:.3f}  {_corners(box.as_tuple())}  {options.text}")


def phrases(options: argparse.Namespace) -> int:
    """Rank the collection's own phrases for a box."""
    with opened(options.project, read_only=True) as (project, dataset):
        folder = checkpoint_folder(project, dataset, None)
        service = SearchService.open(project, dataset, folder)
        vector = _box_vector(session(project, folder), dataset, options.image, options.box)
        ranked = service.phrases_for(vector, top=options.top)
    if options.json:
        print_json({"phrases": [{"phrase": phrase, "score": round(float(score), 5)} for phrase, score in ranked]})
    else:
        for phrase, score in ranked:
            say(f"{score:.3f}  {phrase}")
    return 0

"""Commands that make masks: segment."""

import argparse
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from locstudio.commands.opening import checkpoint_folder, image_of, opened, session, unit_box
from locstudio.commands.output import ProgressLine, print_json, say
from locstudio.domain.edits import Edit, RegionChange
from locstudio.domain.errors import UserError
from locstudio.domain.masks import mask_as_runs, tight_box
from locstudio.domain.regions import Image, Region, Review
from locstudio.media.files import ImageProblem
from locstudio.store.dataset import Dataset

_ACTOR = "segment"
_IMAGES_AT_ONCE = 256


def segment(options: argparse.Namespace) -> int:
    """Mask what a box or points mean and print it; or give the project's regions masks, in one undo step."""
    has_prompt = bool(options.box or options.point)
    if options.not_point and not has_prompt:
        raise UserError("A point outside needs a box or a point inside: --box x0,y0,x1,y1 or --point x,y.")
    if options.all and has_prompt:
        raise UserError("A box or a point lies in one image: say which with --image instead of --all.")
    with opened(options.project, read_only=has_prompt) as (project, dataset):
        engine = session(project, checkpoint_folder(project, dataset, None))
        if has_prompt:
            _print_masks(options, dataset, engine)
        else:
            _mask_regions(options, dataset, engine)
    return 0


def _print_masks(options: argparse.Namespace, dataset: Dataset, engine: Any) -> None:
    """One mask a box; the points belong to the box where there is one, else they mean one thing."""
    image = image_of(dataset, options.image)
    file, sha256 = dataset.image_file(image), image.sha256
    opened_image = engine.set_image(file, sha256=sha256)
    size = opened_image.width, opened_image.height
    found = engine.segment(_prompts(options, *size), sam=options.sam)
    masks = [
        {
            "segmentation": mask_as_runs(one.mask_HW),
            "box": box.as_tuple() if box else None,
            "area": int(np.count_nonzero(one.mask_HW)),
            "expected_overlap": round(one.expected_overlap, 4),
        }
        for one in found
        for box in [tight_box(one.mask_HW)]
    ]
    document = {"image": image.path, "width": size[0], "height": size[1], "model": engine.segmenter_name(options.sam)}
    if options.json:
        print_json(document | {"masks": masks})
        return
    for mask in masks:
        if mask["box"] is None:
            say("nothing found here")
        else:
            corners = ",".join(f"{corner:.4f}" for corner in mask["box"])
            say(f"box {corners}  {mask['area']} pixels, expected overlap {mask['expected_overlap']:.2f}")


def _prompts(options: argparse.Namespace, width: int, height: int) -> list[Any]:
    from locstudio.models.segmenter import MaskPrompt, PointPrompt

    marked = [(at, True) for at in options.point or ()] + [(at, False) for at in options.not_point or ()]
    points = []
    for (x, y), is_inside in marked:
        if max(x, y) > 1:
            x, y = x / width, y / height
        points.append(PointPrompt(x, y, is_inside))
    boxes = [unit_box(corners, width, height) for corners in options.box or ()]
    try:
        return [MaskPrompt(box, tuple(points)) for box in boxes] or [MaskPrompt(None, tuple(points))]
    except ValueError as error:
        raise UserError(f"This cannot be masked: {error}.") from error


def _mask_regions(options: argparse.Namespace, dataset: Dataset, engine: Any) -> None:
    image_ids = dataset.image_ids().tolist() if options.all else [image_of(dataset, options.image).id]
    wanted = {Review(options.review)} if options.review else {Review.ACCEPTED, Review.PENDING}
    problems: list[str] = []
    num_masks = num_empty = 0
    group, tell = f"{_ACTOR}-{secrets.token_hex(6)}", ProgressLine("Images")
    for number, (image, regions) in enumerate(_unmasked(dataset, image_ids, wanted), start=1):
        tell(number, 0)
        try:
            masked = _masks_of(engine, dataset.image_file(image), image, regions, options.sam)
        except ImageProblem as error:
            problems.append(f"{image.path}: {error}")
            continue
        if masked:  # at once, so that who interrupts it keeps what is done; all of one group is one undo step
            dataset.apply(Edit("Masks of regions", tuple(masked)), actor=_ACTOR, group=group)
        num_masks += len(masked)
        num_empty += len(regions) - len(masked)
    document = {
        "masks": num_masks,
        "empty": num_empty,
        "problems": problems,
        "model": engine.segmenter_name(options.sam) if num_masks or num_empty else "",
    }
    if options.json:
        print_json(document)
        return
    say(f"{num_masks} regions have a mask now" + (f"; in {num_empty} nothing was found" if num_empty else ""))
    for problem in problems:
        say(problem)


def _unmasked(dataset: Dataset, image_ids: list[int], wanted: set[Review]) -> Iterator[tuple[Image, list[Region]]]:
    """Images with their regions that have no mask yet, and may get one."""
    for begin in range(0, len(image_ids), _IMAGES_AT_ONCE):
        some = image_ids[begin : begin + _IMAGES_AT_ONCE]
        regions_of = dataset.regions_of_images(some)
        for image in dataset.images(some):
            regions = [
                region
                for region in regions_of.get(image.id, ())
                if not region.mask and not region.is_crowd and not region.is_locked and region.review in wanted
            ]
            if regions:
                yield image, regions


def _masks_of(engine: Any, file: Path, image: Image, regions: list[Region], sam: Path | None) -> list[RegionChange]:
    from locstudio.models.segmenter import MaskPrompt

    engine.set_image(file, sha256=image.sha256)
    found = engine.segment([MaskPrompt(region.box) for region in regions], sam=sam)
    # A model's mask is no person's edit: the region keeps its origin.
    return [
        RegionChange(region, replace(region, mask=mask_as_runs(one.mask_HW)))
        for region, one in zip(regions, found, strict=True)
        if one.mask_HW.any()
    ]

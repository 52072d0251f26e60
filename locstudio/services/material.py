"""What a project holds that can be learnt from, counted as the trainer chooses it.  Reads everything once."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from locstudio.domain.regions import HELD_OUT_SPLITS, Image, Problem, Region, Review
from locstudio.jobs.vmoe_config import usual_num_experts
from locstudio.services.retrain_plan import ClassMaterial, ExpertMaterial, Material
from locstudio.store.filters import ImageFilter
from locstudio.store.view import DatasetView

_PAGE = 500


def count_material(dataset: DatasetView, *, include_pending: bool = False) -> Material:
    """Count what a training of regions would learn from."""
    names = {label.id: label.name for label in dataset.classes() if not label.is_retired}
    num_regions = num_images = num_pending = num_unusable = 0
    held_out = dict.fromkeys(HELD_OUT_SPLITS, 0)
    for image, regions in _images(dataset):
        if image.problem is not Problem.NONE:
            num_unusable += 1
            continue
        described = [region for region in regions if _is_described(region, names)]
        waiting = [r for r in described if r.review is Review.PENDING and not r.is_ground_truth and not r.is_crowd]
        num_true = sum(region.is_ground_truth for region in described)
        num_pending += len(waiting)
        if image.split in held_out:
            held_out[image.split] += num_true
        elif include_pending:
            num_true += len(waiting)
        num_regions += num_true
        num_images += num_true > 0
    split = _first(held_out)
    return Material(
        num_regions=num_regions,
        num_images=num_images,
        num_pending=num_pending,
        num_unusable=num_unusable,
        held_out_split=split,
        num_held_out=held_out[split] if split else None,
    )


def count_class_material(dataset: DatasetView) -> ClassMaterial:
    """Count what a training of classes would learn from: labels of images, and classes of their true regions."""
    in_use = {label.id for label in dataset.classes() if not label.is_retired}
    said = _said(dataset, in_use)
    present: set[int] = set()
    num_images = num_unlabelled = num_positives = num_negatives = num_unusable = 0
    held_out = dict.fromkeys(HELD_OUT_SPLITS, 0)
    for image, regions in _images(dataset):
        if image.problem is not Problem.NONE:
            num_unusable += 1
            continue
        known = said.get(image.id, {})
        absent = {class_id for class_id, is_there in known.items() if not is_there}
        positive = _positive(known, regions, in_use)
        present |= positive
        num_positives += len(positive)
        num_negatives += len(absent)
        is_known = bool(positive or absent)
        num_images += is_known
        num_unlabelled += not is_known
        if image.split in held_out:
            held_out[image.split] += is_known
    split = _first(held_out)
    return ClassMaterial(
        num_images=num_images,
        num_unlabelled=num_unlabelled,
        num_classes=len(present),
        num_positives=num_positives,
        num_negatives=num_negatives,
        num_corrections=_num_corrections(dataset),
        num_unusable=num_unusable,
        held_out_split=split,
        num_held_out=held_out[split] if split else None,
    )


def count_expert_material(dataset: DatasetView, *, num_experts: int = 0) -> ExpertMaterial:
    """Count what a training of experts would learn from; ``num_experts`` 0 is what superclasses and classes ask for."""
    counts = _count_shown(dataset)
    superclasses = dataset.superclasses()
    known = {one.id for one in superclasses}
    classes = [label for label in dataset.classes() if not label.is_retired]
    homes = {label.superclass_id for label in classes} & known
    num_superclasses = len(homes)
    chosen = num_superclasses or usual_num_experts(counts.num_classes)
    return replace(
        counts,
        num_superclasses=num_superclasses,
        superclass_names=tuple(one.name for one in superclasses if one.id in homes),
        num_without=sum(label.superclass_id not in homes for label in classes) if homes else 0,
        num_experts=max(num_experts, num_superclasses) or chosen,
    )


def _count_shown(dataset: DatasetView) -> ExpertMaterial:
    in_use = {label.id for label in dataset.classes() if not label.is_retired}
    said = _said(dataset, in_use)
    present: set[int] = set()
    num_images = num_unlabelled = num_unusable = 0
    held_out = dict.fromkeys(HELD_OUT_SPLITS, 0)
    for image, regions in _images(dataset):
        if image.problem is not Problem.NONE:
            num_unusable += 1
            continue
        positive = _positive(said.get(image.id, {}), regions, in_use)
        present |= positive
        num_images += bool(positive)
        num_unlabelled += not positive
        if image.split in held_out:
            held_out[image.split] += bool(positive)
    split = _first(held_out)
    return ExpertMaterial(
        num_images=num_images,
        num_unlabelled=num_unlabelled,
        num_classes=len(present),
        num_unusable=num_unusable,
        held_out_split=split,
        num_held_out=held_out[split] if split else None,
    )


def _positive(known: dict[int, bool], regions: Iterable[Region], class_ids: set[int]) -> set[int]:
    """Classes that an image is known to show."""
    absent = {class_id for class_id, is_there in known.items() if not is_there}
    there = {region.class_id for region in regions if region.is_ground_truth and region.class_id in class_ids}
    positive = {class_id for class_id, is_there in known.items() if is_there}
    return positive | ({class_id for class_id in there if class_id is not None} - absent)


def _said(dataset: DatasetView, class_ids: set[int]) -> dict[int, dict[int, bool]]:
    """What labels say: by image, which classes are there and which are not."""
    labels = dataset.label_columns()
    is_known = (labels.presence >= 0) & np.isin(labels.class_ids, list(class_ids))
    said: dict[int, dict[int, bool]] = {}
    columns = (labels.image_ids[is_known], labels.class_ids[is_known], labels.presence[is_known])
    for image_id, class_id, presence in zip(*(column.tolist() for column in columns), strict=True):
        said.setdefault(image_id, {})[class_id] = presence == 1
    return said


def _num_corrections(dataset: DatasetView) -> int:
    count = last = 0
    while page := dataset.corrections_page(after_id=last):
        count, last = count + len(page), page[-1].id
    return count


def _images(dataset: DatasetView) -> Iterator[tuple[Image, Iterable[Region]]]:
    last = 0
    while page := dataset.image_page(ImageFilter(order="id"), after_id=last, limit=_PAGE):
        last = page[-1].id
        regions = dataset.regions_of_images([image.id for image in page])
        for image in page:
            yield image, regions[image.id]


def _first(held_out: dict[str, int]) -> str:
    return next((name for name, count in held_out.items() if count), "")


def _is_described(region: Region, names: dict[int, str]) -> bool:
    return bool(region.phrase.strip() or (region.class_id is not None and names.get(region.class_id)))

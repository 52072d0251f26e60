"""What the model says of a few held-out regions, the same ones after every evaluation.

Axes: S = sampled regions of one image, T = texts, D = embedding width.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from locstudio.domain.geometry import Letterbox
from locstudio.domain.regions import Image, Region
from locstudio.jobs.training_files import HeldOut, SampledRegion, Samples
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset
from trainer.data import images_with_regions, is_ground_truth, names_in_use, phrase_of
from trainer.encoding import Encoded, TokenSource, embed_texts
from trainer.images import Unreadable
from trainer.losses.contrastive import temperature

NUM_SAMPLES = 12
NUM_GUESSES = 3
MAX_TEXTS = 500


@dataclass(frozen=True, slots=True)
class SampledImage:
    """An image, where its file is, and the regions of it that are looked at, with their true names."""

    image: Image
    path: Path
    regions: tuple[Region, ...]
    truths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SampleChoice:
    """Which regions are looked at, and the texts that they could be called by."""

    images: tuple[SampledImage, ...]
    texts: tuple[str, ...]


def choose_samples(dataset: Dataset, held_out: HeldOut) -> SampleChoice:
    """At most ``NUM_SAMPLES`` held-out regions, from as many images and names as there are, in a fixed order.

    They are named by the classes in use; regions without a class by the phrases of what is held out.
    """
    names = names_in_use(dataset)
    ids = frozenset(held_out.image_ids)
    found: list[tuple[SampledImage, str]] = []
    for work in images_with_regions(dataset, held_out.split) if ids else ():
        if work.image.id not in ids:
            continue
        for region in filter(is_ground_truth, work.regions):
            truth = names.get(region.class_id or 0, "") or phrase_of(region, names)
            if truth:
                found.append((SampledImage(work.image, work.path, (region,), (truth,)), _order_of(work.image, region)))
    found.sort(key=lambda pair: pair[1])
    chosen = _varied([image for image, _ in found])
    classes = list(dict.fromkeys(names.values()))
    others = [truth for image, _ in found for truth in image.truths]
    texts = list(dict.fromkeys([*(truth for image in chosen for truth in image.truths), *classes, *others]))
    return SampleChoice(_by_image(chosen), tuple(texts[:MAX_TEXTS]))


def take_samples(model: Cloc, choice: SampleChoice, source: TokenSource, step: int) -> Samples:
    """The best guesses for every sampled region; an image that cannot be read is left out."""
    text_TD = embed_texts(model, choice.texts)
    regions: list[SampledRegion] = []
    for batch in source.stream(choice.images):
        for work, encoded in batch:
            if not isinstance(encoded, Unreadable):
                regions += _of_image(model, work, encoded, text_TD, choice.texts)
    return Samples(step=step, regions=tuple(regions))


@torch.inference_mode()
def _of_image(
    model: Cloc, work: SampledImage, encoded: Encoded, text_TD: Tensor, texts: Sequence[str]
) -> list[SampledRegion]:
    boxes_S4 = np.array([region.box.as_tuple() for region in work.regions], np.float32)
    square_S4 = torch.from_numpy(Letterbox(work.image.width, work.image.height).to_square(boxes_S4))
    region_SD = model.embed_boxes(model.prepare(encoded.tokens, encoded.pixels), square_S4).float()
    share_ST = (temperature(model.logit_scale) * region_SD @ text_TD.T).softmax(dim=1)
    best = share_ST.topk(min(NUM_GUESSES, len(texts)), dim=1)
    return [
        SampledRegion(
            image_id=work.image.id,
            region_id=region.id,
            box=region.box.as_tuple(),
            truth=truth,
            guesses=tuple((texts[row], round(share, 4)) for share, row in zip(shares, rows, strict=True)),
        )
        for region, truth, shares, rows in zip(
            work.regions, work.truths, best.values.tolist(), best.indices.tolist(), strict=True
        )
    ]


def _varied(candidates: Sequence[SampledImage]) -> list[SampledImage]:
    """Up to the limit: those of a new name from a new image, then those from a new image, then whatever is left."""
    chosen: list[SampledImage] = []
    images: set[int] = set()
    truths: set[str] = set()
    for wants_name, wants_image in ((True, True), (False, True), (False, False)):
        for candidate in candidates:
            is_old = (wants_name and candidate.truths[0] in truths) or (wants_image and candidate.image.id in images)
            if len(chosen) < NUM_SAMPLES and not is_old and candidate not in chosen:
                chosen.append(candidate)
                images.add(candidate.image.id)
                truths.update(candidate.truths)
    return chosen


def _by_image(chosen: Sequence[SampledImage]) -> tuple[SampledImage, ...]:
    """One entry an image, in the order of ids."""
    of: dict[int, list[SampledImage]] = {}
    for sample in chosen:
        of.setdefault(sample.image.id, []).append(sample)
    return tuple(
        SampledImage(
            of[key][0].image,
            of[key][0].path,
            tuple(sample.regions[0] for sample in of[key]),
            tuple(sample.truths[0] for sample in of[key]),
        )
        for key in sorted(of)
    )


def _order_of(image: Image, region: Region) -> str:
    """The same every time, and no order that a person or an importer has made."""
    identity = f"{image.sha256 or image.path}\0{region.id}"
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()

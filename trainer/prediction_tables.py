"""From what a model said of each image to the tables of an evaluation, and from these to its metrics.

Axes: R = regions of an image, N = all regions, C = classes, Q = phrases asked, P = detections, T = texts, I = images,
D = embedding width.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray, iou_matrix
from locstudio.jobs.predictions import (
    Detections,
    GroundingPredictions,
    ImageTextPredictions,
    Predictions,
    ProposalPredictions,
    RegionPredictions,
    RetrievalPredictions,
    Summary,
)
from trainer.ground_truth import EvaluationImage, GroundTruth
from trainer.metrics import (
    CHUNK,
    GROUNDING_IOU,
    PROPOSAL_LIMITS,
    Floats,
    Ints,
    average_precision,
    best_ranks,
    grounding_metrics,
    matches,
    naming_metrics,
    naming_ranks,
    proposal_metrics,
    recall_metrics,
)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where an image's phrases were found (Q): rows of the phrases, boxes in the ``unit`` frame, cosines."""

    phrase_rows: Ints
    boxes: BoxArray
    scores: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Detected:
    """What an image's proposals show (P): boxes in the ``unit`` frame, classes and scores in [0, 1]."""

    boxes: BoxArray
    class_rows: Ints
    scores: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ImageAnswers:
    """All that a model said of one image; ``region_RD`` and ``image_D`` are embeddings.

    ``proposed`` are boxes in the ``unit`` frame where things may be, the likeliest first.
    """

    asked: EvaluationImage
    region_RD: Floats
    image_D: Floats
    found: Found
    detected: Detected
    proposed: BoxArray


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Embeddings of the texts of a ground truth; none of those that the task does not ask for."""

    class_CD: Floats
    phrase_TD: Floats
    caption_TD: Floats


def put_together(
    summary: Summary,
    truth: GroundTruth,
    seen: Sequence[ImageAnswers],
    texts: Texts,
    held_out: frozenset[int],
    alive: Callable[[], object] = lambda: None,
) -> Predictions:
    """All tables that the task asks for and that have a row, and the metrics over them.

    What ``summary`` says of numbers of images and metrics is filled in.  ``alive`` is called between the parts.
    """
    is_held_out = [answers.asked.image.id in held_out for answers in seen]
    unlearnt = [answers for answers, is_unlearnt in zip(seen, is_held_out, strict=True) if is_unlearnt]
    of_unlearnt = [True] * len(unlearnt)
    asks_phrases, asks_captions = truth.has("retrieval"), truth.has("images")
    tables = Predictions(
        summary=msgspec.structs.replace(summary, num_images=len(seen), num_held_out_images=len(unlearnt)),
        classes=truth.classes,
        phrases=truth.phrases,
        regions=_regions(seen, is_held_out, texts.class_CD) if truth.has("regions") else None,
        grounding=_grounding(seen, is_held_out) if truth.has("grounding") else None,
        proposals=_proposals(seen, is_held_out) if truth.task == "proposals" else None,
        detections=_detections(seen, is_held_out) if truth.task in ("proposals", "all") and truth.classes else None,
        retrieval=_retrieval(seen, is_held_out, texts.phrase_TD, alive) if asks_phrases else None,
        images=_image_texts(seen, is_held_out, texts.caption_TD, alive) if asks_captions else None,
        held_out_retrieval=_retrieval(unlearnt, of_unlearnt, texts.phrase_TD, alive) if asks_phrases else None,
        held_out_images=_image_texts(unlearnt, of_unlearnt, texts.caption_TD, alive) if asks_captions else None,
    )
    metrics = {
        "metrics": metrics_of(tables),
        "held_out_metrics": metrics_of(tables, is_held_out_only=True),
    }
    return replace(tables, summary=msgspec.structs.replace(tables.summary, **metrics))


def metrics_of(predictions: Predictions, *, is_held_out_only: bool = False) -> dict[str, float]:
    """All metrics of the tables, each task's with ``n_<task>``, the number of its queries; nothing over nothing."""

    def rows(is_held_out: Mask) -> Ints:
        return np.flatnonzero(is_held_out | (not is_held_out_only))

    found: dict[str, dict[str, float]] = {}
    if (regions := predictions.regions) is not None and len(at := rows(regions.is_held_out)):
        found["regions"] = {"n_regions": len(at), **naming_metrics(regions.ranks[at], regions.true_rows[at])}
    retrieval = predictions.held_out_retrieval if is_held_out_only else predictions.retrieval
    if retrieval is not None:
        phrase_ranks = retrieval.ranks_t2r[np.unique(retrieval.phrase_rows)]
        recall = recall_metrics("r2t", retrieval.ranks_r2t) | recall_metrics("t2r", phrase_ranks)
        found["retrieval"] = {"n_retrieval": len(retrieval.ranks_r2t), **recall}
    if (grounding := predictions.grounding) is not None and len(at := rows(grounding.is_held_out)):
        found["grounding"] = {"n_grounding": len(at), **grounding_metrics(grounding.ious[at])}
    if (proposals := predictions.proposals) is not None and len(at := rows(proposals.is_held_out)):
        found["proposals"] = {
            "n_proposals": len(at),
            **proposal_metrics(proposals.ranks[at], proposals.ious[at]),
            **_precision(predictions, at),
        }
    images = predictions.held_out_images if is_held_out_only else predictions.images
    if images is not None:
        recall = recall_metrics("i2t", images.ranks_i2t) | recall_metrics("t2i", images.ranks_t2i)
        found["images"] = {"n_images": len(images.ranks_i2t), **recall}
    return {name: value for metrics in found.values() for name, value in metrics.items()}


def _precision(predictions: Predictions, at: Ints) -> dict[str, float]:
    """``ap50`` of the detections in the images of these true boxes: average precision, averaged over the classes that
    occur; nothing where no box has a class.
    """
    true, found = predictions.proposals, predictions.detections
    if true is None or found is None:
        return {}
    at = at[true.has_class[at]]
    precisions = []
    for class_row in np.unique(true.true_rows[at]):
        own_N = at[true.true_rows[at] == class_row]
        own_P = np.flatnonzero((found.class_rows == class_row) & np.isin(found.image_ids, true.image_ids[at]))
        own_P = own_P[np.argsort(-found.scores[own_P], kind="stable")]
        is_right_P = np.zeros(len(own_P), np.bool_)
        for image_id in np.unique(true.image_ids[own_N]):
            in_N, in_P = own_N[true.image_ids[own_N] == image_id], np.flatnonzero(found.image_ids[own_P] == image_id)
            is_right_P[in_P] = matches(iou_matrix(found.boxes[own_P[in_P]], true.boxes[in_N]))
        precisions.append(average_precision(is_right_P, len(own_N)))
    return {"ap50": float(np.mean(precisions))} if precisions else {}


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """Those true regions of all images that have a name, or a phrase."""

    region_ids: Ints
    image_ids: Ints
    boxes: BoxArray
    rows: Ints
    is_held_out: Mask
    region_ND: Floats


def _described(seen: Sequence[ImageAnswers], is_held_out: Sequence[bool], *, by_class: bool) -> _Column:
    rows = _joined((a.asked.class_rows if by_class else a.asked.phrase_rows) for a in seen)
    at = np.flatnonzero(rows >= 0)
    counts = [len(a.asked.region_ids) for a in seen]
    return _Column(
        region_ids=_joined(a.asked.region_ids for a in seen)[at],
        image_ids=np.repeat(_image_ids(seen), counts)[at],
        boxes=_boxes(a.asked.boxes for a in seen)[at],
        rows=rows[at],
        is_held_out=np.repeat(np.array(is_held_out, np.bool_), counts)[at],
        region_ND=np.concatenate([a.region_RD for a in seen])[at] if seen else np.zeros((0, 0), np.float32),
    )


def _regions(seen: Sequence[ImageAnswers], is_held_out: Sequence[bool], class_CD: Floats) -> RegionPredictions | None:
    named = _described(seen, is_held_out, by_class=True)
    if not len(named.rows):
        return None
    ranks, found, scores = [], [], []
    for start in range(0, len(named.rows), CHUNK):
        scores_NC = named.region_ND[start : start + CHUNK] @ class_CD.T
        rank_N, found_N = naming_ranks(scores_NC, named.rows[start : start + CHUNK])
        ranks.append(rank_N)
        found.append(found_N)
        scores.append(scores_NC.astype(np.float16))
    return RegionPredictions(
        region_ids=named.region_ids,
        image_ids=named.image_ids,
        boxes=named.boxes,
        true_rows=named.rows,
        found_rows=np.concatenate(found),
        ranks=np.concatenate(ranks),
        is_held_out=named.is_held_out,
        scores=np.concatenate(scores),
    )


def _retrieval(
    seen: Sequence[ImageAnswers], is_held_out: Sequence[bool], phrase_TD: Floats, alive: Callable[[], object]
) -> RetrievalPredictions | None:
    described = _described(seen, is_held_out, by_class=False)
    if not len(described.rows):
        return None
    asked, places = np.unique(described.rows, return_inverse=True)
    pairs = np.stack([np.arange(len(places)), places], axis=1)
    ranks_t2r = np.full(len(phrase_TD), len(places), np.int64)  # of phrases that no region here has
    ranks_t2r[asked] = best_ranks(phrase_TD[asked], described.region_ND, pairs[:, ::-1], alive=alive)
    return RetrievalPredictions(
        region_ids=described.region_ids,
        image_ids=described.image_ids,
        phrase_rows=described.rows,
        ranks_r2t=best_ranks(described.region_ND, phrase_TD[asked], pairs, alive=alive),
        is_held_out=described.is_held_out,
        ranks_t2r=ranks_t2r,
    )


def _grounding(seen: Sequence[ImageAnswers], is_held_out: Sequence[bool]) -> GroundingPredictions | None:
    counts = [len(answers.found.phrase_rows) for answers in seen]
    if not sum(counts):
        return None
    nearest = [_nearest(answers) for answers in seen]
    return GroundingPredictions(
        region_ids=_joined(a.asked.region_ids[places] for a, (places, _) in zip(seen, nearest, strict=True)),
        image_ids=np.repeat(_image_ids(seen), counts),
        phrase_rows=_joined(a.found.phrase_rows for a in seen),
        true_boxes=_boxes(a.asked.boxes[places] for a, (places, _) in zip(seen, nearest, strict=True)),
        found=_boxes(a.found.boxes for a in seen),
        ious=np.concatenate([iou_Q for _, iou_Q in nearest]),
        scores=np.concatenate([a.found.scores for a in seen]),
        is_held_out=np.repeat(np.array(is_held_out, np.bool_), counts),
    )


def _proposals(seen: Sequence[ImageAnswers], is_held_out: Sequence[bool]) -> ProposalPredictions | None:
    counts = [len(answers.asked.region_ids) for answers in seen]
    if not sum(counts):
        return None
    overlaps = [iou_matrix(answers.asked.boxes, answers.proposed) for answers in seen]
    class_rows = _joined(a.asked.class_rows for a in seen)
    return ProposalPredictions(
        region_ids=_joined(a.asked.region_ids for a in seen),
        image_ids=np.repeat(_image_ids(seen), counts),
        boxes=_boxes(a.asked.boxes for a in seen),
        true_rows=np.maximum(class_rows, 0),
        has_class=class_rows >= 0,
        ranks=_joined(_first_covering(overlap_RP) for overlap_RP in overlaps),
        ious=np.concatenate([overlap_RP.max(axis=1, initial=0.0) for overlap_RP in overlaps]),
        is_held_out=np.repeat(np.array(is_held_out, np.bool_), counts),
    )


def _first_covering(overlap_RP: Floats) -> Ints:
    """How many proposals stand before the first that overlaps a region by a half."""
    covers_RP = overlap_RP >= GROUNDING_IOU
    none = np.full((len(covers_RP), 1), True)
    first_R = np.concatenate([covers_RP, none], axis=1).argmax(axis=1)
    return np.where(covers_RP.any(axis=1), first_R, max(PROPOSAL_LIMITS)).astype(np.int64)


def _nearest(answers: ImageAnswers) -> tuple[Ints, Floats]:
    """For each phrase that was asked, which of its true regions the found box overlaps most, and how much."""
    asked, found = answers.asked, answers.found
    if not len(found.phrase_rows):
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    is_own_QR = asked.phrase_rows[None, :] == found.phrase_rows[:, None]
    overlap_QR = np.where(is_own_QR, iou_matrix(found.boxes, asked.boxes), -1.0)
    nearest_Q = overlap_QR.argmax(axis=1)  # of equals the first, which is the oldest
    return nearest_Q, overlap_QR.max(axis=1).astype(np.float32)


def _detections(seen: Sequence[ImageAnswers], is_held_out: Sequence[bool]) -> Detections:
    counts = [len(answers.detected.scores) for answers in seen]
    return Detections(
        image_ids=np.repeat(_image_ids(seen), counts),
        boxes=_boxes(a.detected.boxes for a in seen),
        class_rows=_joined(a.detected.class_rows for a in seen),
        scores=np.concatenate([np.zeros(0, np.float32), *(a.detected.scores for a in seen)]),
        is_held_out=np.repeat(np.array(is_held_out, np.bool_), counts),
    )


def _image_texts(
    seen: Sequence[ImageAnswers], is_held_out: Sequence[bool], caption_TD: Floats, alive: Callable[[], object]
) -> ImageTextPredictions | None:
    captioned = [place for place, answers in enumerate(seen) if answers.asked.captions]
    if not captioned:
        return None
    asked: list[EvaluationImage] = [seen[place].asked for place in captioned]
    image_ID = np.stack([seen[place].image_D for place in captioned])
    captions = [(key, image.image.id, row, place) for place, image in enumerate(asked) for key, row in image.captions]
    keys, owners, rows, places = np.array(captions, np.int64).T
    distinct, rows = np.unique(rows, return_inverse=True)
    text_TD = caption_TD[distinct]
    pairs = np.unique(np.stack([places, rows], axis=1), axis=0)
    return ImageTextPredictions(
        image_ids=np.array([image.image.id for image in asked], np.int64),
        ranks_i2t=best_ranks(image_ID, text_TD, pairs, alive=alive),
        is_held_out=np.array([is_held_out[place] for place in captioned], np.bool_),
        caption_ids=keys,
        caption_image_ids=owners,
        ranks_t2i=best_ranks(text_TD, image_ID, pairs[:, ::-1], alive=alive)[rows],
    )


def _image_ids(seen: Sequence[ImageAnswers]) -> Ints:
    return np.array([answers.asked.image.id for answers in seen], np.int64)


def _joined(parts: Iterable[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _boxes(parts: Iterable[BoxArray]) -> BoxArray:
    return np.concatenate([np.zeros((0, 4), np.float32), *parts])

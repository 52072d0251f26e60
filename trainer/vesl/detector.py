"""Detectors: phrases to boxes.  Ours needs nothing but the run's checkpoint, the others weights of the person's.

Whoever finds a box, its embedding is that of the run's own Prompter, so that it can be compared with all others.
Axes: P = boxes, T = phrases, Q = queries of a detector, L = tokens of a text, D = embedding width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor

from locstudio.domain.geometry import BoxArray, suppress_overlaps
from locstudio.models.cloc import Cloc
from locstudio.models.detector import LOOSE_IOU, detect
from trainer.vesl.outside import from_pretrained, load_from_outside
from trainer.vesl.scene import Scene
from trainer.vesl.texts import TextMemory

SIDE_OF_OTHERS = 448
MIN_SCORE_OF_OTHERS = 0.1
"""Side of the image and least confidence as in the paper, for its detector and those like it."""
SMALLEST_SIDE = 1 / 512
DEFAULT_MODELS = {
    # The paper's own is google/owlv2-large-patch14-finetuned, which takes a minute an image on two cores.
    "owlv2": "google/owlv2-base-patch16-ensemble",
    "grounding_dino": "IDEA-Research/grounding-dino-tiny",
}
_MAX_OWL_TOKENS = 16
_CUT = 1e-3
_MAX_PHRASES_AT_ONCE = 24  # Grounding DINO reads them as one text of 256 tokens


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a detector says of an image: boxes in the ``unit`` frame, each with its most confident phrase.

    Attributes:
        boxes_P4: Boxes XYXY, float32.
        phrase_P: Row of the phrase, int64.
        score_P: How sure it is of the phrase there, in [0, 1], float32.
        objectness_P: How sure it is that there is a thing at all, in [0, 1], float32.
        vectors_PD: Region embeddings where the detector has them already, else None.
    """

    boxes_P4: BoxArray
    phrase_P: NDArray[np.int64]
    score_P: NDArray[np.float32]
    objectness_P: NDArray[np.float32]
    vectors_PD: NDArray[np.float32] | None = None

    def settled(self, min_score: float, *, max_iou: float = LOOSE_IOU, limit: int = 1000) -> NDArray[np.int64]:
        """Rows, best first: with an area and a score, none overlapping a better one by more than ``max_iou``."""
        has_area = ((self.boxes_P4[:, 2:] - self.boxes_P4[:, :2]) > SMALLEST_SIDE).all(axis=1)
        rows = np.flatnonzero(has_area & (self.score_P >= min_score))
        return rows[suppress_overlaps(self.boxes_P4[rows], self.score_P[rows], max_iou, limit)]


class Detector(Protocol):
    """Finds phrases in images.

    ``words`` are for a person: who it is.  ``min_score`` is what it does not tell apart from nothing.
    """

    @property
    def words(self) -> str: ...

    @property
    def min_score(self) -> float: ...

    def detect(self, scene: Scene, phrases: Sequence[str]) -> Found:
        """Boxes with the most confident of these phrases each; none where there is no phrase."""
        ...


class OwnDetector:
    """Proposals of the checkpoint, named by its Prompter against the embeddings of the phrases."""

    words = "LocStudio's own detector"
    min_score = 0.0

    def __init__(self, model: Cloc, texts: TextMemory, num_boxes: int) -> None:
        self._model = model
        self._texts = texts
        self._num_boxes = num_boxes

    def detect(self, scene: Scene, phrases: Sequence[str]) -> Found:
        """Boxes of the checkpoint's proposal head."""
        found = detect(self._model, scene.prepared, self._texts.vectors_of(phrases), num_boxes=self._num_boxes)
        square_P4 = _array(found.boxes_P4).reshape(-1, 4)
        boxes_P4 = scene.letterbox.to_unit(square_P4)
        return Found(
            boxes_P4=boxes_P4,
            phrase_P=found.phrase_P.cpu().numpy(),
            score_P=_array(found.score_P),
            objectness_P=_array(found.objectness_P),
            vectors_PD=self._vectors_of(scene, square_P4, boxes_P4, _array(found.vectors_PD)),
        )

    @torch.inference_mode()
    def _vectors_of(
        self, scene: Scene, found_P4: BoxArray, boxes_P4: BoxArray, vectors_PD: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Embeddings of the boxes as they are kept: those that reached into the padding were cut."""
        kept_P4 = scene.letterbox.to_square(boxes_P4)
        rows = np.flatnonzero((np.abs(kept_P4 - found_P4) > _CUT).any(axis=1))
        if len(rows):
            vectors_PD[rows] = _array(self._model.embed_boxes(scene.prepared, torch.from_numpy(kept_P4[rows])))
        return vectors_PD


class Owlv2:
    """OWLv2 (arXiv:2306.09683) by transformers, the paper's detector, from a folder or a hub tag."""

    min_score = MIN_SCORE_OF_OTHERS

    def __init__(self, source: str, device: torch.device) -> None:
        self._model, self._processor = _load_zero_shot("OWLv2", source, device)
        self._device = device
        size = self._processor.image_processor.size
        # Not in the paper: a model that was trained on smaller images sees its own size.
        self._side = min(SIDE_OF_OTHERS, size["height"])
        self.words = f"OWLv2, {source}"

    @torch.inference_mode()
    def detect(self, scene: Scene, phrases: Sequence[str]) -> Found:
        """Boxes of the model's queries above the paper's confidence."""
        if not phrases:
            return _nothing()
        pixels = scene.pixels(SIDE_OF_OTHERS)
        height, width = pixels.shape[:2]
        inputs = self._processor(
            text=[list(phrases)],
            images=Picture.fromarray(pixels),
            size={"height": self._side, "width": self._side},
            padding="max_length",
            max_length=_MAX_OWL_TOKENS,
            truncation=True,
            return_tensors="pt",
        ).to(self._device)
        output = self._model(**inputs, interpolate_pos_encoding=True)
        found = self._processor.post_process_grounded_object_detection(
            output, threshold=self.min_score, target_sizes=[(height, width)]
        )[0]
        is_told_Q = output.logits[0].amax(dim=-1).sigmoid() > self.min_score
        return Found(
            boxes_P4=_unit(found["boxes"], width, height),
            phrase_P=found["labels"].cpu().numpy().astype(np.int64),
            score_P=_array(found["scores"]),
            objectness_P=_array(output.objectness_logits[0].sigmoid()[is_told_Q]),
        )


class GroundingDino:
    """Grounding DINO (arXiv:2303.05499) by transformers, from a folder or a hub tag."""

    min_score = MIN_SCORE_OF_OTHERS

    def __init__(self, source: str, device: torch.device) -> None:
        self._model, self._processor = _load_zero_shot("Grounding DINO", source, device)
        self._device = device
        tokenizer = self._processor.tokenizer
        self._full_stop = tokenizer.convert_tokens_to_ids(".")
        self._special = set(tokenizer.all_special_ids)
        self.words = f"Grounding DINO, {source}"

    def detect(self, scene: Scene, phrases: Sequence[str]) -> Found:
        """Boxes of the model's queries above the paper's confidence; many phrases are asked in several turns."""
        parts = [
            self._detect(scene, phrases[start : start + _MAX_PHRASES_AT_ONCE], start)
            for start in range(0, len(phrases), _MAX_PHRASES_AT_ONCE)
        ] or [_nothing()]
        return Found(
            np.concatenate([part.boxes_P4 for part in parts]),
            np.concatenate([part.phrase_P for part in parts]),
            np.concatenate([part.score_P for part in parts]),
            np.concatenate([part.objectness_P for part in parts]),
        )

    @torch.inference_mode()
    def _detect(self, scene: Scene, phrases: Sequence[str], first: int) -> Found:
        text = " ".join(f"{phrase.replace('.', ' ').lower()}." for phrase in phrases)
        picture = Picture.fromarray(scene.pixels(SIDE_OF_OTHERS))
        size = {"shortest_edge": SIDE_OF_OTHERS, "longest_edge": SIDE_OF_OTHERS}
        inputs = self._processor(
            text=text, images=picture, size=size, truncation=True, max_length=256, return_tensors="pt"
        )
        output = self._model(**inputs.to(self._device))
        # The library's own post-processing gives words of the text; which phrase they are of is asked here instead.
        chance_QL = output.logits[0].sigmoid()
        phrase_L = self._phrase_of_tokens(inputs["input_ids"][0].tolist())
        chance_QT = torch.zeros(len(chance_QL), len(phrases), device=chance_QL.device)
        for at, phrase in enumerate(phrase_L):
            if phrase >= 0:
                chance_QT[:, phrase] = torch.maximum(chance_QT[:, phrase], chance_QL[:, at])
        score_Q, phrase_Q = chance_QT.max(dim=1)
        is_told_Q = score_Q > self.min_score
        centre_P2, side_P2 = output.pred_boxes[0][is_told_Q].split(2, dim=1)
        boxes_P4 = torch.cat([centre_P2 - side_P2 / 2, centre_P2 + side_P2 / 2], dim=1)
        score_P = _array(score_Q[is_told_Q])
        # It has no objectness besides the score.
        return Found(_unit(boxes_P4, 1, 1), phrase_Q[is_told_Q].cpu().numpy() + first, score_P, score_P)

    def _phrase_of_tokens(self, tokens: list[int]) -> list[int]:
        """The number of the phrase that each token is of: full stops part them, -1 is none."""
        numbers, number = [], 0
        for token in tokens:
            is_of_phrase = token != self._full_stop and token not in self._special
            numbers.append(number if is_of_phrase else -1)
            number += token == self._full_stop
        return numbers


def _load_zero_shot(name: str, source: str, device: torch.device) -> tuple[Any, Any]:
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    model = load_from_outside(
        name, source, lambda: from_pretrained(AutoModelForZeroShotObjectDetection, source, device)
    )
    processor = load_from_outside(name, source, lambda: AutoProcessor.from_pretrained(source, trust_remote_code=False))
    return model, processor


def _unit(boxes_P4: Tensor, width: int, height: int) -> BoxArray:
    scale = np.array([width, height, width, height], np.float32)
    return np.clip(_array(boxes_P4).reshape(-1, 4) / scale, 0.0, 1.0).astype(np.float32)


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()


def _nothing() -> Found:
    empty = np.zeros(0, np.float32)
    return Found(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), empty, empty)

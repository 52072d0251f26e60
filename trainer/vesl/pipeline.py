"""The steps of VESL for one image: captions, phrases, boxes, scores.

An image is looked through for the phrases of its captions.  One that has none gets a caption by the captioner, if
there is one, and else is looked through for the names of the project's classes, or for the phrases that the collection
uses already.  Axes: P = boxes of an image, D = embedding width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.domain.regions import Caption, Origin
from locstudio.jobs.configs import Vesl
from locstudio.jobs.raw_proposals import RawCaption
from locstudio.models.cloc import Cloc
from trainer.vesl.captions import Captioner
from trainer.vesl.detector import Detector, Found
from trainer.vesl.phrases import phrases_of
from trainer.vesl.proposals import ImageProposals, Target
from trainer.vesl.scene import Scene


class Proposing:
    """Looks through images, one at a time.

    Args:
        vesl: What is asked.
        model: The run's checkpoint, which embeds the regions.
        detector: Finds the boxes.
        captioner: Describes images without a caption; None for nobody.
        fallback: What is looked for where there is no caption.
        class_names: What is looked for besides, if the run asks so.
        run_id: For the source of captions that the captioner makes.

    ``num_undescribed`` counts the images in which the fallback was looked for.
    """

    def __init__(
        self,
        vesl: Vesl,
        model: Cloc,
        detector: Detector,
        captioner: Captioner | None,
        *,
        fallback: Sequence[str],
        class_names: Sequence[str],
        run_id: str,
    ) -> None:
        self._vesl = vesl
        self.model = model
        self._detector = detector
        self._captioner = captioner
        self._fallback = fallback
        self._class_names = class_names
        self._run_id = run_id
        self.num_undescribed = 0

    def propose(self, scene: Scene, captions: Sequence[Caption]) -> ImageProposals:
        """Raw proposals of one image, best first.

        Raises:
            ImageProblem: a model that looks for itself cannot read the file any more.
        """
        read, targets = self.targets_of(scene, captions)
        found = self._detector.detect(scene, [target.phrase for target in targets])
        rows = found.settled(max(self._vesl.min_score, self._detector.min_score), limit=self._vesl.num_boxes)
        boxes_P4 = found.boxes_P4[rows]
        return ImageProposals(
            image_id=scene.image.id,
            captions=read,
            targets=targets,
            boxes_P4=boxes_P4,
            target_P=found.phrase_P[rows],
            score_P=found.score_P[rows],
            objectness_P=found.objectness_P[rows],
            vectors_PD=self._vectors_of(scene, found, rows),
        )

    def targets_of(self, scene: Scene, captions: Sequence[Caption]) -> tuple[list[RawCaption], list[Target]]:
        """The captions that are read, and the phrases that are looked for, each once."""
        if self._vesl.phrases:
            return [], _once([Target(phrase) for phrase in self._vesl.phrases], self._further_names())
        read = [
            RawCaption(
                id=caption.id,
                image_id=caption.image_id,
                text=caption.text,
                origin=caption.origin,
                source=caption.source,
            )
            for caption in captions
            if caption.text.strip()
        ] or self._described(scene)
        targets = [
            Target(phrase.text, number, (phrase.start, phrase.end))
            for number, caption in enumerate(read)
            for phrase in phrases_of(caption.text, self._vesl.max_phrases)
        ]
        if not targets:
            self.num_undescribed += 1
            targets = [Target(phrase) for phrase in self._fallback]
        return read, _once(targets, self._further_names())

    def _further_names(self) -> list[Target]:
        return [Target(name) for name in self._class_names] if self._vesl.has_class_names else []

    def _described(self, scene: Scene) -> list[RawCaption]:
        if self._captioner is None:
            return []
        text = self._captioner.describe(scene).strip()
        if not text:
            return []
        source = f"vesl:{self._run_id} {self._captioner.key}"
        return [RawCaption(id=0, image_id=scene.image.id, text=text, origin=Origin.MODEL, source=source)]

    @torch.inference_mode()
    def _vectors_of(self, scene: Scene, found: Found, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Region embeddings (P, D) by the run's own Prompter."""
        if found.vectors_PD is not None:
            return found.vectors_PD[rows]
        if not len(rows):
            return np.zeros((0, self.model.dim), np.float32)
        square_P4 = scene.letterbox.to_square(found.boxes_P4[rows])
        return self.model.embed_boxes(scene.prepared, torch.from_numpy(square_P4)).float().cpu().numpy()


def fallback_phrases(class_names: Sequence[str], known_phrases: Sequence[str]) -> tuple[list[str], str]:
    """What is looked for in an image without a caption, and a sentence on that."""
    if class_names:
        return list(class_names), "the names of the classes were looked for in them"
    if known_phrases:
        return list(known_phrases), "the phrases that the collection uses were looked for in them"
    return [], "the project has neither classes nor phrases to look for instead, so nothing was looked for in them"


def _once(*groups: list[Target]) -> list[Target]:
    """Targets with each phrase once, where it comes first."""
    found: dict[str, Target] = {}
    for group in groups:
        for target in group:
            key = " ".join(target.phrase.casefold().split())
            if key:
                found.setdefault(key, target)
    return list(found.values())

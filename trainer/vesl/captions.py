"""Captioners: who says in a sentence what is in an image, where nobody else has.

``PlainCaptioner`` needs nothing but the run's checkpoint; the others need weights of the person's.
Axes: L = length of a text in tokens.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import open_clip
import torch
from PIL import Image as Picture
from textblob.en.inflect import pluralize

from locstudio.domain.errors import BadInput
from locstudio.jobs.configs import Vesl
from trainer.vesl.detector import Detector
from trainer.vesl.outside import from_pretrained, load_from_outside
from trainer.vesl.scene import Scene

MAX_SIDE = 768
MAX_TOKENS = 60
DEFAULT_MODELS = {
    "coca": "coca_ViT-L-14/mscoco_finetuned_laion2b_s13b_b90k",
    "blip": "Salesforce/blip-image-captioning-base",
    "florence2": "florence-community/Florence-2-base",
}
PLAIN_MIN_SCORE, PLAIN_MAX_OVERLAP = 0.3, 0.3
"""On coco_dev 0.82 of the classes that are named so are there, and 0.39 of those that are there are named."""
_NUMBERS = ("", "", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_START, _END = 49406, 49407  # of CLIP's vocabulary, which CoCa writes in


class Captioner(Protocol):
    """Describes images.

    ``words`` are for a person: who it is.  ``key`` marks its captions: "plain", "coca".
    """

    @property
    def words(self) -> str: ...

    @property
    def key(self) -> str: ...

    def describe(self, scene: Scene) -> str:
        """A sentence about the image, or nothing."""
        ...


def captioner_of(vesl: Vesl, detector: Detector, class_names: Sequence[str], device: torch.device) -> Captioner | None:
    """The captioner that a run asks for; None for nobody.

    Raises:
        BadInput: its weights are not there.
    """
    if vesl.captioner == "own":
        return None
    if vesl.captioner == "classes":
        return PlainCaptioner(detector, class_names)
    source = vesl.captioner_model or DEFAULT_MODELS[vesl.captioner]
    if vesl.captioner == "coca":
        return CocaCaptioner(source, device)
    return TransformersCaptioner(vesl.captioner, source, device)


class PlainCaptioner:
    """Lists what is detected of the project's classes: "a dog, two cars and a tree".

    It is no captioner of the paper's kind, and its captions say so by their source; it is there so that an image
    without a caption gives something offline.

    Args:
        detector: Finds the classes.
        class_names: The names that are looked for.
        min_score: What is believed.
    """

    key = "plain"
    words = "LocStudio's plain captioner, from detected classes"

    def __init__(self, detector: Detector, class_names: Sequence[str], min_score: float = PLAIN_MIN_SCORE) -> None:
        self._detector = detector
        self._names = list(class_names)
        self._min_score = min_score

    def describe(self, scene: Scene) -> str:
        """The classes that are there, the most confident first, with their number."""
        found = self._detector.detect(scene, self._names)
        rows = found.phrase_P[found.settled(self._min_score, max_iou=PLAIN_MAX_OVERLAP)]
        return enumeration(Counter(self._names[row] for row in rows.tolist()))


def enumeration(counts: Counter[str]) -> str:
    """Things with their numbers in a row of words; nothing for none."""
    parts = [_counted(name, number) for name, number in counts.items()]
    return parts[0] if len(parts) == 1 else " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def _counted(name: str, number: int) -> str:
    if number == 1:
        return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
    return f"{_NUMBERS[number] if number < len(_NUMBERS) else 'many'} {pluralize(name)}"


class CocaCaptioner:
    """CoCa by open_clip: a folder with ``open_clip_config.json``, a hub tag (``hf-hub:…``) or ARCHITECTURE/TAG."""

    key = "coca"

    def __init__(self, source: str, device: torch.device) -> None:
        self._device = device
        self._model, self._preprocess = load_from_outside("CoCa", source, lambda: _load_coca(source))
        if not isinstance(self._model, open_clip.CoCa):
            raise BadInput(f"{source} is no CoCa but a {type(self._model).__name__}, which writes no captions.")
        self._model.to(device)
        self.words = f"CoCa, {source}"

    @torch.inference_mode()
    def describe(self, scene: Scene) -> str:
        """The caption whose every word is the likeliest next one.

        WORKAROUND https://github.com/mlfoundations/open_clip: the library's ``generate`` refuses to run beside
        transformers 5, where the beam search it imports is gone; this is the same with one beam.
        """
        picture = self._preprocess(Picture.fromarray(scene.pixels(MAX_SIDE)))[None].to(self._device)
        latent, embeddings = self._model._encode_image(picture)
        tokens_1L = torch.tensor([[_START]], device=self._device)
        for _ in range(min(MAX_TOKENS, self._model.context_length - 2)):
            logits = self._model(None, tokens_1L, image_latent=latent, image_embs=embeddings, output_labels=False)[
                "logits"
            ][:, -1]
            logits[:, _START] = -torch.inf
            following = logits.argmax(dim=-1, keepdim=True)
            if int(following) == _END:
                break
            tokens_1L = torch.cat([tokens_1L, following], dim=1)
        return " ".join(open_clip.decode(tokens_1L[0, 1:]).split())


def _load_coca(source: str) -> tuple[Any, Any]:
    if Path(source).is_dir():
        return open_clip.create_model_from_pretrained(f"local-dir:{source}")
    if source.startswith("hf-hub:"):
        return open_clip.create_model_from_pretrained(source)
    model, _, tag = source.partition("/")
    if tag not in open_clip.list_pretrained_tags_by_model(model):
        raise ValueError(f"open_clip has no weights {source}")
    return open_clip.create_model_from_pretrained(model, pretrained=tag)


class TransformersCaptioner:
    """BLIP or Florence-2 by transformers, from a folder or a hub tag."""

    def __init__(self, key: str, source: str, device: torch.device) -> None:
        from transformers import AutoProcessor, BlipForConditionalGeneration, Florence2ForConditionalGeneration

        model_class, name, self._prompt = {
            "blip": (BlipForConditionalGeneration, "BLIP", None),
            "florence2": (Florence2ForConditionalGeneration, "Florence-2", "<DETAILED_CAPTION>"),
        }[key]
        self._device = device
        self._model = load_from_outside(name, source, lambda: from_pretrained(model_class, source, device))
        self._processor = load_from_outside(
            name, source, lambda: AutoProcessor.from_pretrained(source, trust_remote_code=False)
        )
        self.key = key
        self.words = f"{name}, {source}"

    @torch.inference_mode()
    def describe(self, scene: Scene) -> str:
        """What the model says of the picture."""
        asked = {} if self._prompt is None else {"text": self._prompt}
        inputs = self._processor(images=Picture.fromarray(scene.pixels(MAX_SIDE)), return_tensors="pt", **asked)
        inputs.pop("token_type_ids", None)
        tokens = self._model.generate(
            **inputs.to(self._device), max_new_tokens=MAX_TOKENS, do_sample=False, num_beams=1
        )
        (text,) = self._processor.batch_decode(tokens, skip_special_tokens=True)
        return " ".join(text.split())

"""One training step of CLOC: L = L_CLIP + lambda (L_CLOC + L_grounding).

What its parts are worth in ``cloc-lite``, mean +- standard deviation over three seeds, equal steps (``literal``: equal
CPU time, so hardly trained): naming true boxes of coco_dev and of mosaics of its photos, finding a name's box by the
grounding head alone (IoU 0.5), and the colour in the demo's phrases, one of eleven.  By
``python -m trainer.bundle --data DIR --out assets/checkpoints/cloc-lite``; all figures in its arms.md.

    arm            top-1            mAcc             mosaics, top-1   pointing hit     colour, demo
    prompter       0.556 +- 0.013   0.448 +- 0.020   0.400 +- 0.013   0.041 +- 0.009   0.173 +- 0.046   M = 8
    plain          0.383 +- 0.017   0.229 +- 0.007   0.288 +- 0.012   0.048 +- 0.005   0.081 +- 0.012   no box bias
    literal        0.242 +- 0.085   0.022 +- 0.000   -                0.007 +- 0.006   -                the paper's form
    roi_align      0.544 +- 0.009   0.413 +- 0.012   0.430 +- 0.015   0.028 +- 0.008   0.178 +- 0.029
    crop           0.539 +- 0.004   0.410 +- 0.005   0.546 +- 0.007   -                -                the tower again
    no_filter      0.531 +- 0.017   0.460 +- 0.005   0.370 +- 0.007   0.047 +- 0.009   0.164 +- 0.037
    no_grounding   0.548 +- 0.008   0.432 +- 0.008   0.403 +- 0.011   -                0.170 +- 0.004
    m1             0.482 +- 0.008   0.379 +- 0.011   0.354 +- 0.006   0.049 +- 0.014   0.169 +- 0.003   M = 1
    m2             0.522 +- 0.018   0.440 +- 0.001   0.384 +- 0.024   0.048 +- 0.014   0.152 +- 0.007   M = 2
    m4             0.542 +- 0.008   0.474 +- 0.012   0.396 +- 0.007   0.066 +- 0.023   0.206 +- 0.012   M = 4
    text_contrast  0.555 +- 0.014   0.448 +- 0.021   0.400 +- 0.015   0.045 +- 0.005   0.173 +- 0.044   TIC
    sigmoid        0.509 +- 0.008   0.447 +- 0.011   0.362 +- 0.012   0.046 +- 0.003   0.149 +- 0.046
    overlap        0.558 +- 0.013   0.454 +- 0.013   0.408 +- 0.016   0.099 +- 0.015   0.174 +- 0.042   L1 and GIoU
    nearest        0.554 +- 0.019   0.448 +- 0.025   0.409 +- 0.013   0.113 +- 0.014   0.175 +- 0.044   and nearest box
    colours        0.536 +- 0.016   0.429 +- 0.018   0.399 +- 0.007   0.059 +- 0.009   0.286 +- 0.019   tinted mosaics
    altered        0.528 +- 0.020   0.416 +- 0.010   0.404 +- 0.016   0.053 +- 0.002   0.353 +- 0.016   and rivals
    together       0.531 +- 0.016   0.418 +- 0.008   0.407 +- 0.021   0.103 +- 0.009   0.345 +- 0.017   and nearest
    distilled      0.552 +- 0.011   0.429 +- 0.016   0.416 +- 0.008   0.050 +- 0.006   0.182 +- 0.005

coco_dev was looked at while the Prompter's settings were chosen.  On four unseen folds of coco_train (2,015 boxes)
Prompter and RoIAlign have top-1 0.452 and 0.448 (a tie), mAcc 0.325 and 0.296 (difference +0.009 to +0.051).  On
mosaics, whose things are small, crops name far better in top-1 than either, and RoIAlign better than the Prompter
(not in mAcc).

Of the paper's parts, more regions an image help top-1, and so does the text filter, which costs mAcc; L_grounding does
nothing for names.  Beyond it, boxes by overlap double pointing and cost nothing; the nearest box adds no more than
noise.  Altered phrases on tinted mosaics double the colours, and the mosaics cost names.  The text contrast at its
paper's weight and the teacher change nothing, and the sigmoid names worse.  The shipped weights are those of
``prompter``, seed 0; of what is beyond the paper, nothing was compared on the unseen folds.

Axes: B = images, M = regions an image at most, N = tokens, C = token width, U = different phrases, D = embedding width.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from locstudio.models.cloc import Cloc
from locstudio.models.extractors import crop_pixels
from trainer.losses.contrastive import clip_loss, region_text_loss, temperature
from trainer.losses.distillation import distillation_loss
from trainer.losses.grounding import grounding_loss, nearest_boxes, overlap_grounding_loss, total_loss
from trainer.losses.hardness import NO_TEXT, altered_phrase_loss, sigmoid_region_text_loss, text_contrast_loss
from trainer.losses.points import loss_of_proposals
from trainer.recipes.attributes import NUM_ALTERED, altered_phrases
from trainer.recipes.cloc_batch import ClocBatch
from trainer.recipes.keeping import Parent


@dataclass(frozen=True, slots=True, kw_only=True)
class ClocStepConfig:
    """Switches of a step; the defaults are the paper's.

    Attributes:
        text_filter: Likeness above which two phrases are not each other's negatives (None: all are).
        has_grounding: Learn to find the box of a phrase.
        has_unique_keys: A phrase of several regions is one key for the others; see ``region_text_loss``.
        contrast: ``sigmoid`` judges each pair of region and phrase alone (SigLIP).
        grounding: ``overlap`` is L1 and generalised IoU (DETR), ``squared`` the paper's.
        has_nearest_box: A phrase with several boxes in an image shall find the nearest of them, not their mean.
        text_contrast_weight: Of ``text_contrast_loss`` (TIC); 0 for none.
        altered_weight: Of ``altered_phrase_loss``, phrases with an attribute altered; 0 for none.
        keep_weight: Of the distance to what the parent says, where a batch brings boxes and words for that.
        distillation_weight: Of the distance to a teacher's embeddings, where a batch brings them.
        proposal_weight: Of the proposal head's loss, where a batch brings objects.
    """

    text_filter: float | None = 0.9
    has_grounding: bool = True
    has_unique_keys: bool = False
    contrast: Literal["softmax", "sigmoid"] = "softmax"
    grounding: Literal["squared", "overlap"] = "squared"
    has_nearest_box: bool = False
    text_contrast_weight: float = 0.0
    altered_weight: float = 0.0
    keep_weight: float = 0.0
    distillation_weight: float = 1.0
    proposal_weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class ClocOutputs:
    """What the model made of a batch, padding left out: all that the contrastive and grounding losses look at.

    It lies between model and losses so that rows of other processes, or of other parts of a large batch, can be put
    beside them before a loss is taken.

    Attributes:
        image_BD: Embeddings of the images that have a caption.
        caption_BD: Embeddings of those captions.
        region_RD: Region embeddings.
        text_RD: Embeddings of their phrases.
        weight_R: How much each region counts, float32, on the CPU.
        further_KD: Phrases of no region of the batch.
        text_key_R: The same number for the same phrase, int64, on the CPU, so that a phrase is known again elsewhere.
        further_key_K: The same for the further phrases.
        altered_RA: Cosines of each region with its phrase, one attribute altered; ``NO_TEXT`` where there are fewer.
        found_R4: Boxes that the grounding head found for the phrases; no rows without grounding.
        true_R4: The boxes they shall find, ``square`` frame; as many rows.
        kept_ND: Embeddings of boxes and words that are kept as they are.
        parent_ND: The parent's embeddings of the same; no rows of either where nothing is kept.
        logit_scale: Scalar, already exponentiated.
        num_labelled: Images that have regions.
        num_images: Images of the batch.
    """

    image_BD: Tensor
    caption_BD: Tensor
    region_RD: Tensor
    text_RD: Tensor
    weight_R: Tensor
    further_KD: Tensor
    text_key_R: Tensor
    further_key_K: Tensor
    altered_RA: Tensor
    found_R4: Tensor
    true_R4: Tensor
    kept_ND: Tensor
    parent_ND: Tensor
    logit_scale: Tensor
    num_labelled: int
    num_images: int


def phrase_key(phrase: str) -> int:
    """A number for a phrase, the same in every process; 64 bits, so that two phrases hardly ever share one."""
    return int.from_bytes(hashlib.blake2b(phrase.encode(), digest_size=8).digest(), signed=True)


def _weights_of(batch: ClocBatch) -> Tensor:
    valid_BM = batch.valid_BM.cpu()
    return torch.ones(int(valid_BM.sum())) if batch.weight_BM is None else batch.weight_BM.cpu()[valid_BM]


def _unequal(outputs: ClocOutputs) -> Tensor | None:
    """How much each region counts, where not all count alike."""
    weight_R = outputs.weight_R.detach()
    return None if bool((weight_R == 1).all()) else weight_R.to(outputs.region_RD.device)


class ClocStep:
    """The forward half of a step: a batch in, its loss and the terms of it out.

    Text features of a frozen text tower are kept by sentence, so each sentence is encoded once a run; who makes several
    steps of the same tower hands the same ``features`` to all.
    """

    def __init__(
        self,
        model: Cloc,
        config: ClocStepConfig,
        features: dict[str, Tensor] | None = None,
        parent: Parent | None = None,
    ) -> None:
        self._model = model
        self._parent = parent
        self._config = config
        self._features: dict[str, Tensor] = {} if features is None else features

    def __call__(self, batch: ClocBatch) -> dict[str, Tensor]:
        """``loss`` with its graph, and its terms without: those of ``contrast``, and where a batch brings them
        ``proposal`` and ``distillation``; all scalars.

        Raises:
            ValueError: the batch brings neither tokens nor pixels.
        """
        tokens_BNC = self._tokens(batch)
        prepared_BNC = self._model.prompter.prepare(tokens_BNC)
        terms = self.contrast(self._outputs(batch, tokens_BNC, prepared_BNC))
        terms |= self._other_terms(batch, tokens_BNC, prepared_BNC)
        loss = terms.pop("loss")
        for name, weight in (
            ("proposal", self._config.proposal_weight),
            ("distillation", self._config.distillation_weight),
        ):
            if name in terms:
                loss = loss + weight * terms[name]
        return {"loss": loss, **{name: term.detach() for name, term in terms.items()}}

    def outputs(self, batch: ClocBatch) -> ClocOutputs:
        """What the model makes of the batch.

        Raises:
            ValueError: the batch brings neither tokens nor pixels.
        """
        tokens_BNC = self._tokens(batch)
        return self._outputs(batch, tokens_BNC, self._model.prompter.prepare(tokens_BNC))

    def contrast(self, outputs: ClocOutputs) -> dict[str, Tensor]:
        """``loss`` and its terms, each with its graph: ``clip``, ``region_text``, ``grounding``, and where asked for
        ``text_contrast`` and ``altered``."""
        config = self._config
        weight_R = _unequal(outputs)
        terms = {
            "clip": clip_loss(outputs.image_BD, outputs.caption_BD, outputs.logit_scale),
            "region_text": self._region_text(outputs, weight_R),
            "grounding": (overlap_grounding_loss if config.grounding == "overlap" else grounding_loss)(
                outputs.found_R4, outputs.true_R4, weight_R=weight_R
            ),
        }
        loss = total_loss(**terms, num_labelled=outputs.num_labelled, num_images=outputs.num_images)
        if config.text_contrast_weight:
            terms["text_contrast"] = text_contrast_loss(torch.cat([outputs.text_RD, outputs.further_KD]))
            loss = loss + config.text_contrast_weight * terms["text_contrast"]
        if config.altered_weight:
            own_R = (outputs.region_RD * outputs.text_RD).sum(dim=1)
            terms["altered"] = altered_phrase_loss(own_R, outputs.altered_RA, outputs.logit_scale, weight_R)
            loss = loss + config.altered_weight * terms["altered"]
        if config.keep_weight:
            terms["kept"] = distillation_loss(outputs.kept_ND, outputs.parent_ND)
            loss = loss + config.keep_weight * terms["kept"]
        return {"loss": loss, **terms}

    def _region_text(self, outputs: ClocOutputs, weight_R: Tensor | None) -> Tensor:
        config = self._config
        if config.contrast == "sigmoid":
            return sigmoid_region_text_loss(
                outputs.region_RD,
                outputs.text_RD,
                outputs.logit_scale,
                max_similarity=config.text_filter,
                further_KD=outputs.further_KD,
                weight_R=weight_R,
            )
        return region_text_loss(
            outputs.region_RD,
            outputs.text_RD,
            outputs.logit_scale,
            max_similarity=config.text_filter,
            further_KD=outputs.further_KD,
            has_unique_keys=config.has_unique_keys,
            weight_R=weight_R,
        )

    def _outputs(self, batch: ClocBatch, tokens_BNC: Tensor, prepared_BNC: Tensor) -> ClocOutputs:
        model, device = self._model, self._model.device
        valid_BM = batch.valid_BM.to(device)
        boxes_BM4 = batch.boxes_BM4.to(device)
        phrase_BM = batch.phrase_BM.to(device)
        text_UD = self._texts(batch.phrases)
        key_U = torch.tensor([phrase_key(phrase) for phrase in batch.phrases], dtype=torch.int64)
        captioned = [row for row, caption in enumerate(batch.captions) if caption]
        region_RD = self._boxes(batch, prepared_BNC, boxes_BM4)[valid_BM]
        is_free_U = torch.ones(len(text_UD), dtype=torch.bool, device=device)
        is_free_U[phrase_BM[valid_BM]] = False
        found_R4, true_R4 = self._grounded(prepared_BNC, boxes_BM4, valid_BM, phrase_BM, text_UD)
        kept_ND, parent_ND = self._kept(batch, tokens_BNC, prepared_BNC)
        return ClocOutputs(
            image_BD=model.embed_images(tokens_BNC[captioned]),
            caption_BD=self._texts(tuple(caption for caption in batch.captions if caption)),
            region_RD=region_RD,
            text_RD=text_UD[phrase_BM[valid_BM]],
            weight_R=_weights_of(batch),
            further_KD=text_UD[is_free_U],
            text_key_R=key_U[batch.phrase_BM[batch.valid_BM].cpu()],
            further_key_K=key_U[is_free_U.cpu()],
            altered_RA=self._altered(batch.phrases, phrase_BM[valid_BM], region_RD),
            found_R4=found_R4,
            true_R4=true_R4,
            kept_ND=kept_ND,
            parent_ND=parent_ND,
            logit_scale=temperature(model.logit_scale),
            num_labelled=int(valid_BM.any(dim=1).sum()),
            num_images=len(valid_BM),
        )

    def _grounded(
        self, prepared_BNC: Tensor, boxes_BM4: Tensor, valid_BM: Tensor, phrase_BM: Tensor, text_UD: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Boxes found for the phrases of regions, and the boxes they shall find; no rows without grounding."""
        if not self._config.has_grounding or not len(text_UD):
            return boxes_BM4.new_zeros(0, 4), boxes_BM4.new_zeros(0, 4)
        model = self._model
        found_BM4 = model.grounding(model.prompter.state_of_texts(prepared_BNC, text_UD[phrase_BM]))
        if self._config.has_nearest_box:
            is_own_BMM = (phrase_BM[:, :, None] == phrase_BM[:, None]) & valid_BM[:, None]
            boxes_BM4 = nearest_boxes(found_BM4, boxes_BM4, is_own_BMM)
        return found_BM4[valid_BM], boxes_BM4[valid_BM]

    def _kept(self, batch: ClocBatch, tokens_BNC: Tensor, prepared_BNC: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of what is kept, and the parent's, image by image; no rows where there is nothing to keep."""
        if self._parent is None or batch.kept_boxes_BK4 is None or not self._config.keep_weight:
            none_ND = tokens_BNC.new_zeros(0, self._model.dim)
            return none_ND, none_ND
        boxes_BK4 = batch.kept_boxes_BK4.to(self._model.device)
        words = [word for of_image in batch.kept_words for word in of_image]
        self.remember(words)
        features_WF = torch.stack([self._features[word] for word in words])
        own = [self._boxes(batch, prepared_BNC, boxes_BK4).flatten(0, 1), self._model.project_texts(features_WF)]
        parents = [
            self._parent.embed_boxes(tokens_BNC, boxes_BK4).flatten(0, 1),
            self._parent.embed_features(features_WF),
        ]
        return torch.cat(own), torch.cat(parents)

    def _altered(self, phrases: tuple[str, ...], phrase_R: Tensor, region_RD: Tensor) -> Tensor:
        """Cosines of each region with its phrase, one attribute altered; nothing but ``NO_TEXT`` if not asked for."""
        none_RA = region_RD.new_full((len(region_RD), NUM_ALTERED), NO_TEXT)
        if not self._config.altered_weight:
            return none_RA[:, :1]
        altered = [altered_phrases(phrase) for phrase in phrases]
        all_texts = tuple(dict.fromkeys(text for texts in altered for text in texts))
        if not all_texts:
            return none_RA
        place = {text: row for row, text in enumerate(all_texts)}
        rows_UA = [[place[text] for text in texts] + [-1] * (NUM_ALTERED - len(texts)) for texts in altered]
        rows_RA = torch.tensor(rows_UA, dtype=torch.int64, device=region_RD.device)[phrase_R]
        cosines_RA = (region_RD @ self._texts(all_texts).T).gather(1, rows_RA.clamp(min=0))
        return torch.where(rows_RA < 0, none_RA, cosines_RA)

    def _other_terms(self, batch: ClocBatch, tokens_BNC: Tensor, prepared_BNC: Tensor) -> dict[str, Tensor]:
        """Terms that look at one image at a time: ``proposal`` and ``distillation``, where the batch brings them."""
        terms = {}
        if batch.object_boxes is not None:
            terms["proposal"] = self._proposal(batch.object_boxes, tokens_BNC)
        if batch.teacher_boxes_BK4 is not None and batch.teacher_BKE is not None:
            found_BKD = self._boxes(batch, prepared_BNC, batch.teacher_boxes_BK4.to(self._model.device))
            teacher_BKE = batch.teacher_BKE.to(self._model.device)
            says_BK = teacher_BKE.any(dim=2)
            terms["distillation"] = distillation_loss(found_BKD[says_BK], teacher_BKE[says_BK])
        return terms

    def _tokens(self, batch: ClocBatch) -> Tensor:
        if batch.tokens_BND is not None:
            return batch.tokens_BND.to(self._model.device, torch.float32)
        if batch.pixels_B3HW is None:
            raise ValueError("a batch needs tokens or pixels")
        return self._model.encode_image(batch.pixels_B3HW.to(self._model.device))

    def remember(self, texts: Sequence[str], *, size: int = 64) -> None:
        """Run the frozen text tower over these texts now, ``size`` at a time.

        A text's last bits depend on the longest of those it is padded with, so a run that shall be resumed bitwise
        gives all its texts here, in one order, before its first step.
        """
        unknown = [text for text in dict.fromkeys(texts) if text not in self._features]
        for start in range(0, len(unknown), size):
            chunk = unknown[start : start + size]
            with torch.no_grad():
                self._features |= dict(zip(chunk, self._model.text_features(chunk), strict=True))

    def _texts(self, texts: tuple[str, ...]) -> Tensor:
        """Embeddings (U, D), with gradient where the text side learns."""
        model = self._model
        if any(parameter.requires_grad for parameter in model.towers.clip.parameters()):
            return model.embed_texts(list(texts))
        self.remember(texts)
        if not texts:
            return model.project_texts(model.text_features([]))
        return model.project_texts(torch.stack([self._features[text] for text in texts]))

    def _boxes(self, batch: ClocBatch, prepared_BNC: Tensor, boxes_BR4: Tensor) -> Tensor:
        model = self._model
        if model.crop_project is None:
            return model.prompter.embed_boxes(prepared_BNC, boxes_BR4)
        if batch.crop_states_BMC is not None:
            return model.embed_crops(batch.crop_states_BMC.to(model.device, torch.float32))
        if batch.pixels_B3HW is None:
            raise ValueError("an extractor that crops needs pixels or the states of its crops in a batch")
        crops = crop_pixels(batch.pixels_B3HW.to(model.device), boxes_BR4, model.crop_px)
        return model.embed_crops(model.crop_states(crops.flatten(0, 1))).unflatten(0, boxes_BR4.shape[:2])

    def _proposal(self, objects: tuple[Tensor | None, ...], tokens_BNC: Tensor) -> Tensor:
        head = self._model.proposals
        rows = [row for row, objects_O4 in enumerate(objects) if objects_O4 is not None]
        logits_BA, boxes_BA4 = head(tokens_BNC[rows])
        losses = [
            loss_of_proposals(head, logits_A, boxes_A4, objects_O4.to(logits_A.device))
            for logits_A, boxes_A4, objects_O4 in zip(
                logits_BA, boxes_BA4, (objects_O4 for objects_O4 in objects if objects_O4 is not None), strict=True
            )
        ]
        return torch.stack(losses).mean() if losses else logits_BA.sum() * 0.0

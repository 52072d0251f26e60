"""What the arms are compared by, on scenes that were never trained on.

Axes: N = regions, Q = classes, T = captions or texts, R = regions of a scene, D = embedding width.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstudio.domain.geometry import iou_matrix
from locstudio.models.cloc import GROUNDING_CANDIDATES, Cloc, PreparedImage
from trainer.bundle.features import SceneSet, as_tensor
from trainer.metrics import Floats, Ints, best_ranks, recall_metrics
from trainer.recipes.attributes import altered_phrases, named_colours

States = NDArray[np.float16]


def naming(
    model: Cloc,
    scenes: SceneSet,
    rows: Sequence[int],
    names: Sequence[str],
    crops: dict[int, States] | None = None,
) -> dict[str, float]:
    """Name every true box among the 80 class names, see ``naming_scores``; and find boxes and names by each other.

    Retrieval is over the names that occur: recall at 10 of a box's name, and of any box of a name (``r2t_r10``,
    ``t2r_r10``).
    """
    with torch.inference_mode():
        text_QD = model.embed_texts(list(names))
        found: list[Tensor] = []
        truth: list[int] = []
        for row in rows:
            scene = scenes.scenes[row]
            if not scene.class_index:
                continue
            if crops is not None:
                states = torch.from_numpy(np.asarray(crops[row], np.float32))
                found.append(model.embed_crops(states))
            else:
                found.append(model.embed_boxes(prepared_scene(model, scenes, row), torch.from_numpy(scene.boxes_R4)))
            truth += scene.class_index
        region_ND, truth_N = torch.cat(found), torch.tensor(truth)
        present_T, own_N = truth_N.unique(return_inverse=True)
        measures = naming_scores(region_ND @ text_QD.T, truth_N)
        pairs_N2 = np.stack([np.arange(len(own_N)), own_N.numpy()], axis=1)
        return measures | _recall("r2t", "t2r", region_ND.numpy(), text_QD[present_T].numpy(), pairs_N2, (10,))


def colours(model: Cloc, scenes: SceneSet, features: dict[str, Tensor]) -> float:
    """Share of regions whose phrase is liked better than the same phrase with each of the ten other colours.

    ``features`` keeps what the frozen text tower says, for the next model.
    """
    told = {
        words[0]: [words[0], *(text for text in altered_phrases(words[0]) if _colour_of(text) != _colour_of(words[0]))]
        for scene in scenes.scenes
        for words in scene.phrases
    }
    unknown = sorted({text for texts in told.values() for text in texts} - set(features))
    is_right = []
    # Not in inference mode: what is kept here may be learnt from later.
    with torch.no_grad():
        for start in range(0, len(unknown), 64):
            chunk = unknown[start : start + 64]
            features |= dict(zip(chunk, model.text_features(chunk), strict=True))
        for row, scene in enumerate(scenes.scenes):
            region_RD = model.embed_boxes(prepared_scene(model, scenes, row), torch.from_numpy(scene.boxes_R4))
            for region_D, words in zip(region_RD, scene.phrases, strict=True):
                text_TD = model.project_texts(torch.stack([features[text] for text in told[words[0]]]))
                is_right.append(int((text_TD @ region_D).argmax()) == 0)
    return float(np.mean(is_right))


def _colour_of(phrase: str) -> str:
    return next(iter(named_colours(phrase)), "")


def naming_scores(scores_NQ: Tensor, truth_N: Tensor) -> dict[str, float]:
    """Shares of regions whose class has the best score, one of the best five; mean of top-1 over classes present."""
    best_N5 = scores_NQ.topk(min(5, scores_NQ.shape[1]), dim=1).indices
    is_found_N5 = best_N5 == truth_N[:, None]
    per_class = [float(is_found_N5[truth_N == one, 0].float().mean()) for one in truth_N.unique()]
    return {
        "top1": float(is_found_N5[:, 0].float().mean()),
        "top5": float(is_found_N5.any(dim=1).float().mean()),
        "macc": float(np.mean(per_class)),
    }


Proposed = dict[tuple[int, int], tuple[Tensor, Tensor]]


def grounding(
    model: Cloc, scenes: SceneSet, rows: Sequence[int], names: Sequence[str], known: Proposed
) -> dict[str, float]:
    """Find each class present in each image by its name: the best overlap with any box of the class.

    ``known`` keeps the proposals of each scene for the next model, since all models here share the proposal head.
    """

    def find(row: int, prepared: PreparedImage, text_TD: Tensor) -> Tensor:
        key = id(scenes), row
        if key not in known:
            known[key] = model.propose(prepared, GROUNDING_CANDIDATES)
        return model.ground(prepared, text_TD, known[key])[0]

    return _found(find, model, scenes, rows, names)


def pointing(model: Cloc, scenes: SceneSet, rows: Sequence[int], names: Sequence[str]) -> dict[str, float]:
    """The same by the grounding head alone, as in the paper."""
    return _found(lambda _, prepared, text_TD: model.point(prepared, text_TD), model, scenes, rows, names)


def _found(
    find: Callable[[int, PreparedImage, Tensor], Tensor],
    model: Cloc,
    scenes: SceneSet,
    rows: Sequence[int],
    names: Sequence[str],
) -> dict[str, float]:
    overlaps = []
    with torch.inference_mode():
        text_QD = model.embed_texts(list(names))
        for row in rows:
            scene = scenes.scenes[row]
            present = sorted(set(scene.class_index))
            if not present:
                continue
            boxes = find(row, prepared_scene(model, scenes, row), text_QD[present])
            for box, one in zip(boxes.numpy(), present, strict=True):
                true = scene.boxes_R4[np.array(scene.class_index) == one]
                overlaps.append(float(iou_matrix(box[None], true).max()))
    return {"mean_iou": float(np.mean(overlaps)), "hit50": float(np.mean(np.array(overlaps) >= 0.5))}


def retrieval(model: Cloc, scenes: SceneSet, rows: Sequence[int]) -> dict[str, float]:
    """Find the photo of a caption, and a caption of a photo, among those of the set: recall at 5 and 10."""
    with torch.inference_mode():
        captioned = [row for row in rows if scenes.scenes[row].captions]
        owner = np.array([place for place, row in enumerate(captioned) for _ in scenes.scenes[row].captions])
        text_TD = model.embed_texts([caption for row in captioned for caption in scenes.scenes[row].captions])
        tokens = as_tensor(scenes.tokens_SNC, np.array(captioned))[:, :1]
        image_BD = model.embed_images(tokens)
    pairs_T2 = np.stack([np.arange(len(owner)), owner], axis=1)
    return _recall("t2i", "i2t", text_TD.numpy(), image_BD.numpy(), pairs_T2, (5, 10))


def _recall(
    there: str, back: str, one_ND: Floats, other_TD: Floats, pairs_P2: Ints, limits: Sequence[int]
) -> dict[str, float]:
    """Recall in both directions at these limits; ``pairs_P2`` are the rows that belong together."""
    found = recall_metrics(there, best_ranks(one_ND, other_TD, pairs_P2))
    found |= recall_metrics(back, best_ranks(other_TD, one_ND, pairs_P2[:, ::-1]))
    return {f"{way}_r{limit}": found[f"{way}_r{limit}"] for way in (there, back) for limit in limits}


def proposal_recall(model: Cloc, scenes: SceneSet, rows: Sequence[int]) -> dict[str, float]:
    """Share of true boxes that one of the first 24 or 100 proposals overlaps by at least a half."""
    caught = {24: 0, 100: 0}
    total = 0
    with torch.inference_mode():
        for row in rows:
            true = scenes.scenes[row].boxes_R4
            if not len(true):
                continue
            boxes = model.propose(prepared_scene(model, scenes, row), 100)[0].numpy()
            overlaps = iou_matrix(true, boxes)
            total += len(true)
            for limit in caught:
                caught[limit] += int((overlaps[:, :limit].max(axis=1) >= 0.5).sum())
    return {f"proposal_recall_{limit}": count / total for limit, count in caught.items()}


def box_cost(model: Cloc, scenes: SceneSet, row: int, repeats: int = 30) -> float:
    """CPU milliseconds from a box to its embedding, image prepared, one thread, median."""
    spent = []
    with torch.inference_mode():
        prepared = prepared_scene(model, scenes, row)
        for turn in range(repeats):
            box = torch.tensor([[0.2, 0.2 + turn / 1000, 0.5, 0.6]])
            begun = time.process_time()
            model.embed_boxes(prepared, box)
            spent.append((time.process_time() - begun) * 1000)
    return median(spent)


def prepared_scene(model: Cloc, scenes: SceneSet, row: int) -> PreparedImage:
    """One scene ready for boxes."""
    return model.prepare(as_tensor(scenes.tokens_SNC, np.array([row]))[0])

"""A teacher for boxes: it sees each box of coco_train encoded again, larger, beside the tokens that a student sees.

One linear map of both, trained to name the boxes of other photos: five teachers, each silent on the four fifths it has
learnt by heart.  It has the text tower's own features for texts, and so must its student.  Of a photo it teaches the
plain scene, its mirror image and its zooms.

Source: CLIPSelf (arXiv:2310.01403), whose teacher is the frozen tower on crops; ours had to be told what the boxes are,
since its towers were never trained together.

Axes: N = boxes, F = features of a box, T = names, E = width of text features.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from locstudio.models.cloc import Cloc
from locstudio.models.prompter import box_weights
from trainer.bundle.features import SceneSet, as_tensor
from trainer.optim import learning_rate_at, set_learning_rate

_NUM_FOLDS = 5
_NUM_EPOCHS = 20
_BATCH = 256
_RATE = 2e-3
_DROPOUT = 0.4
_BALANCE = 0.25
_SCALE = 20.0


def teach(
    model: Cloc, scenes: SceneSet, crops: dict[int, NDArray[np.float16]], rows: list[int], *, seed: int
) -> dict[int, NDArray[np.float32]]:
    """Embeddings (R, E) of the boxes of every photo among these rows, at least two, by row; L2-normalised.

    Args:
        model: Its towers and its reduction are used, nothing that learns.
        scenes: Training scenes.
        crops: For the plain scene of every photo: what the tower says of each box's crop.
        rows: Scenes the teacher may learn from.
        seed: Of its first weights and its batches.
    """
    chosen = set(rows)
    plain = {scenes.scenes[row].source: row for row in crops if row in chosen and len(scenes.scenes[row].boxes_R4)}
    features = {source: _features(scenes, row, crops[row]) for source, row in plain.items()}
    names = sorted({phrase[0] for row in rows for phrase in scenes.scenes[row].phrases})
    place = {name: number for number, name in enumerate(names)}
    with torch.inference_mode():
        text_TE = model.text_features(names)
    said: dict[str, NDArray[np.float32]] = {}
    sources = sorted(plain)
    for fold in range(min(_NUM_FOLDS, len(sources))):
        held = sources[fold::_NUM_FOLDS]
        learnt = [source for source in sources if source not in set(held)]
        words = [phrase[0] for source in learnt for phrase in scenes.scenes[plain[source]].phrases]
        truth_N = torch.tensor([place[word] for word in words])
        layer = _fit(torch.cat([features[source] for source in learnt]), truth_N, text_TE.clone(), seed)
        with torch.inference_mode():
            said |= {source: F.normalize(layer(features[source]), dim=1).numpy() for source in held}
    return {
        row: said[scenes.scenes[row].source][np.array(scenes.scenes[row].places, np.int64)]
        for row in rows
        if scenes.scenes[row].source in said
    }


def _features(scenes: SceneSet, row: int, states: NDArray[np.float16]) -> Tensor:
    """Mean of a box's normalised tokens, and the global token of its crop (N, F)."""
    tokens_NC = as_tensor(scenes.tokens_SNC, np.array([row]))[0, 1:]
    grid = round(len(tokens_NC) ** 0.5)
    weights = box_weights(torch.from_numpy(scenes.scenes[row].boxes_R4)[None], grid)[0]
    inside_NC = weights @ F.layer_norm(tokens_NC, tokens_NC.shape[1:])
    return torch.cat([inside_NC, torch.from_numpy(states.astype(np.float32))], dim=1)


def _fit(features_NF: Tensor, truth_N: Tensor, text_TE: Tensor, seed: int) -> nn.Module:
    """One linear map after a normalisation, trained to name boxes; rare names are drawn more often."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm1d(features_NF.shape[1], affine=False)
    linear = nn.Linear(features_NF.shape[1], text_TE.shape[1])
    layer = nn.Sequential(norm, nn.Dropout(_DROPOUT), linear)
    log_scale = nn.Parameter(torch.tensor(_SCALE).log())
    optimizer = torch.optim.AdamW(
        [{"params": linear.parameters(), "weight_decay": 0.05}, {"params": [log_scale], "weight_decay": 0.0}], lr=_RATE
    )
    weights_N = truth_N.bincount(minlength=len(text_TE)).clamp(min=1).float().pow(-_BALANCE)[truth_N]
    num_steps = max(1, _NUM_EPOCHS * len(truth_N) // _BATCH)
    for number in range(num_steps):
        set_learning_rate(optimizer, learning_rate_at(number, peak=_RATE, num_warmup_steps=0, num_steps=num_steps))
        drawn = torch.multinomial(weights_N, _BATCH, replacement=True)
        logits = log_scale.exp() * F.normalize(layer(features_NF[drawn]), dim=1) @ text_TE.T
        optimizer.zero_grad()
        F.cross_entropy(logits, truth_N[drawn]).backward()
        optimizer.step()
    return layer.eval()

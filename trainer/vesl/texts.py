"""Embeddings of phrases, each computed once a run.  Axes: T = texts, D = embedding width."""

from collections.abc import Sequence

import torch
from torch import Tensor

from locstudio.models.cloc import Cloc
from trainer.encoding import embed_texts

MAX_KEPT = 200_000


class TextMemory:
    """Gives the embeddings of texts, and remembers them."""

    def __init__(self, model: Cloc) -> None:
        self._model = model
        self._rows: dict[str, int] = {}
        self._vectors = torch.zeros(0, model.dim, device=model.device)

    def vectors_of(self, texts: Sequence[str]) -> Tensor:
        """Embeddings (T, D), L2-normalised, float32 on the model's device."""
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if len(self._rows) + len(new) > MAX_KEPT:
            self._rows.clear()
            self._vectors = self._vectors[:0]
            new = list(dict.fromkeys(texts))
        if new:
            self._rows |= {text: len(self._rows) + at for at, text in enumerate(new)}
            self._vectors = torch.cat([self._vectors, embed_texts(self._model, new)])
        return self._vectors[[self._rows[text] for text in texts]]

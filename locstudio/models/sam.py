"""Segment Anything checkpoints of a person: a local file, as data.  Axes: B = prompts, K = points, N, C = embedding.

Source: Segment Anything (arXiv:2304.02643), through the authors' own package.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything import sam_model_registry
from segment_anything.modeling import Sam
from torch import Tensor

from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import Letterbox
from locstudio.jobs.checkpoint_folder import file_sha256
from locstudio.models.mask_head import spread
from locstudio.models.segmenter import FoundMask, MaskPrompt
from locstudio.models.weights import load_strictly, read_weights

KINDS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
"""Kinds of Segment Anything by the width of their image tower."""

BUILDERS: Mapping[int, Callable[[], Sam]] = {width: sam_model_registry[kind] for width, kind in KINDS.items()}
_PROMPTS_AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class SamImage:
    """An image's embedding (1, C, H, W) and where it lies in the square."""

    embedding_1CHW: Tensor
    frame: Letterbox


def load_sam(path: Path, device: str = "cpu", builders: Mapping[int, Callable[[], Sam]] = BUILDERS) -> "SamSegmenter":
    """The model of a checkpoint file, ``.pth`` or ``.safetensors``; which kind it is, its shapes say.

    Args:
        path: The file.
        device: Where the model goes.
        builders: Makes an empty model for a width of the image tower.

    Raises:
        BadInput: the file is missing, damaged, holds anything but tensors, or is no Segment Anything checkpoint.
        CheckpointMismatch: it holds another architecture than the package's model of this width.
    """
    state = read_weights(path)
    position = state.get("image_encoder.pos_embed")
    width = int(position.shape[-1]) if position is not None and position.ndim == 4 else 0
    if width not in builders:
        known = ", ".join(KINDS.values())
        raise BadInput(f"{path.name} is no checkpoint of Segment Anything. Choose a file of {known}.")
    sam = builders[width]()
    load_strictly(sam, state, path.name)
    kind = KINDS.get(width, f"width {width}")
    return SamSegmenter(
        sam.eval().requires_grad_(False).to(device), f"Segment Anything {kind}", f"sam-{file_sha256(path)[:16]}"
    )


class SamSegmenter:
    """A Segment Anything model as a ``Segmenter``.

    An image's embedding is its tokens, cached in half precision like those of other towers.
    """

    needs_pixels = False

    def __init__(self, sam: Sam, name: str, tokens_id: str) -> None:
        self.name, self.tokens_id = name, tokens_id
        self._sam = sam
        self._grid: tuple[int, int] = sam.prompt_encoder.image_embedding_size
        self.input_px: int = sam.image_encoder.img_size
        self.tokens_shape = (self._grid[0] * self._grid[1], int(sam.prompt_encoder.embed_dim))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self._sam.device
        return device

    @torch.inference_mode()
    def encode(self, square_HW3: NDArray[np.uint8], frame: Letterbox) -> NDArray[np.float16]:
        """The embedding (N, C) of an RGB square of ``input_px``; the image goes into its corner, as the authors do."""
        left, top, right, bottom = frame.content(self.input_px)
        picture_HW3 = np.array(square_HW3[top:bottom, left:right])
        pixels_3HW = torch.from_numpy(picture_HW3).permute(2, 0, 1).float().to(self.device)
        embedding_1CHW = self._sam.image_encoder(self._sam.preprocess(pixels_3HW)[None])
        tokens: NDArray[np.float16] = embedding_1CHW[0].flatten(1).T.to("cpu", torch.float16).numpy()
        return tokens

    def prepare(
        self,
        tokens_NC: NDArray[np.float16],
        square_HW3: NDArray[np.uint8] | None,  # noqa: ARG002 - other models want it
        frame: Letterbox,
    ) -> SamImage:
        """The embedding back in its grid."""
        embedding = torch.from_numpy(np.array(tokens_NC)).float().T.reshape(1, -1, *self._grid)
        return SamImage(embedding.to(self.device), frame)

    @torch.inference_mode()
    def segment(self, prepared: SamImage, prompts: Sequence[MaskPrompt]) -> list[FoundMask]:
        """One mask for every prompt; a single point may mean three things, of which the surest is taken."""
        found: dict[int, FoundMask] = {}
        groups: dict[tuple[bool, int], list[int]] = {}
        for place, prompt in enumerate(prompts):
            groups.setdefault((prompt.box is not None, len(prompt.points)), []).append(place)
        for places in groups.values():
            for begin in range(0, len(places), _PROMPTS_AT_ONCE):
                some = places[begin : begin + _PROMPTS_AT_ONCE]
                found.update(zip(some, self._segment_alike(prepared, [prompts[place] for place in some]), strict=True))
        return [found[place] for place in range(len(prompts))]

    def _segment_alike(self, prepared: SamImage, prompts: Sequence[MaskPrompt]) -> list[FoundMask]:
        """Masks of prompts that all have a box or none, and equally many points."""
        boxes, points, has_box = None, None, prompts[0].box is not None
        if has_box:
            unit_B4 = np.array([prompt.box.as_tuple() for prompt in prompts if prompt.box], np.float32)
            boxes = torch.from_numpy(unit_B4 * np.tile(self._content(prepared.frame), 2)).to(self.device)
        if prompts[0].points:
            unit_BK2 = np.array([[(p.x, p.y) for p in prompt.points] for prompt in prompts], np.float32)
            labels_BK = torch.tensor([[int(p.is_inside) for p in prompt.points] for prompt in prompts])
            at = torch.from_numpy(unit_BK2 * self._content(prepared.frame)).to(self.device)
            points = at, labels_BK.to(self.device)
        sparse, dense = self._sam.prompt_encoder(points=points, boxes=boxes, masks=None)
        is_ambiguous = not has_box and len(prompts[0].points) == 1
        logits_BMHW, expected_BM = self._sam.mask_decoder(
            image_embeddings=prepared.embedding_1CHW,
            image_pe=self._sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=is_ambiguous,
        )
        best_B = expected_BM.argmax(dim=1)
        width, height = prepared.frame.width, prepared.frame.height
        longest = float(max(width, height))
        return [
            FoundMask(
                spread(logits_BMHW[row, best].cpu(), (0, 0, longest, longest), width, height).numpy(),
                float(expected_BM[row, best].clamp(0, 1)),
            )
            for row, best in enumerate(best_B.tolist())
        ]

    def _content(self, frame: Letterbox) -> NDArray[np.float32]:
        """Width and height of the image in the pixels that the model sees."""
        scale = self.input_px / max(frame.width, frame.height)
        return np.array([frame.width * scale, frame.height * scale], np.float32)

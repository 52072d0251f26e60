"""What one training step of CLOC sees.  Axes: B = images, M = regions an image at most, N = tokens, D = token width,
K = boxes with a teacher, E = embedding width, O = objects of one image.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClocBatch:
    """Images with at most M regions each; what is missing is padded and masked.

    Args:
        boxes_BM4: Boxes in the ``square`` frame, XYXY, float32; padded rows hold any valid box.
        valid_BM: True where a region is real.
        phrases: The different phrases of this batch, in any order.
        phrase_BM: Row of ``phrases`` for every region, int64; 0 where padded.
        captions: One sentence an image, or None for an image without caption (it takes no part in L_CLIP).
        tokens_BND: What ``Cloc.encode_image`` gave, when the tower is frozen; else None.
        pixels_B3HW: What ``Cloc.preprocess`` gave, when the tower is trained or the extractor crops; else None.
        crop_states_BMC: What ``Cloc.crop_states`` gave for every box, for an extractor that crops with a frozen tower.
        object_boxes: All boxes (O, 4) of every image for the proposal head (None for an image where not everything has
            its box), or None to leave that head alone.
        teacher_boxes_BK4: Boxes whose embedding a teacher has given, or None.
        teacher_BKE: The teacher's embeddings there, or None; zeros where it says nothing.
        kept_boxes_BK4: Boxes on which the model is held to its parent, or None.
        kept_words: As many words of each image on which it is, too.
        weight_BM: How much each region counts, float32; None where all count alike.

    At least one of ``tokens_BND`` and ``pixels_B3HW`` is given; tokens win.
    """

    boxes_BM4: Tensor
    valid_BM: Tensor
    phrases: tuple[str, ...]
    phrase_BM: Tensor
    captions: tuple[str | None, ...]
    tokens_BND: Tensor | None = None
    pixels_B3HW: Tensor | None = None
    crop_states_BMC: Tensor | None = None
    object_boxes: tuple[Tensor | None, ...] | None = None
    teacher_boxes_BK4: Tensor | None = None
    teacher_BKE: Tensor | None = None
    kept_boxes_BK4: Tensor | None = None
    kept_words: tuple[tuple[str, ...], ...] = ()
    weight_BM: Tensor | None = None

"""What a CLOC checkpoint is made of.  ``config.json`` of a checkpoint folder holds one ``ClocConfig``."""

from typing import Literal

import msgspec

Extractor = Literal["prompter", "literal", "roi_align", "crop"]
Proposals = Literal["anchors", "points"]


class TowerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An open_clip model.

    Args:
        model: Name of an open_clip architecture, or ``locstudio-lite`` for our own of packaged towers.
        pretrained: Tag of open_clip's weights; empty when the checkpoint's own weights hold the towers.
        input_px: Side of the square image.
        width: Width of the tokens that leave the tower.
        num_tokens: Tokens an image gives, the global one included.
        is_packaged: The weights come from installed packages, checked by SHA-256, and are not in the checkpoint.
        definition: open_clip's description of an architecture it does not know by name (embed_dim, vision_cfg,
            text_cfg), or None.
    """

    model: str
    pretrained: str = ""
    input_px: int = 224
    width: int
    num_tokens: int
    is_packaged: bool = False
    definition: dict[str, object] | None = None


class PrompterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a box becomes an embedding.

    Args:
        extractor: ``prompter``: image tokens are only keys and values; ``literal``: the paper's, all tokens attend to
            all; ``roi_align`` and ``crop``: the rivals it is measured against.
        mlp_ratio: Width of the MLP in token widths.
        has_corner_embedding: A learned vector for each of the two corners (not in the paper; Segment Anything has it).
        has_box_bias: Attention leans towards the box from the start (not in the paper).
        has_grid_position: Tokens carry where they are; towers of convolutions do not tell.
        dropout: Share of the numbers left out while training, of what a box has gathered and inside the MLP (the
            paper's batches need none).
        crop_px: Side of the crops of ``crop``; 0 for that of the whole image, which a transformer needs.
    """

    extractor: Extractor = "prompter"
    mlp_ratio: float = 2.0
    has_corner_embedding: bool = True
    has_box_bias: bool = True
    has_grid_position: bool = True
    dropout: float = 0.0
    crop_px: int = 0


class DetectionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How likely a box shows a phrase: the logistic function of a sum of logarithms.

    ``bias + share_weight * log(share) + objectness_weight * log(objectness)``, where ``share`` is the phrase's part of
    a softmax over all phrases that were asked, and over nothing.

    The numbers are fitted to images that neither the proposals nor the Prompter have learnt from.

    Args:
        nothing: The cosine at which a phrase is as likely as no phrase.
    """

    nothing: float = 0.2
    share_weight: float = 1.0
    objectness_weight: float = 0.5
    bias: float = 0.0


class ClocConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole CLOC model.

    Args:
        name: What a person calls it.
        tower: The towers.
        prompter: How a box becomes an embedding.
        proposals: Which head proposes boxes; checkpoints from before there were two have ``anchors``.
        detection: How boxes with phrases are scored.
        dim: Width of embeddings.
        token_width: Width of the tokens that are cached.
    """

    name: str
    tower: TowerConfig
    prompter: PrompterConfig = PrompterConfig()
    proposals: Proposals = "anchors"
    detection: DetectionConfig = DetectionConfig()
    dim: int
    token_width: int
    format_version: int = 1

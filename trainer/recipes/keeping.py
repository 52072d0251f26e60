"""Learning without forgetting: a retrained model is held to what its parent says where nothing was corrected.

A hundred corrected regions show a few words on a few images.  Without this, learning them costs others.

Source: Learning without Forgetting (arXiv:1606.09282), with embeddings in place of class scores.  Axes: B = images,
K = boxes or words an image, C = token width, D = embedding width.
"""

import copy

import torch
from torch import Tensor, nn

from locstudio.models.cloc import Cloc

_WORDS = """
airplane apple baby backpack bag ball banana bank barn basket bear bed bee bench bicycle bird blanket boat book boots
bottle bowl box boy branch bread brick bridge broccoli brush bucket building bus bush butterfly button cabinet cable
cake camel camera candle car card carpet carrot cart cat ceiling chair cheese chicken child church clock cloud coat
coffee coin computer cookie corn couch cow crab crane crowd cup curtain deer desk dish dog doll door drawer dress
drum duck eagle ear egg elephant engine eye face fan feather fence field fire fish flag floor flower fly fork fox
frog fruit garden gate giraffe girl glass glasses glove goat grape grass guitar hair hammer hand handle hat head
helmet hill hook horse hose house insect jacket jar jeans juice kettle key keyboard kite knife ladder lamp laptop
leaf leg lemon letter light lion lizard lock log machine man map mask microphone microwave milk mirror monkey moon
motorcycle mountain mouse mouth mug mushroom nail neck necklace nest newspaper nose nut onion orange oven owl paddle
painting pan paper path pen pencil penguin person phone piano pig pillow pipe pizza plane plant plate pole pond pot
potato printer pumpkin purse rabbit radio rail refrigerator ring river road robot rock roof rope rug sand sandwich
sauce scarf scissors screen sea seat sheep shelf ship shirt shoe shop shorts shovel sidewalk sign sink skateboard
skirt sky snail snake snow snowboard soap sock sofa soup spider spoon squirrel stairs star statue stone stool stove
strawberry street suitcase sun surfboard swan table tail tape tea telephone television tent tie tiger tile tire
toaster toilet tomato toothbrush tower towel toy track train tray tree truck trunk turtle umbrella uniform van vase
vegetable vest wall watch water wave wheel window wing wire woman wood zebra
"""
EVERYDAY_WORDS = tuple(_WORDS.split())
"""Words of everyday things that a person may search for, whether or not her project has them."""


class Parent:
    """What the parent of a run says of boxes and words; its towers are those of the model that learns from it.

    Args:
        model: The model before its first step, with frozen towers.
    """

    def __init__(self, model: Cloc) -> None:
        self._prompter: nn.Module = copy.deepcopy(model.prompter).requires_grad_(False).eval()
        self._text_project: nn.Module = copy.deepcopy(model.text_project).requires_grad_(False).eval()

    @torch.no_grad()
    def embed_boxes(self, tokens_BNC: Tensor, boxes_BK4: Tensor) -> Tensor:
        """Its embeddings (B, K, D) of boxes in the ``square`` frame, L2-normalised."""
        prompter: nn.Module = self._prompter
        embedded: Tensor = prompter.embed_boxes(prompter.prepare(tokens_BNC), boxes_BK4)  # type: ignore[operator]
        return embedded

    @torch.no_grad()
    def embed_features(self, features_TF: Tensor) -> Tensor:
        """Its embeddings (T, D) of the text tower's features, L2-normalised."""
        return nn.functional.normalize(self._text_project(features_TF), dim=-1)

"""Real models of transformers and open_clip, as small as they can be and of random weights, as folders."""

import json

import open_clip
import torch
from open_clip.coca_model import CoCa
from safetensors.torch import save_file
from transformers import (
    AutoTokenizer,
    BertConfig,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPImageProcessor,
    CLIPTokenizer,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
    SwinConfig,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.utils import logging

from locstudio.models.weights import packaged_text_folder

_LAYER = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
_IMAGE = {"image_size": 32, "patch_size": 8}
_SIZE = {"height": 32, "width": 32}


logging.disable_progress_bar()  # it would leave a thread behind


def _words(**further):
    """The tokenizer of BERT's words, which lies in a package."""
    return AutoTokenizer.from_pretrained(str(packaged_text_folder()), local_files_only=True, **further)


def _saved(folder, model, processor):
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def owlv2(folder):
    torch.manual_seed(0)
    characters = list(bytes_to_unicode().values())
    tokens = [*characters, *(character + "</w>" for character in characters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])
    text = {
        **_LAYER,
        "vocab_size": len(tokens),
        "max_position_embeddings": 16,
        "bos_token_id": len(tokens) - 2,
        "eos_token_id": len(tokens) - 1,
        "pad_token_id": 0,
    }
    config = Owlv2Config(text_config=text, vision_config={**_LAYER, **_IMAGE}, projection_dim=16)
    processor = Owlv2Processor(Owlv2ImageProcessor(size=_SIZE), tokenizer)
    return _saved(folder, Owlv2ForObjectDetection(config), processor)


def grounding_dino(folder):
    torch.manual_seed(0)
    tokenizer = _words()
    heads, layers = ("encoder_attention_heads", "decoder_attention_heads"), ("encoder_ffn_dim", "decoder_ffn_dim")
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=64,
            embed_dim=8,
            depths=[1, 1, 1],
            num_heads=[1, 2, 2],
            window_size=2,
            out_features=["stage2", "stage3"],
        ),
        text_config=BertConfig(vocab_size=tokenizer.vocab_size, **_LAYER),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        num_queries=10,
        num_feature_levels=2,
        **dict.fromkeys(heads, 2),
        **dict.fromkeys(layers, 16),
    )
    size = {"shortest_edge": 64, "longest_edge": 100}
    processor = GroundingDinoProcessor(GroundingDinoImageProcessor(size=size), tokenizer)
    return _saved(folder, GroundingDinoForObjectDetection(config), processor)


def blip(folder):
    torch.manual_seed(0)
    tokenizer = _words()
    text = {
        **_LAYER,
        "vocab_size": tokenizer.vocab_size,
        "encoder_hidden_size": 16,
        "projection_dim": 16,
        "max_position_embeddings": 80,
        "bos_token_id": 101,
        "eos_token_id": 102,
        "sep_token_id": 102,
        "pad_token_id": 0,
    }
    config = BlipConfig(text_config=text, vision_config={**_LAYER, **_IMAGE}, projection_dim=16)
    return _saved(
        folder, BlipForConditionalGeneration(config), BlipProcessor(BlipImageProcessor(size=_SIZE), tokenizer)
    )


def florence2(folder):
    torch.manual_seed(0)
    tokenizer = _words(extra_special_tokens={"image_token": "<image>"}, bos_token="[CLS]", eos_token="[SEP]")
    text = {
        "model_type": "bart",
        "vocab_size": len(tokenizer),
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16,
        "max_position_embeddings": 128,
        "pad_token_id": 0,
        "bos_token_id": 101,
        "eos_token_id": 102,
        "decoder_start_token_id": 2000,  # with tied weights a model of noise says the same word again
        "forced_eos_token_id": 102,
    }
    vision = {
        "depths": (1,),
        "patch_size": (7,),
        "patch_stride": (8,),
        "patch_padding": (3,),
        "patch_prenorm": (False,),
        "embed_dim": (8,),
        "num_heads": (2,),
        "num_groups": (2,),
        "window_size": 2,
        "projection_dim": 16,
        "max_position_embeddings": 10,
        "max_temporal_embeddings": 4,
    }
    config = Florence2Config(text_config=text, vision_config=vision, image_token_id=tokenizer.image_token_id)
    pictures = CLIPImageProcessor(size=_SIZE, do_center_crop=False)
    pictures.image_seq_length = 17
    processor = Florence2Processor(pictures, tokenizer)
    return _saved(folder, Florence2ForConditionalGeneration(config), processor)


def coca(folder):
    torch.manual_seed(0)
    text = {"context_length": 20, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    definition = {
        "embed_dim": 16,
        "multimodal_cfg": text,
        "text_cfg": {**text, "embed_cls": True, "output_tokens": True},
        "vision_cfg": {
            **_IMAGE,
            "layers": 1,
            "width": 16,
            "head_width": 8,
            "attentional_pool": True,
            "attn_pooler_heads": 2,
            "output_tokens": True,
        },
    }
    folder.mkdir()
    model = CoCa(**definition)
    save_file(
        {key: tensor.contiguous() for key, tensor in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    preprocess = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    config = {"model_cfg": {**definition, "custom_text": True}, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder

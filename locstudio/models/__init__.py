"""Torch modules without training: towers (open_clip), the Prompter and its rivals, heads, CLOC, checkpoints.

Training is `trainer`'s work; asking a model something from the app is `engine`'s.  Weights are data, never code:
safetensors, or `torch.load(weights_only=True)` for files from elsewhere.
"""

"""Means in which some rows count less than others.  Axes: R = regions."""

import torch
from torch import Tensor


def mean_of(value_R: Tensor, weight_R: Tensor | None) -> Tensor:
    """The mean of rows, each as often as its weight says; the plain mean without weights, zero where all are zero.

    Rows of one weight have their plain mean, whatever the weight: it tells them apart from others, no more.

    Raises:
        ValueError: there is not one weight a row.
    """
    if weight_R is None:
        return value_R.mean()
    if weight_R.shape != value_R.shape:
        raise ValueError(f"{tuple(weight_R.shape)} weights are not one for each of {tuple(value_R.shape)} rows")
    tiny = torch.finfo(value_R.dtype).tiny
    return (weight_R * value_R).sum() / weight_R.sum().clamp(min=tiny)

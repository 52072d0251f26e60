"""The loss of heatmaps that remember.  Axes: B = images, L = classes, G = side of a view's class maps."""

from torch import Tensor

from trainer.losses.weighting import mean_of


def spatial_consistency_loss(maps_BLGG: Tensor, target_BLGG: Tensor, weight_BLGG: Tensor | None = None) -> Tensor:
    """SCL: how far class maps are from what is remembered of the same places, mean absolute difference.

    Args:
        maps_BLGG: Logits of the class maps of views; the gradient goes through them alone.
        target_BLGG: Running-average heatmaps in [0, 1] as the views show them (`trainer.views.sample`).
        weight_BLGG: How much each cell counts.

    Raises:
        ValueError: maps and targets differ in shape.

    Source: arXiv:2203.06127; the absolute difference is of a public re-implementation.
    """
    if maps_BLGG.shape != target_BLGG.shape:
        raise ValueError(f"maps of {tuple(maps_BLGG.shape)} have no targets of {tuple(target_BLGG.shape)}")
    return mean_of((maps_BLGG.sigmoid() - target_BLGG.detach()).abs(), weight_BLGG)

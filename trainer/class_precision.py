"""How well images are ranked by the scores of classes.  Axes: N = images, L = classes."""

import numpy as np
from numpy.typing import NDArray


def average_precisions(scores_NL: NDArray[np.float32], labels_NL: NDArray[np.int8]) -> NDArray[np.float64]:
    """The average precision of each class, (L,); NaN where it is in none of the images, or in all.

    What is not known counts as not there: where images have few of their labels, a true find is held against the
    model, in every epoch alike.

    Args:
        scores_NL: Any numbers, higher where the class is likelier.
        labels_NL: 1 there, 0 not there, -1 not known.
    """
    found_L = np.full(scores_NL.shape[1], np.nan)
    for position in range(scores_NL.shape[1]):
        is_there_N = labels_NL[:, position] == 1
        if is_there_N.any() and not is_there_N.all():
            found_L[position] = average_precision_of(scores_NL[:, position], is_there_N)
    return found_L


def average_precision_of(scores_N: NDArray[np.float32], is_there_N: NDArray[np.bool_]) -> float:
    """Precision at every score, each weighed by the recall that it adds; images of one score come in together.

    Source: scikit-learn's ``average_precision_score``, without interpolation.

    Raises:
        ValueError: nothing is there.
    """
    if not is_there_N.any():
        raise ValueError("of a class that is in no image there is no precision")
    order_N = np.argsort(-scores_N, kind="stable")
    num_right_N = np.cumsum(is_there_N[order_N])
    ends = np.append(np.flatnonzero(np.diff(scores_N[order_N])), len(scores_N) - 1)
    precision = num_right_N[ends] / (ends + 1)
    recall = num_right_N[ends] / num_right_N[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())

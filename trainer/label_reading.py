"""What is known of the classes of whole images: what was said of the image, and what its regions and strokes show.

A class that nothing was said of is not known, never absent.  Axes: N = images, L = classes, P = statements.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray
from locstudio.domain.heat_corrections import Evidence, HeatCorrection
from locstudio.domain.regions import Origin, Problem, Review
from locstudio.store.dataset import Dataset
from trainer.data import names_in_use

_PAGE = 1000
_MODEL = list(Origin).index(Origin.MODEL)
_REJECTED = list(Review).index(Review.REJECTED)
_ACCEPTED = list(Review).index(Review.ACCEPTED)
_SOUND = list(Problem).index(Problem.NONE)

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelTable:
    """What is known of every sound image.

    Attributes:
        image_ids: Rising, (N,).
        class_ids: Classes in use by rising identity, one of each name, L of them.
        class_names: Their names.
        labels_NL: 1 there, 0 not there, -1 not known.
        weights_NL: How much each label counts: less where only a model has said so, 1 where nothing is known.
    """

    image_ids: Ints
    class_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    labels_NL: NDArray[np.int8]
    weights_NL: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def has_label_N(self) -> NDArray[np.bool_]:
        """Images of which anything is known."""
        return np.asarray((self.labels_NL >= 0).any(axis=1))

    @property
    def is_known_L(self) -> NDArray[np.bool_]:
        """Classes of which something is known in some image."""
        return np.asarray((self.labels_NL >= 0).any(axis=0))

    @property
    def num_positives_L(self) -> Ints:
        """In how many images each class is known to be."""
        return (self.labels_NL == 1).sum(axis=0)

    def of_images(self, image_ids: Collection[int]) -> "LabelTable":
        """The rows of these images alone."""
        wanted = np.fromiter(image_ids, np.int64, len(image_ids))
        is_wanted_N = np.isin(self.image_ids, wanted)
        return self.rows(np.flatnonzero(is_wanted_N))

    def rows(self, rows: Ints) -> "LabelTable":
        """Some rows alone, in this order."""
        return replace(
            self,
            image_ids=self.image_ids[rows],
            labels_NL=self.labels_NL[rows],
            weights_NL=self.weights_NL[rows],
        )


def read_labels(dataset: Dataset, *, machine_weight: float = 1.0) -> LabelTable:
    """The labels of every sound image.

    What was said of the image itself goes before what its regions show; what a person or a file has said goes before
    what only a model has.  Evidence that was painted into a heatmap says that the class is there, unless the image's
    own label says that it is not.

    Args:
        dataset: Project or snapshot.
        machine_weight: How much a label counts that only a model has said.
    """
    image_ids, class_ids, positions, names = _axes(dataset)
    labels_NL = np.full((len(image_ids), len(class_ids)), -1, np.int8)
    weights_NL = np.ones(labels_NL.shape, np.float32)

    def say(images: Ints, classes: Ints, said: NDArray[np.int8], is_machine: NDArray[np.bool_], *, only: bool) -> None:
        at, is_here = _rows_of(image_ids, images)
        columns = np.array([positions.get(int(key), -1) for key in classes], np.int64)
        is_here &= (columns >= 0) & (said >= 0) & (is_machine == only)
        at, columns = at[is_here], columns[is_here]
        labels_NL[at, columns] = said[is_here]
        weights_NL[at, columns] = machine_weight if only else 1.0

    labels = dataset.label_columns()
    region_images, region_classes, is_proposed = _of_regions(dataset)
    there = np.ones(len(region_images), np.int8)
    by_model = labels.origins == _MODEL
    painted_images, painted_classes = _painted(dataset)
    # From the weakest to the strongest; the later word stands.
    say(region_images, region_classes, there, is_proposed, only=True)
    say(labels.image_ids, labels.class_ids, labels.presence, by_model, only=True)
    say(region_images, region_classes, there, is_proposed, only=False)
    sure = np.zeros(len(painted_images), np.bool_)
    say(painted_images, painted_classes, np.ones(len(painted_images), np.int8), sure, only=False)
    say(labels.image_ids, labels.class_ids, labels.presence, by_model, only=False)
    return LabelTable(image_ids, class_ids, names, labels_NL, weights_NL)


def keep_one(table: LabelTable, seed: int) -> LabelTable:
    """Of each image one class that is there, drawn by the seed; all else is not known.

    Source: the protocol of single positives of Cole et al. (arXiv:2106.09708).
    """
    labels_NL = np.full_like(table.labels_NL, -1)
    weights_NL = np.ones_like(table.weights_NL)
    for row, image_id in enumerate(table.image_ids):
        there = np.flatnonzero(table.labels_NL[row] == 1)
        if len(there):
            chosen = int(np.random.default_rng([seed, int(image_id)]).choice(there))
            labels_NL[row, chosen] = 1
            weights_NL[row, chosen] = table.weights_NL[row, chosen]
    return replace(table, labels_NL=labels_NL, weights_NL=weights_NL)


def num_expected_of(labels_NL: NDArray[np.int8]) -> int:
    """How many classes an image is expected to show (K), as far as labels tell.

    As many as are known to be there on average, rounded up, and one more where each image has a single one: then the
    average says nothing of how many there are.
    """
    num_N = (labels_NL == 1).sum(axis=1)
    num_N = num_N[num_N > 0]
    if not len(num_N):
        return 1
    return int(np.ceil(num_N.mean())) + int(num_N.max() == 1)


def read_corrections(dataset: Dataset, table: LabelTable) -> dict[int, dict[int, tuple[HeatCorrection, ...]]]:
    """What was painted, by the row of the image and the position of the class in the table."""
    rows = {int(image_id): row for row, image_id in enumerate(table.image_ids)}
    positions = _positions_of(dataset, table.class_names)
    found: dict[int, dict[int, tuple[HeatCorrection, ...]]] = {}
    for correction in _corrections(dataset):
        row, position = rows.get(correction.image_id), positions.get(correction.class_id)
        if row is not None and position is not None:
            of_image = found.setdefault(row, {})
            of_image[position] = (*of_image.get(position, ()), correction)
    return found


def read_boxes(dataset: Dataset, table: LabelTable) -> dict[int, dict[int, BoxArray]]:
    """The boxes of true regions of classes that are there, in the ``unit`` frame, by row and position in the table."""
    columns = dataset.region_columns()
    is_true = (columns.reviews != _REJECTED) & ((columns.origins != _MODEL) | (columns.reviews == _ACCEPTED))
    at, is_here = _rows_of(table.image_ids, columns.image_ids)
    positions = _positions_of(dataset, table.class_names)
    found: dict[int, dict[int, list[int]]] = {}
    for number in np.flatnonzero(is_true & is_here & (columns.class_ids > 0)).tolist():
        row, position = int(at[number]), positions.get(int(columns.class_ids[number]), -1)
        if position >= 0 and table.labels_NL[row, position] == 1:
            found.setdefault(row, {}).setdefault(position, []).append(number)
    return {
        row: {position: columns.boxes[numbers] for position, numbers in of_image.items()}
        for row, of_image in found.items()
    }


def _axes(dataset: Dataset) -> tuple[Ints, tuple[int, ...], dict[int, int], tuple[str, ...]]:
    """Sound images, classes, the position of every class in use by its id, and names."""
    contents = dataset.image_contents()
    image_ids = contents.ids[contents.problems == _SOUND]
    first: dict[str, int] = {}
    for class_id, name in sorted(names_in_use(dataset).items()):
        first.setdefault(name, class_id)
    names = tuple(first)
    return image_ids, tuple(first.values()), _positions_of(dataset, names), names


def _positions_of(dataset: Dataset, class_names: Sequence[str]) -> dict[int, int]:
    """Classes of the same name are one."""
    position = {name: at for at, name in enumerate(class_names)}
    return {class_id: position[name] for class_id, name in names_in_use(dataset).items() if name in position}


def _of_regions(dataset: Dataset) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Images and classes of true regions, each pair once, and whether only a model has proposed them."""
    image_ids, class_ids = dataset.region_classes()
    columns = dataset.region_columns()
    is_sure = (columns.origins != _MODEL) & (columns.reviews != _REJECTED) & (columns.class_ids > 0)
    sure = set(zip(columns.image_ids[is_sure].tolist(), columns.class_ids[is_sure].tolist(), strict=True))
    pairs = zip(image_ids.tolist(), class_ids.tolist(), strict=True)
    return image_ids, class_ids, np.array([pair not in sure for pair in pairs], np.bool_)


def _painted(dataset: Dataset) -> tuple[Ints, Ints]:
    pairs = {(one.image_id, one.class_id) for one in _corrections(dataset) if one.kind is Evidence.ADD}
    columns = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def _corrections(dataset: Dataset) -> list[HeatCorrection]:
    found: list[HeatCorrection] = []
    while page := dataset.corrections_page(after_id=found[-1].id if found else 0, limit=_PAGE):
        found += page
    return found


def _rows_of(image_ids: Ints, wanted: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """The row of each image, and whether it has one."""
    if not len(image_ids):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(image_ids, wanted), len(image_ids) - 1).astype(np.int64)
    return at, image_ids[at] == wanted

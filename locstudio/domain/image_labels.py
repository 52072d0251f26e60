"""What an image shows: for each class present, absent or not known, and who has said so."""

from dataclasses import dataclass
from enum import StrEnum

from locstudio.domain.regions import Origin


class Presence(StrEnum):
    """Whether a class is in an image.  A class without a word about it is ``UNKNOWN``, never absent."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ImageLabel:
    """What is said of one class of one image as a whole.

    ``source`` names the importer or the checkpoint that said it; ``score`` in [0, 1] is a model's.
    """

    image_id: int
    class_id: int
    presence: Presence = Presence.POSITIVE
    origin: Origin = Origin.HUMAN
    score: float | None = None
    source: str = ""

"""What changed between two models, said to a person: signs, names, and what each choice does."""

from dataclasses import dataclass

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.services.changes import Change, Choice, Kind
from locstudio.ui import theme
from locstudio.ui.search.context import context_of
from locstudio.ui.search.hits_model import CropKey

_SIGNS: dict[Kind, str] = {"fixed": "✓", "broken": "✗", "renamed": "≠", "moved": "↔", "new": "+", "vanished": "−"}
_WORDS: dict[Kind, str] = {
    "fixed": "Fixed",
    "broken": "Broken",
    "renamed": "Renamed",
    "moved": "Moved",
    "new": "New",
    "vanished": "Vanished",
}
MEANINGS: dict[Kind, str] = {
    "fixed": "The old model named the region wrong, the new one right",
    "broken": "The old model named the region right, the new one wrong",
    "renamed": "Both name the region wrong, each in its own way",
    "moved": "The two find the phrase at different places, one of them right",
    "new": "Only the new model finds something here",
    "vanished": "Only the old model finds something here",
}
_CHOSEN: dict[Choice, str] = {"old": "old kept", "new": "new taken"}


@dataclass(frozen=True, slots=True)
class ChangeItem:
    """One change with its image, and the part of the image that shows it; ``chosen`` is what a person has chosen."""

    change: Change
    image: Image
    view: UnitBox
    chosen: Choice | None = None

    @classmethod
    def of(cls, change: Change, image: Image, chosen: Choice | None = None) -> "ChangeItem":
        """The change with its view chosen: around all of its boxes."""
        boxes = [box for box in (change.box, change.new_box, change.true_box) if box is not None]
        around = UnitBox(
            min(box.x0 for box in boxes),
            min(box.y0 for box in boxes),
            max(box.x1 for box in boxes),
            max(box.y1 for box in boxes),
        )
        return cls(change, image, context_of(around, max(image.width, 1), max(image.height, 1)), chosen)

    @property
    def key(self) -> str:
        """What the change is known by."""
        return self.change.key

    @property
    def crop_key(self) -> CropKey:
        """What its picture is kept under."""
        return self.image.id, self.view.as_tuple()

    def sentence(self) -> str:
        """The change in words."""
        change = self.change
        truth = f", it is “{change.truth}”" if change.truth else ""
        chosen = f", {_CHOSEN[self.chosen]}" if self.chosen else ""
        return (
            f"{kind_word(change.kind)}: {was_words(change)} → {now_words(change)}{truth}, in {self.image.path}{chosen}"
        )


def kind_sign(kind: Kind) -> str:
    """A sign that tells kinds apart without colour."""
    return _SIGNS[kind]


def kind_word(kind: Kind) -> str:
    """The kind as a word."""
    return _WORDS[kind]


def kind_color(kind: Kind) -> str:
    """The kind's colour in the theme that is on."""
    look = theme.current()
    return {
        "fixed": look.success,
        "broken": look.danger,
        "renamed": look.warning,
        "moved": look.accent,
        "new": look.accent,
        "vanished": look.muted,
    }[kind]


def chosen_word(chosen: Choice | None) -> str:
    """A choice as words; empty for none."""
    return _CHOSEN[chosen] if chosen else ""


def scored(name: str, score: float | None) -> str:
    """A name with its score."""
    return name if score is None else f"{name} {score:.2f}"


def was_words(change: Change) -> str:
    """What the old model says."""
    return scored(change.old_name, change.old_score) if change.old_name else "nothing"


def now_words(change: Change) -> str:
    """What the new model says."""
    return scored(change.new_name, change.new_score) if change.new_name else "nothing"


def effect_of(change: Change, chosen: Choice) -> str:
    """What a choice will do to the data, in a sentence."""
    if chosen == "old":
        return "Nothing is edited; your choice is remembered."
    if change.kind == "vanished" and change.region_id is None:
        return "Nothing is there to edit; remembered."
    if not change.edits_data:
        return "The data is right as it is; your choice is remembered."
    if change.kind in ("broken", "renamed"):
        return f"The region becomes “{change.new_name}” and accepted."
    if change.kind == "moved":
        return "The box of the region moves to where the new model finds it."
    if change.kind == "vanished":
        return "The region is rejected."
    if change.region_id is not None:
        return f"The region “{change.truth or change.new_name}” is accepted."
    return f"An accepted region “{change.new_name}” is added."

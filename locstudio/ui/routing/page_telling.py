"""What the experts' page says where there is nothing to show, and which classes it offers."""

from collections import Counter

import numpy as np

from locstudio.ui.gallery.working_model import Rows
from locstudio.ui.routing.class_picker import ClassChoice
from locstudio.ui.routing.page import ExpertPage
from locstudio.ui.routing.page_reading import NO_ROUTING, NoRouting, RoutingBase

_NUM_FIRST = 3
_NO_ROUTING = (
    "A model with experts sends every image to one of them. Ask the model in use about the images of this collection, "
    "or train experts on its own classes: what each expert looks at, and why, is shown here then."
)
_NO_MODEL = (
    "A model with experts sends every image to one of them. Train one on the classes of this collection: what each "
    "expert looks at, and why, is shown here then."
)
_COMING = "A run goes on in the background. What its experts look at is shown here as soon as it has routed once."
_ROUTE, _TRAIN = ("Route the collection", "route"), ("Train experts…", "train")


def say_nothing(page: ExpertPage, found: NoRouting, *, is_read_only: bool) -> None:
    """Say why there is no routing, with what helps."""
    if found.is_coming and found.why == NO_ROUTING:
        page.empty.say("The first images are being routed", _COMING)
        return
    helps = [] if is_read_only else [*([_ROUTE] if found.can_route else []), _TRAIN]
    if found.why == NO_ROUTING:
        page.empty.say("No image is routed yet", _NO_ROUTING if found.can_route else _NO_MODEL, helps)
    else:
        page.empty.say("The routing cannot be read", found.words, helps)


def choices_for(base: RoutingBase, positions: Rows) -> list[ClassChoice]:
    """The classes that can be said of images: what the model takes them for first, then all by name."""
    header = base.book.table.header
    predicted = base.book.table.predicted[positions]
    counts = Counter(int(place) for place in predicted[predicted >= 0])
    first = []
    for place, count in counts.most_common(_NUM_FIRST):
        entry = base.classes.get(header.class_ids[place])
        if entry is not None and not entry.is_retired:
            score = float(np.mean(base.book.table.scores[positions][predicted == place].astype(np.float32)))
            of_all = "" if len(positions) == 1 else f"{count:,} of {len(positions):,}, "
            first.append(ClassChoice(entry.id, entry.name, entry.color, f"predicted ({of_all}{score:.2f})"))
    known = {choice.id for choice in first}
    rest = [entry for entry in base.classes.values() if not entry.is_retired and entry.id not in known]
    rest.sort(key=lambda entry: entry.name.casefold())
    return [*first, *(ClassChoice(entry.id, entry.name, entry.color) for entry in rest)]

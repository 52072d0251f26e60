"""What is said of the routing of an image: who took it, how surely, whether that fits its class, and why nothing is."""

from collections.abc import Sequence

from locstudio.domain.text import shown
from locstudio.services.routing.found import FoundRouting
from locstudio.services.routing.runs import RoutingRun
from locstudio.ui.routing.routing_panel_reading import ReadRouting
from locstudio.ui.training.wording import when

CLEAR, LITTLE, EVEN = 0.5, 0.2, 0.05
"""From which margin on a choice is clear, and below which it is narrow, and all but even."""
_LEAST = 0.005  # what is smaller reads as nothing

NO_MODEL = (
    "There is no model with experts yet. Train experts (Ctrl+R): each image then goes to the expert that its router "
    "chooses, and this panel shows which one and why."
)
_NO_ENGINE = "No run has routed this image, and the models are not running; press Retry at the top right."
_ASKING = "The model is looking at this image …"
_CHANCE = "Chance has chosen: this model is a control for others."


def name_of(run: RoutingRun) -> str:
    """What a person calls a run that has routed images: its title, else whose routing it is of when."""
    if run.title or not run.when:
        return shown(run.title or run.id, 80)
    name = shown(run.name, 60) if run.name else "Experts"
    return f"{name}, {when(run.id)}" if run.num_epochs or not run.name else f"{name}, routed {when(run.id)}"


def run_words(run: RoutingRun) -> str:
    """A run in a line: its name, how far it is, and whether it goes on or is in use."""
    epoch = f"epoch {run.epoch} of {run.num_epochs}" if run.num_epochs else ""
    state = "running" if run.is_running else "in use" if run.is_adopted else ""
    return " · ".join(part for part in (name_of(run), epoch, state) if part)


def group_title(found: FoundRouting, router: int) -> str:
    """Which layers a router decides for."""
    layers = found.layers
    if len(found.probabilities_RE) > 1:
        return f"Layer {layers[router]}" if router < len(layers) else f"Router {router + 1}"
    if len(layers) == 1:
        return f"Layer {layers[0]}"
    return f"Layers {listed([str(layer) for layer in layers])}, one decision"


def group_hint(found: FoundRouting) -> str:
    """What the bars are, where that is not the probability of one router."""
    if found.routing == "token":
        return "Every token chooses for itself: the bars are shares of the tokens."
    return ""


def verdict(found: FoundRouting) -> str:
    """How surely the expert was chosen: in words and in numbers."""
    first = found.probabilities_RE[0][found.expert]
    second = found.second
    if found.routing == "random":
        return _CHANCE
    what = f"{first:.0%} of the tokens" if found.routing == "token" else f"Probability {first:.2f}"
    if second is None:
        return f"{what}. There is no other expert."
    other = f"expert {shown(found.expert_names[second], 60)}"
    if found.routing == "oracle":
        return f"{what}, {found.margin:.2f} before {other}. It was told the superclass: a control for others."
    by = f"{found.margin:.2f}" if found.margin >= _LEAST else "less than 0.01"
    return f"{what}: {margin_words(found.margin)} {other}, by {by}."


def margin_words(margin: float) -> str:
    """How a margin reads before the name of the next one."""
    if margin >= CLEAR:
        return "clearly ahead of"
    if margin >= LITTLE:
        return "ahead of"
    return "narrowly ahead of" if margin >= EVEN else "all but even with"


def truth_words(found: FoundRouting, truth: Sequence[str]) -> tuple[str, bool]:
    """Whether the expert fits what the image is known to show, and whether it does not."""
    if not truth:
        return "Nobody has said what this image shows, so no expert is its own.", False
    names = listed([shown(name, 60) for name in truth])
    homes = found.homes_of(truth)
    if not found.homes:
        return f"Labelled {names}. This router was taught no superclasses.", False
    if not homes:
        return f"Labelled {names}, which this model does not know.", False
    if found.expert in homes:
        its_own = [shown(name, 60) for name in truth if found.homes_of([name]) == (found.expert,)]
        which = "its own expert" if len(truth) == 1 else f"the expert of {listed(its_own)}"
        return f"Labelled {names}: this is {which}.", False
    own = listed([shown(found.expert_names[home], 60) for home in homes])
    return f"Mismatch: labelled {names}, whose own expert is {own}.", True


def note_of(read: ReadRouting) -> tuple[str, bool]:
    """What is to be said of where this comes from, and whether that is a warning."""
    if read.problem:
        return shown(read.problem, 300), True
    model = shown(read.model.info.name, 40) if read.model is not None else ""
    if read.is_stale:
        who = f"{model} has looked at the file as it is now." if read.is_answered else _ASKING
        return f"The file has changed since the run saw it; {who}", True
    if read.is_in_table:
        return "", False
    if read.is_asking:
        return f"No run has routed this image; {model} is looking at it …", False
    if read.is_answered and read.run is not None:
        return f"The run has not seen this image; {model} has looked at it just now.", False
    if read.is_answered:
        return f"{model} has looked at this image just now. No run has routed the collection yet.", False
    return "", False


def why_none(read: ReadRouting) -> str:
    """Why nothing is known of this image, and what to do about it."""
    if read.problem:
        return shown(read.problem, 300)
    if read.is_asking:
        return _ASKING
    return NO_MODEL if read.model is None else _NO_ENGINE


def why_no_what_if(read: ReadRouting) -> str:
    """Why nobody can say what other experts would have said; empty where somebody can."""
    if read.found is not None and read.found.what_if_E:
        return ""
    if read.is_asking:
        return "The model is being asked what the others would have said …"
    if read.model is None and read.run is not None and read.run.is_running:
        return "The training goes on; the other experts can be asked once it has saved this checkpoint."
    if read.model is None:
        return "The checkpoint of this run is gone, so the other experts cannot be asked."
    return "The models are not running, so the other experts cannot be asked; press Retry at the top right."


def changed_words(found: FoundRouting, expert: int) -> str:
    """What another expert would have made of the prediction, in a sentence."""
    real = found.classes[0] if found.classes else ("nothing", 0.0)
    other = found.what_if_E[expert][0] if found.what_if_E[expert] else ("nothing", 0.0)
    name = shown(found.expert_names[expert], 60)
    if real[0] == other[0]:
        way = "surer" if other[1] > real[1] + 0.005 else "less sure" if other[1] < real[1] - 0.005 else "as sure"
        return f"Had expert {name} taken it: still {shown(other[0], 60)}, {way} ({real[1]:.2f} → {other[1]:.2f})."
    return f"Had expert {name} taken it: {shown(other[0], 60)} {other[1]:.2f} instead of {shown(real[0], 60)}."


def listed(words: Sequence[str]) -> str:
    """Words with commas and an "and"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"

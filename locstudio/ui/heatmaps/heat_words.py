"""What is said of heat as a whole: of which epoch it is, what to doubt, and why there is none."""

from locstudio.domain.text import shown
from locstudio.services.heat.runs import HeatRun
from locstudio.ui.heatmaps.heat_reading import ReadHeat
from locstudio.ui.training.wording import when

STALE = "The file has changed since the training saw it: this is the heat of the picture as it was."
_NEVER = (
    "There is no heat yet. Train the heatmaps (Ctrl+R): while the training runs, the heat of every epoch shows here."
)
_WAITING = "The training has not finished its first epoch; its heat shows here as soon as it has."
_NOT_SEEN = "No training has seen this image. Take a finished run into use (Ctrl+2), and heat is found in any image."
_NO_ENGINE = "No training has seen this image, and the models are not running; press Retry at the top right."


def name_of(run: HeatRun) -> str:
    """What a person calls a training that keeps heatmaps: its title, else what it is of when."""
    return shown(run.title, 80) if run.title else f"Heatmaps, {when(run.id)}" if run.when else run.id


def epoch_words(read: ReadHeat) -> str:
    """Which epoch is shown."""
    if read.run is None:
        return ""
    return f"epoch {read.epoch} of {read.num_epochs}" if read.epoch else "before the first epoch"


def origin_of(read: ReadHeat) -> str:
    """What heat is of, in the few words of the legend."""
    if read.run is None:
        return f"by {shown(read.model_name, 40)}, just now"
    return epoch_words(read) + (", running" if read.run.is_running else "")


def note_of(read: ReadHeat) -> tuple[str, bool]:
    """What the panel says of the heat that it shows, and whether that is a warning."""
    if read.is_stale:
        return STALE, True
    if read.run is None:
        name = shown(read.model_name, 40)
        if read.is_looking:
            return f"No training has seen this image; {name} is looking at it …", False
        if read.runs:
            return f"No training has seen this image; {name} has looked at it just now.", False
        return f"{name} has looked at this image just now. Train the heatmaps (Ctrl+R) on your own classes.", False
    if read.epoch != read.newest:
        return f"Heat as it was after epoch {read.epoch}; what was painted since is on it too.", False
    return "", False


def why_none(read: ReadHeat) -> str:
    """Why no class has heat here, and what to do about it."""
    if read.problem:
        return shown(read.problem, 300)
    if read.model is not None and not read.is_found:
        return _NO_ENGINE
    if not read.runs:
        return _NEVER
    if read.run is None and all(run.epoch == 0 for run in read.runs):
        return _WAITING
    if read.run is not None and read.epoch == 0:
        return _WAITING
    return _NOT_SEEN

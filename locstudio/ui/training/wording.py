"""How runs are spoken of: states, times, metrics and sizes as a person says them."""

from collections.abc import Mapping
from datetime import datetime

from locstudio.jobs.run_state import RunState

_METRICS = {
    "map": "mean precision",
    "map_all": "mean precision, all its classes",
    "macc": "mean accuracy",
    "top1": "top 1",
    "top5": "top 5",
    "superclass_top1": "superclass, top 1",
    "router_accuracy": "right expert",
    "margin": "margin of the router",
    "dead_experts": "experts with hardly any image",
    "mean_iou": "grounding IoU",
    "hit50": "grounding hits",
    "r2t": "region → text",
    "t2r": "text → region",
    "i2t": "image → text",
    "t2i": "text → image",
    "recall_24": "boxes found by 24 proposals",
    "recall_100": "boxes found by 100 proposals",
    "ar100": "mean recall of 100 proposals",
    "ap50": "mean precision of class names",
}
STATES = {
    RunState.QUEUED: "Waiting",
    RunState.RUNNING: "Training",
    RunState.STOPPING: "Stopping",
    RunState.DONE: "Done",
    RunState.STOPPED: "Stopped",
    RunState.FAILED: "Failed",
    RunState.INTERRUPTED: "Interrupted",
}
_LEADING = ("macc", "map", "top1", "hit50", "mean_iou")
_DENSE = "dense_"
_BYTES = ("bytes", "KB", "MB", "GB", "TB")


def metric_name(name: str) -> str:
    """The name of a metric in words: ``r2t_r5`` becomes "region → text, recall at 5"."""
    if name.startswith(_DENSE):
        return f"dense twin, {metric_name(name.removeprefix(_DENSE))}"
    way, _, rank = name.rpartition("_r")
    if way in _METRICS and rank.isdigit():
        return f"{_METRICS[way]}, recall at {rank}"
    return _METRICS.get(name, name.replace("_", " "))


def leading_metric(metrics: Mapping[str, float]) -> tuple[str, float] | None:
    """The one metric that a list has room for: its name in words and its value."""
    for name in _LEADING:
        if name in metrics:
            return metric_name(name), metrics[name]
    return None


def begun(run_id: str) -> datetime | None:
    """When a run was made, in local time, as its id tells; None for an id of another form."""
    try:
        return datetime.strptime(run_id.partition("-")[0] + "+0000", "%Y%m%dT%H%M%SZ%z").astimezone()
    except ValueError:
        return None


def when(run_id: str, now: datetime | None = None) -> str:
    """When a run was made: "14:32" today, "Tue 14:32" within a week, else "3 Nov 14:32"."""
    moment = begun(run_id)
    if moment is None:
        return run_id
    days = ((now or datetime.now().astimezone()).date() - moment.date()).days
    time = f"{moment:%H:%M}"
    if days == 0:
        return time
    return f"{moment:%a} {time}" if 0 < days < 7 else f"{moment.day} {moment:%b} {time}"


def size_in_words(num_bytes: float) -> str:
    """A size in units of 1,000 bytes: "38 GB", "1.4 GB", "620 MB"."""
    place = 0
    while num_bytes >= 999.5 and place < len(_BYTES) - 1:
        num_bytes /= 1000
        place += 1
    return f"{num_bytes:.1f} {_BYTES[place]}" if place >= 3 and num_bytes < 9.95 else f"{num_bytes:.0f} {_BYTES[place]}"


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 region", "1,204 regions"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"

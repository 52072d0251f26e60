"""Whether the weights of somebody else's model are likely to be found, before a run is made that needs them.

Only names of files are looked at: what they hold, the run reads and says.
"""

import os
from fnmatch import fnmatch
from pathlib import Path

from locstudio.jobs.configs import CaptionerName, DetectorName, Vesl

_OURS = ("own", "closer", "classes")
_NEEDED = {"coca": ("open_clip_config.json", ("*.safetensors", "*.bin"))}
_NEEDED_ELSE = ("config.json", ("*.safetensors",))
_HUB_MARK = "hf-hub:"
_YES = ("1", "ON", "YES", "TRUE")


def problem_with(vesl: Vesl) -> str:
    """Why a run of this choice would find no weights, in a sentence; empty where nothing speaks against it."""
    return _problem(vesl.detector, vesl.detector_model) or _problem(vesl.captioner, vesl.captioner_model)


def _problem(name: DetectorName | CaptionerName, source: str) -> str:
    if name in _OURS or not source:
        return ""
    if os.path.isdir(source):
        return _lacking(name, source)
    if os.path.isabs(source) or source.startswith("."):
        return f"There is no folder {source}."
    is_of_hub = source.startswith(_HUB_MARK) or name != "coca"  # where open_clip's own names lie, only open_clip knows
    if not is_of_hub or not _is_offline() or _is_fetched(source.removeprefix(_HUB_MARK)):
        return ""
    return (
        f"The weights {source} are not on this machine, and LocStudio fetches nothing unless it may: start it with "
        "HF_HUB_OFFLINE=0 once, or name the folder where they lie."
    )


def _lacking(name: DetectorName | CaptionerName, folder: str) -> str:
    """What a folder of weights does not have."""
    config, weights = _NEEDED.get(name, _NEEDED_ELSE)
    try:
        names = os.listdir(folder)
    except OSError as error:
        return f"The folder {folder} cannot be read: {error.strerror}."
    if config not in names:
        return f"The folder {folder} holds no {config}: it is no folder of weights for this model."
    if not any(fnmatch(each, pattern) for each in names for pattern in weights):
        return f"The folder {folder} holds no weights: a file {' or '.join(weights)} is needed beside {config}."
    return ""


def _is_offline() -> bool:
    """Whether a run may fetch nothing, as is so where nobody has said otherwise."""
    return os.environ.get("HF_HUB_OFFLINE", "1").upper() in _YES


def _is_fetched(tag: str) -> bool:
    """Whether the hub's cache on this machine holds anything under a tag."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or Path(home, "huggingface"), "hub")
    snapshots = Path(cache, f"models--{tag.replace('/', '--')}", "snapshots")
    try:
        return any(snapshots.glob("*/*"))
    except (OSError, ValueError):
        return False

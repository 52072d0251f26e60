"""``locstudio doctor``: the machine, in words."""

import argparse
import ctypes.util
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import platformdirs

from locstudio import __version__
from locstudio.commands.output import print_json, say

_TORCH_PROBE = """\
import json, torch
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "gpus": gpus}))
"""
_SYSTEM_LIBRARIES = {
    "EGL": "libegl1",
    "GL": "libgl1",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
    "xkbcommon": "libxkbcommon0",
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-keysyms": "libxcb-keysyms1",
}


def doctor(options: argparse.Namespace) -> int:
    """Say what this machine can do and what is missing, with the command that mends it."""
    from locstudio.store.sqlite_library import sqlite_verdict

    data = platformdirs.user_data_path("locstudio")
    missing = [package for library, package in _SYSTEM_LIBRARIES.items() if not ctypes.util.find_library(library)]
    findings = {
        "locstudio": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count() or 1,
        "pyside6": _version("PySide6-Essentials"),
        "pillow": _version("pillow"),
        "sqlite": sqlite_verdict(),
        "torch": _torch(),
        "display": os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or "none: commands and the tour only",
        "missing_system_packages": missing if sys.platform.startswith("linux") else [],
        "data_folder": str(data),
        "free_gib": round(shutil.disk_usage(_existing(data)).free / 2**30, 1),
    }
    if options.json:
        print_json(findings)
        return 0
    for name, value in findings.items():
        say(f"{name.replace('_', ' '):24} {(', '.join(value) or 'none') if isinstance(value, list) else value}")
    if findings["missing_system_packages"]:
        say(f"\nInstall what is missing with: sudo apt-get install {' '.join(missing)}")
    return 0


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _torch() -> str:
    """Ask in a child: a broken driver can end the process that asks."""
    done = subprocess.run(
        [sys.executable, "-c", _TORCH_PROBE], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return f"cannot be imported: {last}"
    import json

    found = json.loads(done.stdout.splitlines()[-1])
    gpus = ", ".join(found["gpus"]) or "no usable GPU, so training and search run on the CPU"
    return f"{found['version']} (CUDA {found['cuda'] or 'none'}): {gpus}"


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path

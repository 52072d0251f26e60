"""Where the files that ship with LocStudio lie."""

from pathlib import Path

import locstudio


def assets_folder() -> Path:
    """The folder of bundled files: ``assets`` beside the package in a checkout, ``_assets`` inside an installed one."""
    package = Path(locstudio.__file__).resolve().parent
    installed = package / "_assets"
    return installed if installed.is_dir() else package.parent / "assets"


def bundled_checkpoint(model: str = "cloc") -> Path:
    """The checkpoint of this kind of model that is there without any download."""
    return assets_folder() / "checkpoints" / f"{model}-lite"


def bundled_masks() -> Path:
    """The mask head that is there without any download."""
    return assets_folder() / "checkpoints" / "masks-lite"

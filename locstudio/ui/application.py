"""The Qt application: its name, icon and font."""

import sys
from pathlib import Path

from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from locstudio.jobs.assets import assets_folder
from locstudio.ui import theme


def make_application() -> QApplication:
    """The Qt application with its name, icon and font."""
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("locstudio")
    app.setApplicationDisplayName("LocStudio")
    app.setDesktopFileName("locstudio")
    app.setWindowIcon(QIcon(str(assets_folder() / "icons" / "locstudio.svg")))
    theme.use_interface_font(app, Path(theme.__file__).parent / "fonts")
    return app

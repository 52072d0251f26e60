"""Commands that open the window: open and demo."""

import argparse
import os

from locstudio.commands.display import require_display
from locstudio.commands.output import print_json, say


def open(options: argparse.Namespace) -> int:
    """Open the window on a project, on a folder of images, or on the welcome page."""
    require_display()
    from locstudio.app import run

    return run(options.path)


def demo(options: argparse.Namespace) -> int:
    """Open the bundled demo project, or leave a guided tour of it in a folder."""
    from locstudio.services.demo import open_demo

    if options.tour is None:
        require_display()
    project = open_demo(options.at)
    if options.tour is None:
        from locstudio.app import run

        return run(project.path)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from locstudio.app import run_tour

    report = run_tour(project.path, options.tour)
    if options.json:
        print_json(report)
    else:
        from locstudio.ui.tour_report import summary

        for line in summary(report, options.tour):
            say(line)
    return 0

"""What the commands about classes can be told: heatmaps, experts, superclasses, and how models of them are trained."""

import argparse
from pathlib import Path

from locstudio.commands.arguments import box, positive, share

COLORMAPS = ("viridis", "cividis", "magma", "gray")
DISAGREEMENTS = ("any", "restless", "labels", "missing", "regions")
WORKLIST_ORDERS = ("turns", "score")
MIN_SCORE = 0.03
"""As in ``locstudio.services.heat``, which would take time to load here."""
ROUTINGS = ("superclass", "image", "token", "random", "oracle", "dense")
ROUTING_ORDERS = ("margin", "mismatch", "another", "expert")
MAX_ROWS = 1000
"""As in ``locstudio.jobs.vmoe_config`` and ``locstudio.services.routing``, likewise."""


def add_heat_commands(command) -> None:  # type: ignore[no-untyped-def]  # the local factory of the parser
    """heatmap, expected, disagreements."""
    run = "whose heatmaps: its id, or a part of it that no other has (default: the newest)"
    sub = command("heatmap", "heat", "say how hot the classes of an image are, and draw one of them over it")
    sub.add_argument("--image", required=True, help="an image of the project: path in its folder, or id")
    sub.add_argument("--class", dest="class_name", metavar="C", help="only this class, by name or id")
    sub.add_argument("--out", type=Path, metavar="F.png", help="draw it over the image; an existing file is refused")
    sub.add_argument("--epoch", type=positive, metavar="E", help="as it was after this epoch (default: now)")
    sub.add_argument("--threshold", type=share, metavar="T", help="of the boxes (default: half of the peak)")
    sub.add_argument("--colormap", choices=COLORMAPS, default=COLORMAPS[0])
    sub.add_argument("--opacity", type=share, default=0.6, metavar="O", help="of the heat, from 0 to 1 (default: 0.6)")
    sub.add_argument("--run", help=f"{run}; where none has seen the image, the model in use looks now")
    sub.add_argument("--checkpoint", type=Path, metavar="DIR", help="let this multi-label model look now")
    sub = command("expected", "heat", "list classes that are expected and not labelled; add or deny them")
    sub.add_argument("--class", dest="class_name", metavar="C", help="only this class, by name or id")
    sub.add_argument(
        "--min-score", type=share, default=MIN_SCORE, metavar="S", help=f"only what is as sure (default: {MIN_SCORE})"
    )
    turns = "the surest of each class first, then the second of each (turns, the default), or the surest of all (score)"
    sub.add_argument("--order", choices=WORKLIST_ORDERS, default=WORKLIST_ORDERS[0], help=turns)
    sub.add_argument("--limit", type=positive, default=1000, metavar="N", help="at most so many (default: 1000)")
    key = "IMAGE:CLASS as in the list, or all of the list"
    sub.add_argument("--add", nargs="+", metavar="KEY", help=f"say that they are there, in one undo step: {key}")
    sub.add_argument("--deny", nargs="+", metavar="KEY", help="say that they are not there, likewise")
    sub.add_argument("--run", help=run)
    sub = command("disagreements", "heat", "list images whose heat does not agree with labels, boxes or earlier epochs")
    sub.add_argument("--kind", choices=DISAGREEMENTS, default=DISAGREEMENTS[0], help="with what (default: any)")
    sub.add_argument("--class", dest="class_name", metavar="C", help="only this class, by name or id")
    sub.add_argument("--min", type=share, default=0.5, metavar="S", help="only what disagrees so much (default: 0.5)")
    sub.add_argument("--limit", type=positive, default=1000, metavar="N", help="at most so many (default: 1000)")
    sub.add_argument("--run", help=run)


def add_class_options(sub: argparse.ArgumentParser) -> None:
    """What ``train --model consistency`` and ``--model vmoe`` can be told besides."""
    of = "consistency: "
    both = "consistency, vmoe: "
    sub.add_argument("--epochs", type=positive, metavar="N", help=f"{both}as the preset, with this number of epochs")
    sub.add_argument("--loss", choices=["an", "ls", "en", "em", "ll_r"], help=f"{of}what is made of what is not said")
    sub.add_argument("--memory", choices=["none", "scores", "maps"], help=f"{of}what is remembered of each image")
    sub.add_argument("--min-scale", type=share, metavar="S", help=f"{of}the smallest share of an image in a view")
    sub.add_argument("--one-label", action="store_true", help=f"{of}learn from one known class an image")
    of = "vmoe: "
    sub.add_argument("--routing", choices=ROUTINGS, help=f"{of}who chooses the expert (default: superclass)")
    own = "as many as the project has superclasses, else by the number of classes"
    sub.add_argument("--experts", type=positive, metavar="N", help=f"{of}how many (default: {own})")
    sub.add_argument("--layers", type=positive, metavar="N", help=f"{of}how many layers have experts (default: 2)")
    sub.add_argument("--active", type=positive, metavar="N", help=f"{of}experts that compute an image (default: 1)")
    sub.add_argument("--shared-expert", action="store_true", help=f"{of}one more expert, which always computes")
    sub.add_argument("--no-upcycling", action="store_true", help=f"{of}do not begin with the dense twin's weights")


def add_expert_commands(command) -> None:  # type: ignore[no-untyped-def]
    """route, superclasses."""
    text = "say which expert looks at an image, or at every image; list images by expert, mismatch and margin"
    sub = command("route", "routing", text)
    sub.add_argument("--image", help="only this one, asked now: path in its folder, or id")
    sub.add_argument("--box", type=box, metavar="x0,y0,x1,y1", help="only this part of it")
    sub.add_argument("--expert", type=positive, action="append", metavar="N", help="list the images of this expert")
    sub.add_argument("--mismatch", action="store_true", help="list images whose class belongs to another expert")
    sub.add_argument("--max-margin", type=share, metavar="M", help="list images whose margin is smaller")
    sub.add_argument("--order", choices=ROUTING_ORDERS, help="of the list: another: surely another class first")
    sub.add_argument("--limit", type=positive, default=MAX_ROWS, metavar="N", help=f"at most so many ({MAX_ROWS})")
    sub.add_argument("--run", help="what this run has found, instead of asking anew; newest: the newest that has")
    sub.add_argument("--checkpoint", type=Path, metavar="DIR", help="another checkpoint than the project's")
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    sub = command("superclasses", "superclasses", "list, edit, import and export the superclasses of the classes")
    sub.add_argument("action", choices=["list", "edit", "import", "export"])
    sub.add_argument("file", type=Path, nargs="?", help="import, export: a JSON file; an existing one is not replaced")
    sub.add_argument("--run", help="list: what this run has made, instead of the project's own")
    sub.add_argument("--move", nargs="+", metavar="CLASS", help="edit: put classes, by name or id, --to a superclass")
    sub.add_argument("--to", metavar="NAME", help="edit: where they go")
    sub.add_argument("--new", metavar="NAME", help="edit: make a superclass; with --move these classes go into it")
    sub.add_argument("--take-out", nargs="+", metavar="CLASS", help="edit: put classes into no superclass")
    sub.add_argument("--name", nargs=2, metavar=("OLD", "NEW"), help="edit: call a superclass otherwise")
    sub.add_argument("--merge", nargs=2, metavar=("GONE", "KEPT"), help="edit: put all classes of one into another")
    sub.add_argument("--retire", nargs="+", metavar="NAME", help="edit: take superclasses without classes out of use")
    sub.add_argument("--take", metavar="RUN", help="edit: make what a run has found the project's own")

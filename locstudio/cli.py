"""The command line: everything a window does, without one.  Parsing only; the work is in ``locstudio.commands``.

Nothing heavy is imported before it is needed: ``--version`` answers in the time that Python takes to start.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from locstudio import __version__
from locstudio.commands.arguments import box, point, positive, reviews, share
from locstudio.commands.class_words import add_class_options, add_expert_commands, add_heat_commands

EXIT_STATUSES = """\
exit status: 0 done; 2 wrong usage; 3 project locked; 4 bad input; 5 disk or permission; 6 model or schema too new;
7 no display; 70 our bug; 130 interrupted"""


_BOTH_WAYS = ("coco", "voc", "yolo", "labelme", "cvat", "labelstudio", "phrases", "labels-csv")
IMPORT_FORMATS = (*_BOTH_WAYS, "folders")
EXPORT_FORMATS = (*_BOTH_WAYS, "csv", "parquet", "webdataset")
"""As in ``locstudio.interchange.formats``, which would take time to load here."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry {self.prog} --help.\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="locstudio",
        description="Studio for region-level vision data sets and models.  Without a command it opens the window.",
        epilog=EXIT_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"locstudio {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def command(name: str, module: str, text: str, *, project: bool = True, json: bool = True) -> _Parser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(module=module)
        if project:
            sub.add_argument("project", type=Path, help="the project's folder")
        if json:
            sub.add_argument("--json", action="store_true", help="print one JSON document")
        return sub

    _add_project_commands(command)
    _add_search_commands(command)
    _add_run_commands(command)
    _add_curation_commands(command)
    add_heat_commands(command)
    add_expert_commands(command)
    _add_checkpoint_commands(command)
    sub = command("open", "window", "open the window on a project or a folder of images", project=False, json=False)
    sub.add_argument("path", type=Path, nargs="?", help="a project, or a folder of images")
    sub = command("demo", "window", "open the bundled demo project", project=False)
    sub.add_argument("--at", type=Path, help="folder for the demo's own copy of the project")
    sub.add_argument("--tour", type=Path, metavar="OUT", help="no window: leave screenshots and a report in OUT")
    command("doctor", "machine", "say what this machine can do, in words", project=False)
    return parser


def _add_project_commands(command) -> None:  # type: ignore[no-untyped-def]  # the local factory of _parser
    sub = command("new", "project", "make a project from folders of images")
    sub.add_argument("--images", type=Path, nargs="+", required=True, metavar="DIR", help="folders of images")
    command("info", "project", "count what a project holds")
    sub = command("import", "project", "read annotations into a project")
    sub.add_argument("source", type=Path, help="the annotation file or folder")
    about = "folders: the images of each folder have the class it is called; labels-csv: image,class[,presence]"
    sub.add_argument("--format", choices=IMPORT_FORMATS, required=True, help=about)
    sub.add_argument(
        "--images", type=Path, metavar="DIR", help="the folder its file names start from (default: its own)"
    )
    sub.add_argument("--review", choices=["accepted", "pending"], default="accepted", help="review of what comes in")
    sub.add_argument(
        "--rescale", action="store_true", help="scale boxes whose image has another size than the file says"
    )
    sub.add_argument("--create-classes", action="store_true", help="make a class for each id without a name")
    about = "coco: put classes that have no superclass into the one that supercategory names"
    sub.add_argument("--superclasses", action="store_true", help=about)
    sub = command("export", "project", "write annotations into a new file or folder")
    sub.add_argument("destination", type=Path, help="the file or folder to write; an existing one is refused")
    sub.add_argument("--format", choices=EXPORT_FORMATS, required=True)
    sub.add_argument(
        "--reviews",
        type=reviews,
        metavar="R,…",
        help="of accepted, pending, rejected (default: accepted, and pending where the format can say so)",
    )
    sub = command("check", "project", "check the integrity of everything")
    sub.add_argument("--repair", action="store_true", help="rebuild what can be rebuilt")


def _add_search_commands(command) -> None:  # type: ignore[no-untyped-def]
    sub = command("search", "search", "find regions by a box or by words")
    sub.add_argument("--image", help="an image of the project (path in its folder, or id), or any image file")
    sub.add_argument("--box", type=box, metavar="x0,y0,x1,y1", help="in shares of the image; pixels if above 1")
    sub.add_argument("--text", help='words, with "-word" for what must not be there')
    sub.add_argument("--top", type=positive, default=20)
    sub = command("ground", "search", "find the box of a phrase in one image")
    sub.add_argument("--image", required=True)
    sub.add_argument("--text", required=True)


def _add_run_commands(command) -> None:  # type: ignore[no-untyped-def]
    def device(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
        sub.add_argument("--checkpoint", type=Path, metavar="DIR", help="another checkpoint than the project's")

    sub = command("embed", "runs", "embed every region and proposal, for search")
    sub.add_argument("--proposals", type=int, default=24, metavar="N", help="proposals per image")
    device(sub)
    sub = command("train", "runs", "train on what was curated, compare, and take the result if it is no worse")
    what = "regions; classes and their heatmaps; or experts, each for classes that are alike"
    sub.add_argument("--model", choices=["cloc", "consistency", "vmoe"], required=True, help=what)
    sub.add_argument("--preset", choices=["quick", "standard"], default="quick")
    sub.add_argument("--steps", type=positive, metavar="N", help="cloc: as the preset, with this number of steps")
    add_class_options(sub)
    sub.add_argument("--resume", metavar="RUN", help="go on with a run that was stopped or interrupted, exactly")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--title", default="", help="what the run is called in lists")
    sub.add_argument("--processes", type=positive, default=1, metavar="N", help="processes that share a batch")
    sub.add_argument(
        "--adopt",
        choices=["auto", "never", "force"],
        default="auto",
        help="take the new checkpoint into use: if its gate passes (auto), not at all, or in any case",
    )
    sub.add_argument("--prepare", action="store_true", help="only make the run, for torchrun or a cluster to start")
    sub.add_argument("--estimate", action="store_true", help="only time a few steps and say what it would take")
    device(sub)
    sub = command("evaluate", "runs", "measure a checkpoint on the project's own ground truth")
    tasks = ["regions", "retrieval", "grounding", "images", "proposals", "multilabel", "classes", "all"]
    sub.add_argument("--task", choices=tasks, required=True)
    sub.add_argument("--split", default="", help="only images of this split (default: all with ground truth)")
    device(sub)
    sub = command("runs", "runs", "list the project's runs, or say all about one")
    sub.add_argument("run", nargs="?", help="a run's id, or a part of it that no other has")
    sub.add_argument("--events", type=int, default=10, metavar="N", help="the newest messages of the run to show")
    sub = command("stop", "runs", "ask a run to stop; what it has learnt is saved, and it can be gone on with")
    sub.add_argument("run", help="a run's id, or a part of it that no other has")
    sub.add_argument("--after", choices=["step", "epoch"], default="step", help="when it stops (default: step)")
    sub.add_argument("--now", action="store_true", help="end it also if it does not answer")


def _add_curation_commands(command) -> None:  # type: ignore[no-untyped-def]
    _add_proposing_commands(command)
    _add_segment_command(command)
    _add_review_command(command)
    _add_phrases_command(command)


def _add_proposing_commands(command) -> None:  # type: ignore[no-untyped-def]
    sub = command("propose", "proposing", "propose regions: captions to phrases, phrases to boxes (VESL)")
    sub.add_argument("--images", nargs="+", metavar="NAME", help="only these: path in its folder, or id (default: all)")
    sub.add_argument(
        "--captioner",
        choices=["own", "classes", "coca", "blip", "florence-2"],
        default="own",
        help="who describes images without a caption: nobody (own), our plain captioner, or a model of yours",
    )
    sub.add_argument("--captioner-model", default="", metavar="MODEL", help="folder or hub tag of its weights")
    sub.add_argument("--detector", choices=["own", "closer", "owlv2", "grounding-dino"], default="own")
    sub.add_argument("--detector-model", default="", metavar="MODEL", help="folder or hub tag of its weights")
    sub.add_argument("--phrases", default="", metavar="A,B", help="look for these instead of the captions' phrases")
    sub.add_argument("--class-names", action="store_true", help="look for the names of the classes too")
    sub.add_argument("--boxes", type=positive, metavar="N", help="raw proposals an image, at most")
    sub.add_argument("--take-in", action="store_true", help="make pending regions of the surer ones, in one undo step")
    sub.add_argument("--min-score", type=share, metavar="S", help="of those that are taken in (default: the run's own)")
    sub.add_argument("--overlap", type=share, metavar="O", help="at most, of those that are taken in")
    sub.add_argument("--title", default="", help="what the run is called in lists")
    sub.add_argument("--resume", metavar="RUN", help="go on with a run that was stopped or interrupted")
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    sub.add_argument("--checkpoint", type=Path, metavar="DIR", help="another checkpoint than the project's")
    sub = command("captions", "proposing", "list the captions, or take in those beside and inside the images")
    sub.add_argument("--image", metavar="NAME", help="only of this image")
    sub.add_argument(
        "--from",
        dest="source",
        choices=["sidecar", "metadata", "all"],
        help="take in: text and JSON files beside the images, or EXIF, IPTC and XMP inside of them",
    )


def _add_review_command(command) -> None:  # type: ignore[no-untyped-def]
    sub = command("review", "curating", "accept or reject many pseudo-labels at once, in one undo step")
    what = sub.add_mutually_exclusive_group(required=True)
    for action in ("accept", "reject", "pending"):
        what.add_argument(f"--{action}", dest="action", action="store_const", const=action)
    sub.add_argument("--phrase", action="append", metavar="P", help="only this phrase; may be said again")
    sub.add_argument("--class", dest="class_name", action="append", metavar="C", help="only this class, by name or id")
    sub.add_argument("--min-score", type=share, default=0.2, metavar="S", help="only what is as sure (default: 0.2)")
    sub.add_argument("--max-score", type=share, metavar="S", help="only what is not surer")
    sub.add_argument(
        "--max-overlap",
        type=share,
        default=0.6,
        metavar="S",
        help="of two that overlap more, the surer (default: 0.6)",
    )
    sub.add_argument("--origin", action="append", choices=["human", "imported", "model", "edited"])
    sub.add_argument("--rule", action="append", choices=["sliver", "tiny", "nested", "outside", "duplicate"])
    sub.add_argument("--run", help="only what this run has proposed: its id, or a part of it that no other has")
    sub.add_argument("--limit", type=positive, metavar="N", help="only the N surest")
    sub.add_argument("--dry-run", action="store_true", help="only say how many it would be")


def _add_phrases_command(command) -> None:  # type: ignore[no-untyped-def]
    sub = command("phrases", "curating", "list, map and merge phrases; or rank the collection's phrases for a box")
    sub.add_argument("--image", help="with --box: the image to look at")
    sub.add_argument("--box", type=box, metavar="x0,y0,x1,y1")
    sub.add_argument("--top", type=positive, default=8, help="how many for a box")
    sub.add_argument("--map", action="append", metavar="PHRASE=CLASS", help="give a phrase a class (empty: none)")
    sub.add_argument("--merge", action="append", metavar="A,B=C", help="let phrases become one of them")
    sub.add_argument("--similar", action="store_true", help="list phrases that may mean the same")


def _add_segment_command(command) -> None:  # type: ignore[no-untyped-def]
    sub = command("segment", "segmenting", "mask what a box or points mean, or every region that has no mask yet")
    where = sub.add_mutually_exclusive_group(required=True)
    where.add_argument("--image", help="an image of the project: path in its folder, or id")
    where.add_argument("--all", action="store_true", help="give every region without a mask one, in one undo step")
    sub.add_argument("--box", type=box, action="append", metavar="x0,y0,x1,y1", help="only print the mask of this box")
    sub.add_argument("--point", type=point, action="append", metavar="x,y", help="only print the mask at this point")
    sub.add_argument("--not-point", type=point, action="append", metavar="x,y", help="a point outside the thing")
    sub.add_argument("--review", choices=["accepted", "pending"], help="only regions of this review")
    sub.add_argument(
        "--sam", type=Path, metavar="FILE", help="a Segment Anything checkpoint instead of the bundled head"
    )


def _add_checkpoint_commands(command) -> None:  # type: ignore[no-untyped-def]
    called = "a checkpoint by id, name or run, or a part of them; also: active, bundled"
    sub = command("checkpoints", "checkpoints", "list the checkpoints, or say where one comes from")
    sub.add_argument("checkpoint", nargs="?", help=called)
    sub.add_argument("--name", help="call it so")
    sub.add_argument("--note", help="remember this about it")
    sub.add_argument("--delete", action="store_true", help="remove its files; what is known of it stays")
    sub = command("adopt", "checkpoints", "take what a run has made into use, if it is no worse than what is in use")
    sub.add_argument("run", help="a run's id, or a part of it that no other has")
    sub.add_argument("--force", action="store_true", help="also if it is worse")
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N; for the comparison")
    sub = command("activate", "checkpoints", "take a checkpoint into use again, with its index: the way back")
    sub.add_argument("checkpoint", help=called)
    sub.add_argument("--force", action="store_true", help="also one that was never adopted and is worse")
    sub = command("compare", "checkpoints", "what one checkpoint does better and worse than another")
    sub.add_argument("old", help=f"{called}; or a folder")
    sub.add_argument("new", help="the same")
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    sub = command("diff", "checkpoints", "what was edited between two runs or checkpoints, or since one")
    sub.add_argument("old", help="a run, or a checkpoint that was trained here")
    sub.add_argument("new", nargs="?", default="now", help="the same, or now (the default)")
    sub.add_argument("--show", choices=["added", "removed", "moved", "renamed", "reviewed"], help="list such regions")
    sub.add_argument("--top", type=positive, default=20, help="how many of them")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; a sentence goes to stderr when it is not 0."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    if not words or (not words[0].startswith("-") and words[0] not in _names(parser)):
        words.insert(0, "open")
    options = parser.parse_args(words)
    from locstudio.domain.errors import LocStudioError

    try:
        command = importlib.import_module(f"locstudio.commands.{options.module}")
        return int(getattr(command, options.command.replace("import", "import_"))(options))
    except LocStudioError as error:
        print(f"locstudio: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("locstudio: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"locstudio: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        return 5
    except Exception:  # noqa: BLE001 - the application's own boundary: a bug is shown whole and has its own exit status
        import traceback

        traceback.print_exc()
        print("locstudio: this is a bug in LocStudio; the lines above say where.", file=sys.stderr)
        return 70


def _names(parser: _Parser) -> set[str]:
    return {name for action in parser._actions if isinstance(action.choices, dict) for name in action.choices}

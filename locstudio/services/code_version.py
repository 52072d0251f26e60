"""Which LocStudio did something: its version, and in a checkout the commit."""

import re
from functools import cache
from pathlib import Path

import locstudio

_COMMIT = re.compile(r"[0-9a-f]{40}")


@cache
def code_version() -> str:
    """``0.1.0``, or ``0.1.0+g0123456789ab`` where the packages lie in a checkout."""
    commit = commit_of(Path(locstudio.__file__).resolve().parent.parent / ".git")
    return f"{locstudio.__version__}+g{commit[:12]}" if commit else locstudio.__version__


def commit_of(git: Path) -> str:
    """The commit that is checked out, read from git's own files without git; empty where there is none."""
    try:
        if git.is_file():  # a worktree: the file names the folder
            git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref:"):
            return head if _COMMIT.fullmatch(head) else ""
        name = head.removeprefix("ref:").strip()
        shared = git / "commondir"
        common = git / shared.read_text(encoding="utf-8").strip() if shared.is_file() else git
        for folder in (git, common):
            if (folder / name).is_file():
                found = (folder / name).read_text(encoding="utf-8").strip()
                return found if _COMMIT.fullmatch(found) else ""
        for line in (common / "packed-refs").read_text(encoding="utf-8").splitlines():
            commit, _, packed = line.partition(" ")
            if packed == name and _COMMIT.fullmatch(commit):
                return commit
    except (OSError, UnicodeDecodeError):
        pass
    return ""

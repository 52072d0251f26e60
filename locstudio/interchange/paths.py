"""File names out of annotation files.  They are wishes, never paths: only what lies inside a folder is looked at."""

import os
import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def is_relative(file_name: str) -> bool:
    """Whether a name can be looked for inside a folder at all: no absolute path, drive letter, UNC path or address.

    Nor one that no file can have: with a NUL, or with half a character that is no byte of a name either.
    """
    name = file_name.replace("\\", "/")
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return (
        bool(name) and "\0" not in name and not name.startswith("/") and not _SCHEME.match(name) and len(name) <= 4096
    )


def inside(folder: str, file_name: str) -> str | None:
    """The path of ``file_name`` relative to ``folder``, or None when it leads out of it, be it by a link.

    ``folder`` is absolute, with its links resolved.

    Absolute paths, ``..`` that leaves, drive letters, UNC paths and addresses (``file:``, ``http:``) lead out, whatever
    lies there.  Nothing is opened, and nothing is fetched, ever.
    """
    name = file_name.replace("\\", "/")
    if not is_relative(file_name):
        return None
    target = os.path.realpath(os.path.join(folder, name))
    if target == folder or not target.startswith(folder.rstrip(os.sep) + os.sep):
        return None
    relative = os.path.normpath(name)
    # A ".." behind a link means something else to the system than to the eye: then the resolved path is taken.
    if ".." in name.split("/"):
        relative = os.path.relpath(target, folder)
    return relative.replace(os.sep, "/")

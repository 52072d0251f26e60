"""A decision on its way to the dataset."""

from collections.abc import Callable
from dataclasses import dataclass

from locstudio.domain.edits import Edit
from locstudio.domain.errors import UserError
from locstudio.ui.gallery.working_model import Rows


@dataclass(slots=True, eq=False)
class Decision:
    """One decision that is not on disk yet: what is shown as decided, and the edit, once the worker has made it.

    ``on_done`` is called when it is on disk.
    """

    positions: Rows
    on_done: Callable[[], None] | None = None
    edit: Edit | None = None


class NothingToDo(UserError):
    """The dataset holds already what was wished."""

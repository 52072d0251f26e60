"""Errors by whose fault they are, each with the exit status of the command line."""


class LocStudioError(Exception):
    """Root of everything LocStudio raises on purpose.  The message is one sentence a person can act on."""

    exit_status = 70


class UserError(LocStudioError):
    """The person can fix it; shown as it is."""

    exit_status = 2


class DatasetInUse(UserError):
    """Another process holds the project's lock."""

    exit_status = 3


class BadInput(UserError):
    """A file from outside cannot be used."""

    exit_status = 4


class NotAProject(BadInput):
    """The folder or file is not a LocStudio project."""


class StorageFailed(UserError):
    """The disk is full, read-only or broken."""

    exit_status = 5


class TooNew(UserError):
    """A project or checkpoint was written by a newer LocStudio."""

    exit_status = 6


class CheckpointMismatch(UserError):
    """Embeddings, weights or configurations of different checkpoints meet."""

    exit_status = 6


class GateFailed(UserError):
    """A new checkpoint may not take the place of the one in use; the sentence says why."""

    exit_status = 4


class StaleIndex(UserError):
    """The search index is missing, cut off or of another format; it can always be made again from the images."""

    exit_status = 4


class NoDisplay(UserError):
    """A window was asked for and there is no display."""

    exit_status = 7


class EditConflict(LocStudioError):
    """An edit was made against a value that has changed since."""


class JobError(LocStudioError):
    """A background process broke its promise."""


class JobCrashed(JobError):
    """A background process ended without its last message."""


class ProtocolError(JobError):
    """A line of a background process is not a message."""

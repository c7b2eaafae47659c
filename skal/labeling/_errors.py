"""What a caller may want to tell apart from a plain error."""

from __future__ import annotations

__all__ = ["NothingToDoError", "ProjectInUseError"]


class NothingToDoError(ValueError):
    """Raised where all that was asked for is done already, or there is nothing yet to do it to; the message says which.

    The command line answers it with exit status 3.
    """


class ProjectInUseError(RuntimeError):
    """Another process has the project open to write."""

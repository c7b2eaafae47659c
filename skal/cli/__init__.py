"""The command line: parse, call, write. No algorithm. One command a file.

Data go to standard output, messages to standard error. Exit status: 0 fine, 1 failed, 2 wrong usage, 3 nothing to do,
130 interrupted.
"""

from skal.cli._app import app

__all__ = ["app"]

"""``python -m skal``."""

from skal.cli import app

app(prog_name="skal")

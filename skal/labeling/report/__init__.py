"""The report of a project: one HTML file that asks nobody for anything, and has the same bytes for the same project."""

from skal.labeling.report._render import render, write

__all__ = ["render", "write"]

"""The pages say what is there: links lead somewhere, tables list what the package has."""

import re
from pathlib import Path

import pytest

from benchmarks.tables.descriptions import TABLES
from skal import registry
from skal.labeling.formats import FORMATS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.glob("*.md")),
    *sorted(DOCS.glob("benchmarks/*.md")),
]


def headings(page):
    """The anchors of a page, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for title in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in headings(there), f"{page.name} links to {target}: no such heading"


def test_every_page_of_the_guide_is_in_its_list():
    listed = set(re.findall(r"\]\((\w+)\.md\)", (DOCS / "user_guide.md").read_text()))
    beside = {"index", "user_guide", "getting_started", "folder_to_model", "benchmarks"}
    assert listed == {page.stem for page in DOCS.glob("*.md")} - beside


def test_costs_are_those_of_the_registry():
    page = (DOCS / "costs.md").read_text()
    for entry in registry.samplers():
        assert entry.name == "IterativeSampler" or f"| {entry.title} | {entry.cost} |" in page


def test_tables_of_the_paper_are_those_that_can_be_run():
    page = (DOCS / "paper_tables.md").read_text()
    for number, table in TABLES.items():
        assert f"| {number} | {table.caption} |" in page


def test_formats_are_those_of_the_code():
    page = (DOCS / "labelling.md").read_text()
    for form in FORMATS:
        written, read = ("yes" if able else "no" for able in (form.write, form.read))
        assert f"| `{form.name}` | {form.title} | {written} | {read} |" in page

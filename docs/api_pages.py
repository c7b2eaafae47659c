"""Sphinx extension: write a page for each public name of skal, from what the modules say of themselves.

Each room of the package gives a page with a table of its ``__all__`` and one page a name. They are rendered from
``_templates/api`` into ``api/generated`` before Sphinx looks for its sources. ``api/index.md`` includes the tables.
Names in single backticks become links, there and in the pages of the guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from api_names import GUIDE, ROOMS, listed_by, names_of, page_names, public_classes, public_functions, public_name
from docutils import nodes
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sphinx.addnodes import pending_xref
from sphinx.errors import ExtensionError

import skal
from skal import registry

FOLDER = "api/generated"


def check_rooms() -> None:
    missing = sorted({f"skal.{room}" for room in skal._SUBPACKAGES} - set(ROOMS))
    if missing:
        raise ExtensionError(f"docs/api_names.py does not know the room {missing[0]}; add it to ROOMS and GUIDE.")


def rendered(templates: Environment) -> Iterator[tuple[str, str]]:
    """Give the name and the text of every file."""
    samplers = {entry.name: entry for entry in registry.samplers()}
    for room in ROOMS:
        public = names_of(room)
        facts = {"room": room, "names": public, "samplers": samplers, "guide": GUIDE[room]}
        yield f"{room.removeprefix('skal.')}.table", templates.get_template("table.rst").render(facts)
        yield f"{room.removeprefix('skal.')}.rst", templates.get_template("room.rst").render(facts)
        for each in public:
            template = templates.get_template(f"{each.kind}.rst")
            yield f"{each.page}.rst", template.render(each=each, sampler=samplers.get(each.name))


def write_pages(app: Any, config: Any) -> None:
    check_rooms()
    config.html_static_path.append("api_static")
    source = Path(app.srcdir)
    folder = source / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    templates = Environment(
        loader=FileSystemLoader(source / "_templates" / "api"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - reStructuredText
    )
    pages = dict(rendered(templates))
    for stale in {path.name for path in folder.iterdir()} - set(pages):
        (folder / stale).unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def name_role(
    role: str, rawtext: str, text: str, lineno: int, inliner: Any, options: Any = None, content: Any = None
) -> Any:
    """Turn a name in single backticks into a link where it is one of skal's, and into code otherwise."""
    env = inliner.document.settings.env
    shown, target = nodes.literal(rawtext, text, classes=["xref", "py"]), target_of(text, env.ref_context)
    if target is None:
        return [nodes.literal(rawtext, text)], []
    link = pending_xref(
        rawtext, shown, refdomain="py", reftype="obj", reftarget=target, refexplicit=False, refwarn=True
    )
    link["refdoc"] = env.docname
    link.source, link.line = inliner.reporter.get_source_and_line(lineno)
    return [link], []


def link_names(app: Any, doctree: Any) -> None:
    """Turn the names of skal in code of the Markdown pages into links; headings stay as they are."""
    if not str(app.env.doc2path(app.env.docname)).endswith(".md"):
        return
    for literal in list(doctree.findall(nodes.literal)):
        name = literal.astext().split("(")[0]
        target = target_of(name, {}) or public_functions().get(name, "")
        has_page = not page_names().keys().isdisjoint({full_name(target), full_name(target).rpartition(".")[0]})
        if not has_page or isinstance(literal.parent, (nodes.reference, nodes.title, pending_xref)):
            continue
        link = pending_xref("", refdomain="py", reftype="obj", reftarget=target, refexplicit=False, refwarn=True)
        link["refdoc"] = app.env.docname
        literal.replace_self(link)
        link += literal


def target_of(text: str, where: Mapping[str, Any]) -> str | None:
    """Say what a name means in a docstring, of whose class and module `where` tells; None where it is none of ours."""
    if text.startswith("skal."):
        return text
    owner = public_classes().get(where.get("py:class", ""))
    if owner is not None and text in dict(public_name(owner).members):
        return f"{owner}.{text}"
    head, *rest = text.split(".")
    beside = f"{where.get('py:module')}.{text}"
    known = public_classes() | ({text: beside} if beside in page_names() else {})
    return ".".join([known[head], *rest]) if head in known else None


def resolve_elsewhere(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Find what has no page under that name.

    ``skal.KMeansSampler``, as one may import it, is on the page of ``skal.samplers.KMeansSampler``, and what a class
    lists among its parameters or attributes is on the page of the class.
    """
    if node.get("refdomain") != "py":
        return None
    target = full_name(node["reftarget"])
    owner, _, last = target.rpartition(".")
    if target == node["reftarget"] and last in listed_by(owner):
        target = owner
    python = env.get_domain("py")
    return python.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)


def full_name(name: str) -> str:
    head, *rest = name.removeprefix("skal.").split(".")
    return ".".join([page_names().get(f"skal.{head}", f"skal.{head}"), *rest])


def setup(app: Any) -> dict[str, bool]:
    app.connect("config-inited", write_pages)
    app.connect("doctree-read", link_names)
    app.connect("missing-reference", resolve_elsewhere)
    app.add_role("name", name_role)
    app.add_css_file("api.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}

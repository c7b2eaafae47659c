"""CVAT for images 1.1: XML with one tag an image."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from skal._files._atomic import write_atomically
from skal.labeling.formats._names import refuse_collisions
from skal.labeling.formats._reading import malformed, read_xml
from skal.labeling.formats._records import Export, Format, ImportedLabel

__all__ = ["CVAT"]


def write(export: Export, target: Path) -> str:
    """Write tags; the ids are the places in the order of the names, as CVAT numbers frames."""
    from PIL import Image

    refuse_collisions(export.items, "CVAT")
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    labels = SubElement(SubElement(SubElement(root, "meta"), "task"), "labels")
    for name in export.classes:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = _checked(name)
        SubElement(label, "type").text = "tag"
    for number, item in enumerate(sorted(export.items, key=lambda each: each.path)):
        with Image.open(export.images_folder / item.path) as image:
            size = {"width": str(image.width), "height": str(image.height)}
        element = SubElement(root, "image", {"id": str(number), "name": _checked(item.path), **size})
        if item.label is not None:
            SubElement(element, "tag", {"label": _checked(item.label), "source": "manual"})
    indent(root)
    write_atomically(target, tostring(root, encoding="utf-8", xml_declaration=True))
    return (
        "In CVAT, make a task with these images and with the labels of <meta> (of type tag), and upload the file as "
        "'CVAT 1.1'. Come back with an export as 'CVAT for images 1.1'."
    )


def read(path: Path) -> list[ImportedLabel]:
    """Read annotations.xml; an image without tag is unlabelled, for CVAT has no other state."""
    root = read_xml(path)
    if root.tag != "annotations":
        raise ValueError(f"{path} is XML with the root <{root.tag}>; export from CVAT as 'CVAT for images 1.1'.")
    return [_label(element, path) for element in root.iter("image")]


def _label(element: Element, path: Path) -> ImportedLabel:
    name = element.get("name")
    labels = sorted({str(tag.get("label")) for tag in element.iter("tag")})
    where = f"image {element.get('id')} ({name})"
    if len(labels) > 1:
        raise malformed(path, where, f"it has {len(labels)} tags ({', '.join(labels)}); one is meant")
    if not labels:
        return ImportedLabel(where, "unlabelled", path=name)
    return ImportedLabel(where, "labelled", labels[0], path=name)


def _checked(text: str) -> str:
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in text):
        raise ValueError(f"{text!r} holds characters that XML cannot; rename it, or take another format.")
    return text


CVAT = Format("cvat", "CVAT for images 1.1", "annotations.xml", write, read)

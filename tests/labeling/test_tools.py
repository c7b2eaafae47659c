"""What is exported is read by the tools themselves, where they are installed.

They ask for older packages than ours, so that they live in an environment of their own: SKAL_TOOLS_PYTHON names its
interpreter, in which ``pip install label-studio-sdk datumaro`` was run.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from skal.labeling import LabelingProject

PYTHON = os.environ.get("SKAL_TOOLS_PYTHON", sys.executable)

READ_BY_DATUMARO = """
import json, sys
from datumaro.components.dataset import Dataset
dataset = Dataset.import_from(sys.argv[1], sys.argv[2])
names = [label.name for label in list(dataset.categories().values())[0].items]
print(json.dumps({item.id: [names[each.label] for each in item.annotations] for item in dataset}))
"""
CONVERT_BY_LABEL_STUDIO = """
import sys
from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.converter import Format
converter = Converter(sys.argv[1], sys.argv[3], download_resources=False)
for name in ("JSON_MIN", "CSV"):
    converter.convert(sys.argv[2], f"{sys.argv[3]}/{name}", Format[name], is_dir=False)
"""


def run(script, *arguments, needs):
    if subprocess.run([PYTHON, "-c", f"import {needs}"], capture_output=True).returncode:
        pytest.skip(f"{needs} is not installed for {PYTHON}")
    command = [PYTHON, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def labeled(project, label_queue):
    project.select(9, holdout=3)
    label_queue(project, annotator="Ada", seconds=1.5)
    project.select(3)
    return project


@pytest.mark.slow
@pytest.mark.parametrize("format", ["datumaro", "cvat"])
def test_datumaro_reads_it(labeled, tmp_path, format):
    target = tmp_path / "out"
    target.mkdir()
    if format == "cvat":
        shutil.copytree(labeled.images_folder, target / "images")
    labeled.export(target / "annotations.xml" if format == "cvat" else target, format)
    found = json.loads(run(READ_BY_DATUMARO, target, format, needs="datumaro"))
    labels = {labeled.images[row].path.removesuffix(".png"): [label] for row, label in labeled.labels.items()}
    assert len(found) == 15
    assert {path: said for path, said in found.items() if said} == labels


@pytest.mark.slow
def test_label_studio_converts_it_and_the_result_is_read(labeled, tmp_path):
    labeled.export(tmp_path / "tasks.json", "label-studio")
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    for number, task in enumerate(tasks, start=1):  # what its database adds
        task["id"] = number
        task.setdefault("annotations", [])
        for annotation in task["annotations"]:
            times = {"created_at": "2024-05-01T10:00:00Z", "updated_at": "2024-05-01T10:00:00Z"}
            annotation.update(times, id=100 + number, completed_by={"id": 1, "email": "ada@example.org"})
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    arguments = tmp_path / "tasks.config.xml", tmp_path / "export.json", tmp_path
    run(CONVERT_BY_LABEL_STUDIO, *arguments, needs="label_studio_sdk")
    for name, format in (("export.json", "label-studio"), ("JSON_MIN/result.json", "label-studio-min"),
                         ("CSV/result.csv", "label-studio-csv")):  # fmt: skip
        with LabelingProject.create(tmp_path / format, labeled.images_folder) as fresh:
            fresh.import_labels(tmp_path / name, format)
            assert fresh.labels == labeled.labels
            assert {each.seconds for each in fresh.ledger.history} == {1.5}

"""Nothing sends a user to the wrong distribution, or to an extra that is not there."""

import configparser
import re
import subprocess
from pathlib import Path

import pytest

import skal
from skal._install import DISTRIBUTION, hint_for_extra, hint_for_package

ROOT = Path(skal.__file__).parents[1]
IMPORT_NAME = skal.__name__
UNKNOWN = "nothing"


def tracked_texts():
    """Path and text of every tracked text file."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            yield name, content.decode()


def known_extras():
    return set(setup_cfg()["options.extras_require"])


def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def wrong_installs(text, extras):
    """What a text tells to install under the bare name of the import, or with an extra that is not known."""
    for line in text.replace("\\", "").splitlines():
        yield from re.findall(rf"(?<![\w./-]){IMPORT_NAME}\[[\w, -]*\]", line)  # with extras, wherever it stands
        if re.search(r"pip install|\(INSTALL\)", line):
            yield from re.findall(rf"install\b[^`;|&]*?\s[\"']?({IMPORT_NAME})(?=[\"'`\s,]|\.?$|\.\s)", line)
            named = re.findall(rf"(?:{DISTRIBUTION}|\s[\"']?\.)\[([\w, -]+)\]", line)
            yield from {extra.strip() for names in named for extra in names.split(",")} - extras


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"pip install {IMPORT_NAME}", [IMPORT_NAME]),
        (f"run `pip install -U {IMPORT_NAME}` first", [IMPORT_NAME]),
        (f"`pip install {IMPORT_NAME}[cli]`", [f"{IMPORT_NAME}[cli]"]),
        (f"    {IMPORT_NAME}[cli,plot]", [f"{IMPORT_NAME}[cli,plot]"]),
        (rf'match=r"pip install {IMPORT_NAME}\[cli\]"', [f"{IMPORT_NAME}[cli]"]),
        (f'pip install "{DISTRIBUTION}[{UNKNOWN}]"', [UNKNOWN]),
        (f'$(INSTALL) -e ".[cli,{UNKNOWN}]"', [UNKNOWN]),
        (f'pip install "{DISTRIBUTION}[cli]"', []),
        (f"pip install {DISTRIBUTION}", []),
        ('pip install -c constraints.txt ".[plot]"', []),
        (f"pip install torch; then import {IMPORT_NAME}", []),
    ],
)
def test_the_search_finds_what_is_wrong(line, found):
    assert list(wrong_installs(line, {"cli", "plot"})) == found


def test_no_tracked_file_names_another_distribution_or_an_unknown_extra():
    extras = known_extras()
    wrong = {name: found for name, text in tracked_texts() if (found := list(wrong_installs(text, extras)))}
    assert not wrong


def test_the_distribution_is_ours_and_its_extras_refer_to_it():
    config = setup_cfg()
    assert config["metadata"]["name"] == DISTRIBUTION != IMPORT_NAME
    assert config["options.entry_points"]["console_scripts"].split() == [IMPORT_NAME, "=", "skal.cli:app"]
    extras = config["options.extras_require"]
    referred = [name for value in extras.values() for name in re.findall(rf"{DISTRIBUTION}\[(.+)\]", value)]
    assert {extra for names in referred for extra in names.split(",")} <= set(extras)
    assert "faiss-cpu" in extras["faiss-cpu"]
    assert "faiss-gpu" in extras["faiss-gpu"]


def test_hints_are_made_in_one_place():
    hints = [path for path in (ROOT / "skal").rglob("*.py") if "pip install" in path.read_text()]
    assert [path.name for path in hints] == ["_install.py"]
    assert hint_for_extra("plot") == f'pip install "{DISTRIBUTION}[plot]"'
    assert hint_for_package("pandas") == "pip install pandas"


def test_every_hint_names_an_extra_that_is_there():
    texts = [path.read_text() for path in (ROOT / "skal").rglob("*.py") if path.name != "_install.py"]
    named = [extra for text in texts for extra in re.findall(r"hint_for_extra\((.*?)\)", text)]
    assert {extra.strip("\"'") for extra in named} <= known_extras()
    assert len(named) >= 6

"""A pool of texts: what Debian's packages say of themselves, labelled with the section that Debian files them under.

The one-line descriptions are those of the package lists of this machine's Debian (`apt-get update`, then
`apt-cache dumpavail`), so another release gives other rows. One package of each source and description is taken. The
classes are the ten largest sections named for a subject and not for a programming language, a kind of file or a
desktop. The embedding is WordLlama's average of token vectors, whose weights come with its package: 256 features.

    pip install -c constraints.txt wordllama
    python -m benchmarks.debian_packages
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.pools import LabeledPool

SECTIONS = ("net", "science", "admin", "games", "text", "sound", "graphics", "fonts", "web", "math")


def descriptions() -> tuple[list[str], np.ndarray]:
    """Read the texts and the position of each one's section in SECTIONS, shape (n,), from apt's lists."""
    listed = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout.decode()  # noqa: S607
    texts, classes, seen = [], [], set()
    for paragraph in listed.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        text, source = fields.get("Description", ""), fields.get("Source", fields.get("Package", ""))
        if fields.get("Section") in SECTIONS and not {text, source} & seen:
            seen |= {text, source}
            texts.append(text)
            classes.append(SECTIONS.index(fields["Section"]))
    if not texts:
        raise SystemExit("apt-cache dumpavail lists no package of these sections; run apt-get update once.")
    return texts, np.array(classes)


@cache
def debian_packages() -> LabeledPool:
    """Embed the descriptions; there is no test set apart."""
    try:
        import wordllama
    except ImportError as error:
        raise SystemExit(f"{error}: pip install -c constraints.txt wordllama") from error
    texts, y = descriptions()
    # its own folder as the cache: the package looks for its tokenizer elsewhere, and would download another copy
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    X = model.embed(texts).astype(np.float32)
    return LabeledPool("Debian packages, WordLlama", X, y, X[:0], y[:0])


if __name__ == "__main__":
    pool = debian_packages()
    print(f"{pool.X.shape[0]} × {pool.X.shape[1]}; " + ", ".join(map("{} {}".format, SECTIONS, np.bincount(pool.y))))

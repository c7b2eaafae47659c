"""
A folder of images, from the first label to a report
====================================================

A project keeps everything about one folder in one place: embeddings, labels, the model, what was
held out to test it. Four rounds of labels, and after each an accuracy with its interval. Is the
next round worth its money?
"""

# sphinx_gallery_thumbnail_number = 1

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from skal.features import TorchFeatureExtractor
from skal.labeling import LabelingProject
from skal.plotting import PickedImagesDisplay

digits = load_digits()
home = Path(tempfile.mkdtemp())
(home / "photos").mkdir()
for number, image in enumerate(digits.images):
    Image.fromarray(np.uint8(255 - 15 * image)).save(home / f"photos/{number:04d}.png")

# %%
# Begin a project
# ---------------
#
# The images stay as they are. A pretrained backbone would come here; digits are so simple that
# their pixels will do.

project = LabelingProject.create(home / "digits.skal", home / "photos", classes="0123456789")
flatten = torch.nn.Flatten()
extractor = TorchFeatureExtractor(flatten, image_size=8, image_transform=None, num_workers=0)
print(f"{project.embed(extractor)} images embedded")

# %%
# Rounds of labels
# ----------------
#
# A hundred and fifty images are drawn at random in the first round, and never trained on: they are
# what the model is tested with. In ``project.queue`` a person looks at ``image.path``; on a page in
# the browser that is ``skal label``. Here the labels are known.

n_labels, found, truth = [], [], []
for n_more in (10, 10, 20, 40):
    project.select(n_more, holdout=0 if found else 150)
    for image in project.queue:
        project.label(image.row, str(digits.target[int(image.path.stem)]), annotator="Ada")
    project.train()
    n_labels.append(project.status().n_labels_of_model)
    found.append(project.evaluate())
    predicted = project.predict()
    digit_of = [str(digits.target[int(Path(path).stem)]) for path in predicted.paths]
    truth.append(np.mean(np.array(predicted.labels) == digit_of))
    print(f"{n_labels[-1]:3d} labels: {found[-1]}")

# %%
# Is the next round worth its money?
# ----------------------------------
#
# The crosses are what nobody knows who labels: the accuracy on all 1,797 images. The same test
# images serve each round, so that the estimates err together, and a gain between two rounds is
# surer than either. Where the intervals are too wide to decide, label more test images rather than
# more to train on.

low, accuracy, high = 100 * np.transpose([(each.low, each.accuracy, each.high) for each in found])

_, ax = plt.subplots(layout="constrained")
ax.errorbar(
    n_labels,
    accuracy,
    [accuracy - low, high - accuracy],
    fmt="o-",
    color="#0072B2",
    capsize=4,
    label="150 held-out images",
)
ax.plot(n_labels, 100 * np.array(truth), "x", color="#D55E00", markersize=10, label="All images")
ax.set_xscale("log")
ax.set_xticks(n_labels, n_labels)
ax.minorticks_off()
ax.set(xlabel="Labels trained on", ylabel="Accuracy (%)")
ax.grid(alpha=0.3)
ax.legend(loc="lower right")

# %%
# What does it get wrong?
# -----------------------

mistakes = found[-1].mistakes
shown = PickedImagesDisplay.from_indices(
    [home / "photos" / each.path for each in mistakes],
    range(len(mistakes)),
    titles=[f"{each.label}, not {each.predicted}" for each in mistakes],
    n_columns=6,
)

# %%
# All of it on one page
# ---------------------
#
# The report is a single HTML file, with maps, mistakes, who labelled what, and why each image was
# picked.

report = project.report()
print(f"{report.name}: {report.stat().st_size / 1024:.0f} KiB")
project.close()

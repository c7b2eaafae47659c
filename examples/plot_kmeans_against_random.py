"""
What K-means picks, and what chance picks
=========================================

Twenty of the 1,797 handwritten digits inside scikit-learn are to be labelled.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skal.plotting import EmbeddingDisplay
from skal.samplers import KMeansSampler, RandomSampler

X, y = load_digits(return_X_y=True)
_, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
for sampler, ax in zip((RandomSampler(20, random_state=0), KMeansSampler(20, random_state=0)), axes, strict=True):
    EmbeddingDisplay.from_sampler(sampler.fit(X), X, y, ax=ax)

"""Samplers that take a dask array, and what comes of each; what classifiers say of one."""

import dask.array as da
import numpy as np

from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.samplers import (
    CoreSetSampler,
    KMeansSampler,
    LeastConfidenceSampler,
    MarginSampler,
    MaxEntropySampler,
    RandomSampler,
    UniformKMeansSampler,
)

FITS = {
    "random": (RandomSampler(50, random_state=0), {}),
    "core_set": (CoreSetSampler(20), {}),
    "core_set_random": (CoreSetSampler(20, init="random", metric="euclidean", random_state=0), {}),
    "lloyd": (KMeansSampler(12, random_state=0, max_iter=4), {}),
    "lloyd_euclidean": (KMeansSampler(12, metric="euclidean", random_state=0, max_iter=4), {}),
    "restricted": (KMeansSampler(150, random_state=0), {}),
    "restricted_euclidean": (KMeansSampler(150, metric="euclidean", random_state=0), {}),
    "later_round": (KMeansSampler(100, random_state=0), {"labeled_indices": np.arange(0, 15_000, 150)}),
    "uniform_kmeans": (UniformKMeansSampler(40, n_clusters=8, random_state=0), {}),
    "margin": (MarginSampler(20, random_state=0), {"labeled_indices": np.arange(60)}),
    "entropy": (MaxEntropySampler(20, random_state=0), {"labeled_indices": np.arange(60)}),
    "confidence": (
        LeastConfidenceSampler(20, classifier=LinearProbe(), random_state=0),
        {"labeled_indices": np.arange(60)},
    ),
}
METHODS = {
    "probe_predict": (LinearProbe, "predict"),
    "probe_predict_proba": (LinearProbe, "predict_proba"),
    "probe_predict_log_proba": (LinearProbe, "predict_log_proba"),
    "probe_decision_function": (LinearProbe, "decision_function"),
    "knn_predict": (CosineKNNClassifier, "predict"),
    "knn_predict_proba": (CosineKNNClassifier, "predict_proba"),
}


def fitted(name, pool, y):
    sampler, fit_params = FITS[name]
    return sampler.fit(pool, y if "labeled_indices" in fit_params else None, **fit_params)


def outcome(name, pool, y):
    """Picks, inertia and labels."""
    sampler = fitted(name, pool, y)
    labels = np.asarray(getattr(sampler, "labels_", 0))
    return sampler.selected_indices_.copy(), getattr(sampler, "inertia_", None), labels


def in_chunks(X, sizes):
    return da.from_array(X, chunks=(sizes, -1))

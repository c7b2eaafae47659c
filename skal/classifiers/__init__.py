"""Classifiers for a handful of labelled embeddings."""

from skal.classifiers._cosine_knn import CosineKNNClassifier
from skal.classifiers._linear_probe import LinearProbe
from skal.classifiers._multi_view import MultiViewClassifier

__all__ = ["CosineKNNClassifier", "LinearProbe", "MultiViewClassifier"]

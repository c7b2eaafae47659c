"""Classifiers for a handful of labelled embeddings."""

from skal.classifiers._cosine_knn import CosineKNNClassifier
from skal.classifiers._graph import GraphClassifier
from skal.classifiers._linear_probe import LinearProbe
from skal.classifiers._multi_view import MultiViewClassifier
from skal.classifiers._ridge_probe import RidgeProbe

__all__ = ["CosineKNNClassifier", "GraphClassifier", "LinearProbe", "MultiViewClassifier", "RidgeProbe"]

"""Classifiers that learn from images, and the trainings inside them, whose steps can be overridden."""

from skal.vision._fine_tune import FineTuneClassifier
from skal.vision._fix_match import FixMatchClassifier
from skal.vision._fix_match_training import FixMatchTraining
from skal.vision._training import FineTuning, ImageTraining

__all__ = ["FineTuneClassifier", "FineTuning", "FixMatchClassifier", "FixMatchTraining", "ImageTraining"]

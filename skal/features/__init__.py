"""From images to embeddings."""

from skal.features._extractor import TorchFeatureExtractor

__all__ = ["TorchFeatureExtractor"]

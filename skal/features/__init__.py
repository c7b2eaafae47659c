"""From images to embeddings."""

from skal.features._embedded import Embedded
from skal.features._extractor import TorchFeatureExtractor
from skal.features._folder_images import FolderImages
from skal.features._resnet import resnet

__all__ = ["Embedded", "FolderImages", "TorchFeatureExtractor", "resnet"]

"""From images to embeddings."""

from skal.features._embedded import Embedded
from skal.features._extractor import TorchFeatureExtractor
from skal.features._named_images import NamedImages
from skal.features._resnet import resnet
from skal.features._shards import embed_in_shards, open_shards
from skal.features._wide_resnet import wide_resnet

__all__ = [
    "Embedded",
    "NamedImages",
    "TorchFeatureExtractor",
    "embed_in_shards",
    "open_shards",
    "resnet",
    "wide_resnet",
]

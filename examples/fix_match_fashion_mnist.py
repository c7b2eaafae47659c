"""40 labels and 4,000 images without: FixMatch beside the same network on the labels alone.

K-means picks on pixels, so that nothing is needed beside ``pip install "skal-al[vision]"`` and Debian's package
dataset-fashion-mnist. About five minutes on a CPU; `benchmarks/image_classifiers.py` trains longer, and gains more.
"""

import argparse

import numpy as np
import torch
from torch import nn

import skal
from skal.datasets import load_fashion_mnist
from skal.samplers import KMeansSampler
from skal.vision import FixMatchClassifier

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--images", type=int, default=4_000, help="of the pool; half as many are tested on")
parser.add_argument("--steps", type=int, default=1_000)
arguments = parser.parse_args()

pool, test = load_fashion_mnist(split="train"), load_fashion_mnist(split="test")
images, y = pool.images[: arguments.images], pool.y[: arguments.images]
test_images, y_test = test.images[: arguments.images // 2], test.y[: arguments.images // 2]
pixels = images.reshape(len(images), -1).astype(np.float32)

# A network that a CPU trains in minutes; on a GPU take the default, FixMatch's own.
torch.manual_seed(0)
layers: list[nn.Module] = []
for n_in, n_out in ((3, 32), (32, 64), (64, 128)):
    layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.1)]
network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

for title, lambda_u in (("the labels alone", 0.0), ("FixMatch", 1.0)):
    classifier = FixMatchClassifier(
        network, n_steps=arguments.steps, batch_size=16, mu=4, ema_decay=0.99, lambda_u=lambda_u, image_transform=None
    )
    model = skal.LowBudgetClassifier(KMeansSampler(budget=40), classifier, random_state=0)
    model.fit(images, y, embeddings=pixels)  # y is looked up at the 40 picks only
    print(f"{title:<16} {model.score(test_images, y_test):.1%}")

"""Your own images, and the paper's datasets: one record for all of them."""

from skal.datasets._aircraft import load_aircraft
from skal.datasets._cifar import load_cifar10, load_cifar100
from skal.datasets._dtd import load_dtd
from skal.datasets._fashion_mnist import load_fashion_mnist
from skal.datasets._flowers102 import load_flowers102
from skal.datasets._folders import load_flat_folder, load_image_folder
from skal.datasets._imagenet import load_imagenet
from skal.datasets._imagenet_lt import load_imagenet_lt
from skal.datasets._record import ImageCollection
from skal.datasets._registry import DATASETS, load_dataset

__all__ = [
    "DATASETS",
    "ImageCollection",
    "load_aircraft",
    "load_cifar10",
    "load_cifar100",
    "load_dataset",
    "load_dtd",
    "load_fashion_mnist",
    "load_flat_folder",
    "load_flowers102",
    "load_image_folder",
    "load_imagenet",
    "load_imagenet_lt",
]

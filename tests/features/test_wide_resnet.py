"""Wide ResNets: the sizes as published, and each layer in its place."""

import pytest
import torch
from torch import nn

from skal.features import TorchFeatureExtractor, wide_resnet
from skal.features._backbones import known_n_features, load


def test_wide_resnet_28_2_has_as_many_parameters_as_published():
    """1,467,610 with the last layer of 10 classes: 1.5 million, as in Table 1 of Oliver et al. 2018."""
    backbone = load("wide_resnet28_2", None, 0, None)
    n_of_backbone = sum(each.numel() for each in backbone.parameters())
    n_of_last = sum(each.numel() for each in nn.Linear(128, 10).parameters())
    assert (n_of_backbone, n_of_backbone + n_of_last) == (1_466_320, 1_467_610)
    assert sum(isinstance(each, nn.Conv2d) and each.kernel_size == (3, 3) for each in backbone.modules()) == 25
    assert sum(isinstance(each, nn.Conv2d) and each.kernel_size == (1, 1) for each in backbone.modules()) == 3


@pytest.mark.parametrize(("name", "n_features"), [("wide_resnet28_2", 128), ("wide_resnet28_8", 512)])
def test_shapes(name, n_features):
    backbone = load(name, None, 0, None).eval()
    assert backbone.n_features == known_n_features(name) == n_features
    shapes = {}
    for number, group in enumerate(backbone.groups):
        group.register_forward_hook(
            lambda module, inputs, outputs, number=number: shapes.update({number: outputs.shape})
        )
    assert backbone(torch.zeros(2, 3, 32, 32)).shape == (2, n_features)
    width = n_features // 4
    assert shapes == {0: (2, width, 32, 32), 1: (2, 2 * width, 16, 16), 2: (2, 4 * width, 8, 8)}
    assert TorchFeatureExtractor(name, random_state=0).fit().n_features_out_ == n_features


def test_a_block_by_hand():
    torch.manual_seed(0)
    backbone = wide_resnet(10, 2)
    block = backbone.groups[1][0]
    for norm in (block.bn1, block.bn2):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.running_mean)
    x = torch.randn(2, 32, 8, 8)
    block.eval()

    def activated(x, norm):
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        x = (x - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]
        return torch.where(x > 0, x, 0.1 * x)

    first = activated(x, block.bn1)
    inner = nn.functional.conv2d(first, block.conv1.weight, stride=2, padding=1)
    inner = nn.functional.conv2d(activated(inner, block.bn2), block.conv2.weight, padding=1)
    expected = inner + nn.functional.conv2d(first, block.shortcut.weight, stride=2)
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)
    assert wide_resnet(16, 1).groups[0][1].shortcut is None


@pytest.mark.parametrize(("depth", "widening", "message"), [(27, 2, "6·b"), (4, 2, "6·b"), (28, 0, "1 or more")])
def test_what_is_no_wide_resnet(depth, widening, message):
    with pytest.raises(ValueError, match=message):
        wide_resnet(depth, widening)

"""Wide ResNets without their last layer: torch only."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["WIDE_RESNETS", "WideResNet", "n_features_of_wide", "wide_resnet", "wide_resnet_named"]

_NEGATIVE_SLOPE = 0.1  # as in FixMatch; Zagoruyko and Komodakis have none
_STEM_WIDTH = 16
_GROUP_WIDTHS = (16, 32, 64)


class WideBlock(nn.Module):
    """Two 3 × 3 convolutions, each after its batch norm, beside a shortcut."""

    def __init__(self, n_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv1 = nn.Conv2d(n_in, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.relu = nn.LeakyReLU(_NEGATIVE_SLOPE)
        self.shortcut = None if n_in == width else nn.Conv2d(n_in, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu(self.bn1(x))
        # where the shape changes the shortcut, too, sees the activated input
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        out: Tensor = self.conv2(self.relu(self.bn2(self.conv1(activated)))) + shortcut
        return out


class WideResNet(nn.Module):
    """Images (n, 3, h, w) → embeddings (n, `n_features`), what a wide ResNet gives to its last layer."""

    def __init__(self, depth: int, widening: int) -> None:
        super().__init__()
        n_blocks, n_in = (depth - 4) // 6, _STEM_WIDTH
        self.conv1 = nn.Conv2d(3, n_in, 3, padding=1, bias=False)
        groups: list[nn.Module] = []
        for position, group_width in enumerate(_GROUP_WIDTHS):
            width, stride = group_width * widening, 1 if position == 0 else 2
            blocks = [WideBlock(n_in if number == 0 else width, width, stride if number == 0 else 1)
                      for number in range(n_blocks)]  # fmt: skip
            groups.append(nn.Sequential(*blocks))
            n_in = width
        self.groups = nn.Sequential(*groups)
        self.bn = nn.BatchNorm2d(n_in)
        self.relu = nn.LeakyReLU(_NEGATIVE_SLOPE)
        self.n_features = n_in
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=_NEGATIVE_SLOPE, mode="fan_out", nonlinearity="leaky_relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.groups(self.conv1(x))))
        pooled: Tensor = x.mean(dim=(2, 3))
        return pooled


_PLANS = {"wide_resnet28_2": (28, 2), "wide_resnet28_8": (28, 8)}

WIDE_RESNETS = tuple(_PLANS)


def wide_resnet(depth: int = 28, widening: int = 2) -> WideResNet:
    """Make a wide ResNet without its last layer, randomly initialised: the network of FixMatch.

    Parameters
    ----------
    depth : int, default=28
        Layers, 6·b + 4 for b blocks in each of its three groups: 10, 16, 22, 28, …
    widening : int, default=2
        How many times wider than a ResNet of CIFAR the groups are. FixMatch has 2 for CIFAR-10, 8 for CIFAR-100.

    Returns
    -------
    torch.nn.Module
        From images (n, 3, h, w) to embeddings (n, 64 · widening), its `n_features`. ``wide_resnet(28, 2)`` has
        1,466,320 parameters, and with a last layer of 10 classes, which an estimator adds, 1,467,610.

    Raises
    ------
    ValueError
        If there is no such depth, or `widening` is less than 1.

    See Also
    --------
    resnet : For images of the size of ImageNet's.

    References
    ----------
    .. [1] Zagoruyko and Komodakis, "Wide residual networks", BMVC 2016.
    .. [2] Sohn et al., "FixMatch: Simplifying semi-supervised learning with consistency and confidence", NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.features import wide_resnet
    >>> wide_resnet(10, 1)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 64])
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth={depth}: a wide ResNet has 6·b + 4 layers, that is 10, 16, 22, 28, …")
    if widening < 1:
        raise ValueError(f"widening={widening}: it must be 1 or more.")
    return WideResNet(depth, widening)


def wide_resnet_named(name: str) -> WideResNet:
    """Make one of `WIDE_RESNETS`."""
    return wide_resnet(*_PLANS[name])


def n_features_of_wide(name: str) -> int:
    """The length of the embeddings that one of `WIDE_RESNETS` gives."""
    return _GROUP_WIDTHS[-1] * _PLANS[name][1]

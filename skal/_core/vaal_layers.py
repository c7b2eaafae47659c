"""The layers of VAAL's networks, drawn from a generator: linear ones, and convolutions as matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import fold, pad, unfold

__all__ = ["StridedConvolution", "TransposedConvolution", "convolutions", "linear_layers"]

_CHANNELS = (32, 64, 128, 256)  # a quarter of the original's, so that a CPU can train them
_KERNEL, _STRIDE, _PADDING = 4, 2, 1  # each layer halves (or doubles) height and width exactly


def linear_layers(sizes: Sequence[int], generator: torch.Generator, device: torch.device) -> nn.Sequential:
    """Linear layers with ReLU between, torch's own initial distribution but drawn from `generator`."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        linear: nn.Module = nn.utils.skip_init(nn.Linear, n_in, n_out, device=device)
        with torch.no_grad():
            for parameter in linear.parameters():
                parameter.uniform_(-(n_in**-0.5), n_in**-0.5, generator=generator)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def convolutions(
    image_shape: tuple[int, ...], n_latent: int, generator: torch.Generator, device: torch.device
) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder of flattened images: as many halvings as leave at most 2 × 2, but four at most."""
    height, width = image_shape[:2]
    n_channels = image_shape[2] if len(image_shape) == 3 else 1
    n_layers = min(len(_CHANNELS), max(1, (max(height, width) - 1).bit_length() - 1))
    channels = [n_channels, *_CHANNELS[:n_layers]]
    top = (channels[-1], -(-height // 2**n_layers), -(-width // 2**n_layers))
    n_top = top[0] * top[1] * top[2]
    planes = (n_channels, height, width)

    down: list[nn.Module] = [ToPlanes(planes, (top[1] * 2**n_layers, top[2] * 2**n_layers))]
    for n_in, n_out in pairwise(channels):
        down += [StridedConvolution(n_in, n_out, generator, device), nn.ReLU()]
    down += [nn.Flatten(), *linear_layers([n_top, 2 * n_latent], generator, device)]

    up: list[nn.Module] = [*linear_layers([n_latent, n_top], generator, device), nn.Unflatten(1, top)]
    for n_in, n_out in pairwise(channels[::-1]):
        up += [nn.ReLU(), TransposedConvolution(n_in, n_out, generator, device)]
    up.append(ToRows(planes))
    return nn.Sequential(*down), nn.Sequential(*up)


class ToPlanes(nn.Module):
    """Rows (m, h·w·c) to planes (m, c, H, W), H ≥ h and W ≥ w, the rest filled with the middle of the scale."""

    def __init__(self, planes: tuple[int, int, int], padded: tuple[int, int]) -> None:
        super().__init__()
        self.planes, self.padded = planes, padded

    def forward(self, rows: Tensor) -> Tensor:
        n_channels, height, width = self.planes
        planes = rows.reshape(len(rows), height, width, n_channels).permute(0, 3, 1, 2)
        return pad(planes, (0, self.padded[1] - width, 0, self.padded[0] - height))


class ToRows(nn.Module):
    """The way back: planes (m, c, H, W) to rows (m, h·w·c), what was filled in cut off."""

    def __init__(self, planes: tuple[int, int, int]) -> None:
        super().__init__()
        self.planes = planes

    def forward(self, planes: Tensor) -> Tensor:
        _, height, width = self.planes
        return planes[:, :, :height, :width].permute(0, 2, 3, 1).flatten(start_dim=1)


class StridedConvolution(nn.Module):
    """Convolve planes (m, n_in, H, W) to (m, n_out, H/2, W/2) as one matrix product of their patches.

    A matrix product keeps full float32 and gives the same digits again; cuDNN's own convolutions promise
    neither unless the whole process is told to.
    """

    def __init__(self, n_in: int, n_out: int, generator: torch.Generator, device: torch.device) -> None:
        super().__init__()
        self.weight = _he_weight((n_out, n_in * _KERNEL**2), n_in * _KERNEL**2, generator, device)
        self.bias = nn.Parameter(torch.zeros(n_out, 1, device=device))

    def forward(self, planes: Tensor) -> Tensor:
        patches = unfold(planes, _KERNEL, padding=_PADDING, stride=_STRIDE)
        mixed = self.weight @ patches + self.bias
        halved: Tensor = mixed.unflatten(2, (planes.shape[2] // _STRIDE, planes.shape[3] // _STRIDE))
        return halved


class TransposedConvolution(nn.Module):
    """The transpose of `StridedConvolution`: planes (m, n_in, H, W) to (m, n_out, 2·H, 2·W)."""

    def __init__(self, n_in: int, n_out: int, generator: torch.Generator, device: torch.device) -> None:
        super().__init__()
        # each value that comes out is a sum over a quarter of the kernel: the other taps belong to its neighbours
        self.weight = _he_weight((n_out * _KERNEL**2, n_in), n_in * (_KERNEL // _STRIDE) ** 2, generator, device)
        self.bias = nn.Parameter(torch.zeros(n_out, 1, 1, device=device))

    def forward(self, planes: Tensor) -> Tensor:
        size = (planes.shape[2] * _STRIDE, planes.shape[3] * _STRIDE)
        patches = self.weight @ planes.flatten(start_dim=2)
        return fold(patches, size, _KERNEL, padding=_PADDING, stride=_STRIDE) + self.bias


def _he_weight(shape: tuple[int, int], n_summed: int, generator: torch.Generator, device: torch.device) -> nn.Parameter:
    """He's distribution (uniform; the original's is normal): without batch norm the signal's scale rests on it."""
    bound = (6.0 / n_summed) ** 0.5
    return nn.Parameter(torch.empty(shape, device=device).uniform_(-bound, bound, generator=generator))

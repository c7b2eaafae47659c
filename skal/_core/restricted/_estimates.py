"""A byte for each of many numbers of which an estimate is enough: eight steps an octave, over 32 octaves.

What a row costs and loses by its best move decides when it is looked at again, not where it goes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["decode", "encode", "unit_above"]

_BITS_LEFT_OUT = 20  # of float32's 23 of mantissa
_BELOW_THE_FIRST = (127 << 3) - 255  # 1.0 in what is left, less its code


def unit_above(largest: float) -> float:
    """Return a power of two that is at least as large as any number that is to be encoded."""
    return 2.0 ** math.ceil(math.log2(largest)) if largest > 0 else 1.0


def encode(numbers: Tensor, unit: float) -> Tensor:
    """Round numbers from 0 to `unit` by a sixteenth at the most; below ``unit * 2**-31`` they may become 0.

    Negative numbers become 0, those above `unit` become it.

    Returns
    -------
    uint8 Tensor of the same shape
    """
    bits = (numbers.float() / unit).view(torch.int32)
    bits = bits.add_(1 << (_BITS_LEFT_OUT - 1)).bitwise_right_shift_(_BITS_LEFT_OUT)
    return bits.sub_(_BELOW_THE_FIRST).clamp_(0, 255).to(torch.uint8)


def decode(codes: Tensor, unit: float) -> Tensor:
    """Return float32 numbers of the same shape; those that were encoded and decoded before are left as they are."""
    every = torch.arange(256, dtype=torch.int32, device=codes.device).add_(_BELOW_THE_FIRST)
    numbers = every.bitwise_left_shift_(_BITS_LEFT_OUT).view(torch.float32) * unit
    numbers[0] = 0.0
    return numbers.index_select(0, codes.int())

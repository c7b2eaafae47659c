"""Checks for anyone who writes a sampler."""

from skal.testing._check_sampler import check_sampler, sampler_checks

__all__ = ["check_sampler", "sampler_checks"]

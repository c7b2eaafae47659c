"""What a greedy sampler is made of: an objective, and the optimisers that maximise any of them."""

from skal._core.greedy import (
    RBF,
    Candidates,
    FacilityLocation,
    Kernel,
    LazyGreedy,
    Linear,
    Objective,
    RowSimilarity,
    Similarity,
    TopHat,
    plain_greedy,
)

__all__ = [
    "RBF",
    "Candidates",
    "FacilityLocation",
    "Kernel",
    "LazyGreedy",
    "Linear",
    "Objective",
    "RowSimilarity",
    "Similarity",
    "TopHat",
    "plain_greedy",
]

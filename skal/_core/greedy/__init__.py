"""Greedy selection: what is maximised (an `Objective`) and how (`plain_greedy`, `LazyGreedy`) are two things."""

from skal._core.greedy._exact_rows import ExactRows
from skal._core.greedy._facility_location import FacilityLocation
from skal._core.greedy._k_center import KCenter
from skal._core.greedy._lazy import LazyGreedy
from skal._core.greedy._mean import row_nearest_mean
from skal._core.greedy._objective import Candidates, Objective
from skal._core.greedy._plain import plain_greedy
from skal._core.greedy._similarity import RBF, Kernel, Linear, RowSimilarity, Similarity, TopHat

__all__ = [
    "RBF",
    "Candidates",
    "ExactRows",
    "FacilityLocation",
    "KCenter",
    "Kernel",
    "LazyGreedy",
    "Linear",
    "Objective",
    "RowSimilarity",
    "Similarity",
    "TopHat",
    "plain_greedy",
    "row_nearest_mean",
]

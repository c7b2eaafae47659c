"""Samplers: which rows of a pool to label."""

from skal.samplers._badge import BADGESampler
from skal.samplers._bait import BAITSampler
from skal.samplers._consensus_coverage import ConsensusCoverageSampler
from skal.samplers._core_set import CoreSetSampler
from skal.samplers._drop_query import DropQuerySampler
from skal.samplers._graph_coverage import GraphCoverageSampler
from skal.samplers._kmeans import KMeansSampler
from skal.samplers._max_herding import MaxHerdingSampler
from skal.samplers._random import RandomSampler
from skal.samplers._typiclust import TypiClustSampler
from skal.samplers._uherding import UHerdingSampler
from skal.samplers._uncertainty import LeastConfidenceSampler, MarginSampler, MaxEntropySampler
from skal.samplers._uniform import UniformSampler
from skal.samplers._uniform_kmeans import UniformKMeansSampler
from skal.samplers._vaal import VAALSampler

__all__ = [
    "BADGESampler",
    "BAITSampler",
    "ConsensusCoverageSampler",
    "CoreSetSampler",
    "DropQuerySampler",
    "GraphCoverageSampler",
    "KMeansSampler",
    "LeastConfidenceSampler",
    "MarginSampler",
    "MaxEntropySampler",
    "MaxHerdingSampler",
    "RandomSampler",
    "TypiClustSampler",
    "UHerdingSampler",
    "UniformKMeansSampler",
    "UniformSampler",
    "VAALSampler",
]

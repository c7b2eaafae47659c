"""What an import costs, each measured in a fresh interpreter."""

import json
import subprocess
import sys

import pytest

import skal


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_bare_import_loads_nothing_heavy():
    loaded = json.loads(run("import json, sys, skal; print(json.dumps(list(sys.modules)))"))
    assert not set(loaded) & {"torch", "sklearn", "numpy", "scipy", "faiss", "matplotlib"}


STEPS = """
import json, sys, time
start = time.process_time()  # what else runs on the machine does not count
import torch, sklearn.base, sklearn.utils.validation
peers = time.process_time() - start
import skal.samplers
samplers = time.process_time() - start
import skal.classifiers, skal.evaluation, skal.plotting
print(json.dumps([peers, samplers, list(sys.modules)]))
"""


@pytest.mark.slow
def test_samplers_load_only_what_selection_needs_and_cost_little_more_than_torch_and_scikit_learn():
    peers, samplers, loaded = json.loads(run(STEPS))
    assert not set(loaded) & {"matplotlib", "kornia", "faiss", "typer"}
    assert samplers <= 1.3 * peers


def test_names_load_on_first_use():
    assert skal.LowBudgetClassifier.__name__ == "LowBudgetClassifier"
    assert skal.samplers.KMeansSampler.__name__ == "KMeansSampler"
    assert skal.rounds.Ledger.__name__ == "Ledger"
    assert set(dir(skal)) >= {"LowBudgetClassifier", "samplers", "classifiers", "evaluation", "__version__"}
    from skal import CosineKNNClassifier, IterativeSampler, KMeansSampler, TorchFeatureExtractor

    assert KMeansSampler is skal.samplers.KMeansSampler
    assert IterativeSampler is skal.rounds.IterativeSampler
    assert CosineKNNClassifier is skal.classifiers.CosineKNNClassifier
    assert TorchFeatureExtractor is skal.features.TorchFeatureExtractor
    with pytest.raises(AttributeError, match="no attribute 'NoSampler'"):
        skal.NoSampler  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'sampler'"):
        skal.sampler  # noqa: B018

"""What an import costs, each measured in a fresh interpreter."""

import json
import subprocess
import sys

import pytest

import skal


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def seconds(code):
    """Of the processor: what else runs on the machine does not count."""
    timed = f"import time; start = time.process_time()\n{code}\nprint(time.process_time() - start)"
    return min(float(run(timed)) for _ in range(2))


def modules_after(code):
    return set(json.loads(run(f"import json, sys\n{code}\nprint(json.dumps(list(sys.modules)))")))


def test_the_bare_import_loads_nothing_heavy():
    loaded = modules_after("import skal")
    assert not loaded & {"torch", "sklearn", "numpy", "scipy", "faiss", "matplotlib"}


@pytest.mark.slow
def test_samplers_load_only_what_selection_needs():
    loaded = modules_after("import skal.samplers, skal.classifiers, skal.evaluation, skal.plotting")
    assert not loaded & {"matplotlib", "kornia", "faiss", "typer"}


@pytest.mark.slow
def test_samplers_cost_little_more_than_torch_and_scikit_learn():
    peers = seconds("import torch, sklearn.base, sklearn.utils.validation")
    assert seconds("import skal.samplers") <= 1.3 * peers


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

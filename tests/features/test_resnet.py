"""Our ResNets beside torchvision's, by a fixture that make_resnet_fixture.py wrote."""

import copy
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from skal.features._resnet import RESNETS, fold_batch_norm, n_features_of, resnet

NAMES = [name for name in RESNETS if not name.endswith("-cifar")]
RULE = runpy.run_path(str(Path(__file__).with_name("make_resnet_fixture.py")))


@pytest.fixture(scope="module")
def fixture():
    with np.load(RULE["FIXTURE"]) as arrays:
        return dict(arrays)


def shapes_of(model):
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}


def without_values(name):
    """Shapes are all there is of it."""
    with torch.device("meta"):
        return resnet(name).eval()


def seeded(name):
    model = without_values(name).to_empty(device="cpu")
    model.load_state_dict(RULE["seeded_state"](shapes_of(model)))
    return model


def test_the_four_resnets_are_there():
    assert NAMES == ["resnet18", "resnet34", "resnet50", "resnet101"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_names_shapes_and_outputs_are_torchvisions(name, fixture):
    model = seeded(name)
    assert shapes_of(model) == json.loads(str(fixture[f"{name}_shapes"]))
    expected = fixture[f"{name}_outputs"]
    with torch.inference_mode():
        outputs = model(RULE["seeded_input"]()).numpy()
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).mean())
    assert outputs.shape[1] == model.n_features == n_features_of(name)


@pytest.mark.parametrize("name", ["resnet18", "resnet50-cifar"])
@pytest.mark.slow
def test_folding_batch_norm_changes_nothing_but_the_time(name):
    model = seeded(name)
    folded = fold_batch_norm(copy.deepcopy(model))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    with torch.inference_mode():
        expected = model(RULE["seeded_input"]())
        outputs = folded(RULE["seeded_input"]())
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))


def test_a_name_that_is_none_is_refused():
    with pytest.raises(ValueError, match="There is no ResNet 'resnet19'; there are resnet18"):
        resnet("resnet19")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_the_cifar_stem_keeps_small_images_large(name):
    plain, cifar = without_values(name), without_values(f"{name}-cifar")
    assert {key for key, shape in shapes_of(plain).items() if shape != shapes_of(cifar)[key]} == {"conv1.weight"}
    assert cifar.conv1.weight.shape == (64, 3, 3, 3)
    sizes = []
    cifar.layer1.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-2:]))
    with torch.inference_mode():
        assert cifar(torch.zeros(1, 3, 32, 32, device="meta")).shape == (1, n_features_of(name))
    assert sizes == [(32, 32)]


def test_training_reaches_every_parameter():
    model = resnet("resnet18-cifar")
    model(torch.randn(2, 3, 16, 16)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())

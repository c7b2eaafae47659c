"""Checkpoints in every published layout, wrong ones, and ones that mean harm."""

import pickle
import sys
from argparse import Namespace

import pytest
import torch
from safetensors.torch import save_file

from skal.features import _resnet
from skal.features._checkpoints import load_backbone_weights


def resnet(name):
    """A ResNet by its names and their number, of eight channels at the most: files of 45 MB would prove no more."""
    with torch.device("meta"):
        model = _resnet.resnet(name)
    model.to_empty(device="cpu")
    for module in model.modules():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            tensor.data = torch.zeros([min(size, WIDEST) for size in tensor.shape], dtype=tensor.dtype)
    return model


@pytest.fixture(scope="module")
def trained():
    """A backbone whose every tensor differs from a fresh one's."""
    model = resnet("resnet18-cifar")
    generator = torch.Generator().manual_seed(1)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return model.state_dict()


WIDEST = 8  # channels


def prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


def head(prefix, name="fc", n_out=128):
    return {f"{prefix}{name}.weight": torch.zeros(n_out, 512), f"{prefix}{name}.bias": torch.zeros(n_out)}


def assert_loaded(path, trained):
    model = resnet("resnet18-cifar")
    load_backbone_weights(model, path)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, trained[name], rtol=0, atol=0)


LAYOUTS = {
    "bare": lambda state: state,
    "bare with a last layer": lambda state: {**state, **head("")},
    "CompRess, MoCo teacher": lambda state: {
        "model": {**prefixed(state, "module."), **head("module.")},
        "opt": Namespace(lr=0.1, milestones=[1, 2]),
        "epoch": 130,
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
    },
    "CompRess, SwAV teacher": lambda state: {
        "state_dict": {**prefixed(state, "module."), **head("module.", n_out=2048)}
    },
    "CompRess, bare": lambda state: {**prefixed(state, "module."), **head("module.")},
    "MoCo-v2": lambda state: {
        "epoch": 200,
        "arch": "resnet18",
        "state_dict": {
            **prefixed(state, "module.encoder_q."),
            **head("module.encoder_q.", "fc.0", 512),
            **head("module.encoder_q.", "fc.2"),
            **{name: torch.zeros_like(tensor) for name, tensor in prefixed(state, "module.encoder_k.").items()},
            "module.queue": torch.zeros(128, 64),
            "module.queue_ptr": torch.zeros(1, dtype=torch.long),
        },
    },
    "BYOL, online_encoder": lambda state: {
        **prefixed(state, "online_encoder."),
        **prefixed({name: torch.zeros_like(tensor) for name, tensor in state.items()}, "target_encoder."),
        **head("predictor."),
    },
    "BYOL, online_network": lambda state: {
        "model": {
            **prefixed(state, "online_network."),
            **prefixed({name: torch.zeros_like(tensor) for name, tensor in state.items()}, "target_network."),
        }
    },
    "BYOL, backbone": lambda state: {"state_dict": {**prefixed(state, "backbone."), **head("projector.", "0")}},
    "BYOL, solo-learn": lambda state: {
        "state_dict": {
            **prefixed(state, "backbone."),
            **prefixed({name: torch.zeros_like(tensor) for name, tensor in state.items()}, "momentum_backbone."),
            **head("classifier.", n_out=10),
        }
    },
    "BYOL, the online network under two names": lambda state: {
        "state_dict": {
            **prefixed(state, "backbone."),
            **prefixed({name: tensor.clone() for name, tensor in state.items()}, "online_net.0."),
            **prefixed({name: torch.zeros_like(tensor) for name, tensor in state.items()}, "target_net.0."),
        }
    },
    "BYOL, a dict for each network": lambda state: {
        "target_network": {name: torch.zeros_like(tensor) for name, tensor in state.items()},
        "online_network": state,
    },
    "a dict of another name": lambda state: {
        "net": {**state, **head("")},
        "epoch": 3,
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
    },
    "dicts in dicts": lambda state: {"networks": {"student": prefixed(state, "module.")}},
    "BYOL, deeper": lambda state: {"state_dict": {"model": prefixed(state, "module.online_encoder.backbone.")}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("is_zip", [True, False])
def test_every_layout_loads(layout, is_zip, trained, tmp_path):
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(LAYOUTS[layout](trained), path, _use_new_zipfile_serialization=is_zip)
    assert_loaded(path, trained)


@pytest.mark.parametrize("prefix", ["", "module.", "module.encoder_q."])
def test_safetensors_load(prefix, trained, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({**prefixed(trained, prefix), **head(prefix)}, path)
    assert_loaded(path, trained)


def test_old_checkpoints_lack_num_batches_tracked(trained, tmp_path):
    old = {name: tensor for name, tensor in trained.items() if not name.endswith("num_batches_tracked")}
    assert len(old) < len(trained)
    torch.save(old, tmp_path / "old.pth")
    assert_loaded(tmp_path / "old.pth", trained)


def test_half_precision_is_cast(trained, tmp_path):
    half = {name: tensor.half() for name, tensor in trained.items()}  # num_batches_tracked, too
    torch.save(half, tmp_path / "half.pth")
    model = resnet("resnet18-cifar")
    load_backbone_weights(model, tmp_path / "half.pth")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    torch.testing.assert_close(model.conv1.weight, trained["conv1.weight"].half().float(), rtol=0, atol=0)


def test_missing_and_unexpected_keys_are_listed(trained, tmp_path):
    wrong = prefixed(trained, "module.")
    wrong["module.layer3.0.conv9.weight"] = wrong.pop("module.layer3.0.conv2.weight")
    torch.save({"state_dict": wrong}, tmp_path / "wrong.pth")
    model = resnet("resnet18-cifar")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(
        ValueError, match=r"wrong\.pth does not hold this backbone: 99 of its 100 .*'module\.'"
    ) as error:
        load_backbone_weights(model, tmp_path / "wrong.pth")
    assert "Missing: layer3.0.conv2.weight." in str(error.value)
    assert "Unexpected: layer3.0.conv9.weight." in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_is_missing_in_a_dict_of_another_name_is_listed(trained, tmp_path):
    net = dict(trained)
    net["layer3.0.conv9.weight"] = net.pop("layer3.0.conv2.weight")
    torch.save({"net": net, "epoch": 3}, tmp_path / "nested.pth")
    with pytest.raises(ValueError, match=r"99 of its 100 tensors are there under the prefix 'net\.'") as error:
        load_backbone_weights(resnet("resnet18-cifar"), tmp_path / "nested.pth")
    assert "Missing: layer3.0.conv2.weight." in str(error.value)
    assert "Unexpected: layer3.0.conv9.weight." in str(error.value)


def test_a_dict_that_holds_itself_ends(trained, tmp_path):
    checkpoint = {"net": dict(trained)}
    checkpoint["net"]["again"] = checkpoint
    torch.save(checkpoint, tmp_path / "endless.pth")
    assert_loaded(tmp_path / "endless.pth", trained)


def test_a_container_that_holds_itself_ends(trained, tmp_path):
    checkpoint = {"model": {}}
    checkpoint["model"]["state_dict"] = checkpoint
    torch.save(checkpoint, tmp_path / "endless.pth")
    with pytest.raises(ValueError, match="0 of its 100 tensors are there"):
        load_backbone_weights(resnet("resnet18-cifar"), tmp_path / "endless.pth")
    checkpoint |= dict(trained)
    torch.save(checkpoint, tmp_path / "endless.pth")
    assert_loaded(tmp_path / "endless.pth", trained)


ODD = {
    r"sparse \(sparse_coo\)": lambda tensor: tensor.to_sparse(),
    "without values": lambda tensor: tensor.to("meta"),
    "quantized": lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
    "bool instead of float32": lambda tensor: tensor > 0,
    "int8 instead of float32": lambda tensor: tensor.to(torch.int8),
    "int64 instead of float32": lambda tensor: tensor.long(),
    "complex64 instead of float32": lambda tensor: tensor.to(torch.complex64),
}


@pytest.mark.filterwarnings("ignore:.*quantiz.*:DeprecationWarning", "ignore:.*quantiz.*:UserWarning")
@pytest.mark.parametrize("is_doubled", [True, False])
@pytest.mark.parametrize("what", ODD)
def test_what_is_no_plain_weight_is_named(what, is_doubled, trained, tmp_path):
    odd = {**trained, "layer1.0.conv1.weight": ODD[what](trained["layer1.0.conv1.weight"])}
    saved = {**prefixed(odd, "one."), **prefixed(odd, "two.")} if is_doubled else odd
    torch.save(saved, tmp_path / "odd.pth")
    name = "one.layer1" if is_doubled else "layer1"
    with pytest.raises(ValueError, match=rf"plain weights of this backbone: {name}\.0\.conv1\.weight is {what}"):
        load_backbone_weights(resnet("resnet18-cifar"), tmp_path / "odd.pth")


def test_of_many_missing_keys_some_are_named_and_the_rest_counted(tmp_path):
    torch.save({"embedding.weight": torch.zeros(3, 3)}, tmp_path / "text.pth")
    with pytest.raises(ValueError, match="0 of its 100 tensors") as error:
        load_backbone_weights(resnet("resnet18"), tmp_path / "text.pth")
    assert "Missing: bn1.bias, bn1.running_mean" in str(error.value)
    assert "and 90 more" in str(error.value)
    assert "Unexpected: embedding.weight." in str(error.value)


@pytest.mark.parametrize(
    ("saved", "wanted", "named"),
    [
        ("resnet34", "resnet18", r"Unexpected: layer1\.2\.bn1\.bias"),
        ("resnet18", "resnet34", r"Missing: layer1\.2\.bn1\.bias"),
        ("resnet50", "resnet18", r"layer1\.0\.conv1\.weight \(8, 8, 1, 1\) instead of \(8, 8, 3, 3\)"),
        ("resnet18", "resnet18-cifar", r"conv1\.weight \(8, 3, 7, 7\) instead of \(8, 3, 3, 3\)"),
    ],
)
def test_another_resnet_is_refused(saved, wanted, named, tmp_path):
    torch.save({**resnet(saved).state_dict(), **head("")}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=named):
        load_backbone_weights(resnet(wanted), tmp_path / "other.pth")


@pytest.mark.parametrize("changed", ["conv1.weight", "layer4.1.bn2.running_var"])
def test_two_equally_good_networks_are_not_guessed_between(changed, trained, tmp_path):
    teacher = {**trained, changed: trained[changed] + 1}
    torch.save({**prefixed(trained, "student."), **prefixed(teacher, "teacher.")}, tmp_path / "dino.pth")
    with pytest.raises(ValueError, match=r"\['student\.', 'teacher\.'\]"):
        load_backbone_weights(resnet("resnet18-cifar"), tmp_path / "dino.pth")


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("how", ["zip", "legacy", "plain pickle", "inside a Namespace"])
def test_code_in_a_checkpoint_is_refused(how, trained, tmp_path):
    trap, path = tmp_path / "it ran", tmp_path / "evil.pth"
    evil = {"state_dict": trained, "epoch": RunsCode(trap)}
    if how == "inside a Namespace":
        evil["epoch"] = Namespace(value=RunsCode(trap))
    if how == "plain pickle":
        path.write_bytes(pickle.dumps(evil["epoch"], protocol=2))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=how != "legacy")
    with pytest.raises(ValueError, match=r"evil\.pth was refused: .* run any code"):
        load_backbone_weights(resnet("resnet18-cifar"), path)
    assert not trap.exists()


@pytest.mark.parametrize("suffix", [".pth", ".legacy", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(suffix, share, trained, tmp_path):
    whole, part = tmp_path / f"whole{suffix}", tmp_path / f"part{suffix}"
    if suffix == ".safetensors":
        save_file(trained, whole)
    else:
        torch.save(trained, whole, _use_new_zipfile_serialization=suffix == ".pth")
    content = whole.read_bytes()
    part.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"part\{suffix} cannot be read"):
        load_backbone_weights(resnet("resnet18-cifar"), part)


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2)


@pytest.mark.parametrize("suffix", [".pth", ".legacy", ".safetensors"])
@pytest.mark.slow
def test_a_file_that_is_cut_or_damaged_anywhere_loads_or_is_named(suffix, tmp_path, rng):
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"damaged{suffix}"
    state = {f"module.{name}": tensor for name, tensor in Tiny().state_dict().items()}
    if suffix == ".safetensors":
        save_file(state, whole)
    else:
        checkpoint = {"state_dict": state, "epoch": 3, "args": [1, {"a": "b"}]}
        torch.save(checkpoint, whole, _use_new_zipfile_serialization=suffix == ".pth")
    content, n_refused = whole.read_bytes(), 0
    for length in range(0, len(content), max(1, len(content) // 200)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=rf"damaged\{suffix}"):
            load_backbone_weights(Tiny(), path)
    for _ in range(500):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            load_backbone_weights(Tiny(), path)
        except ValueError as error:
            assert f"damaged{suffix}" in str(error)  # noqa: PT017
            n_refused += 1
    assert n_refused > 50


def test_files_that_are_no_checkpoints(tmp_path):
    (tmp_path / "notes.pth").write_text("these are not the weights you are looking for")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"notes\.pth cannot be read"):
        load_backbone_weights(resnet("resnet18"), tmp_path / "notes.pth")
    with pytest.raises(ValueError, match=r"list\.pth holds a list"):
        load_backbone_weights(resnet("resnet18"), tmp_path / "list.pth")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        load_backbone_weights(resnet("resnet18"), tmp_path / "nowhere.pth")


@pytest.mark.parametrize("content", [b"<!DOCTYPE html>", b'{"epoch": 3}', b"\x89PNG\r\n\x1a\n", b"\x93NUMPY\x01\x00"])
def test_what_is_no_pickle_is_not_taken_for_code(content, tmp_path):
    path = tmp_path / "download.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"download\.pth cannot be read .* of another kind: Unsupported") as error:
        load_backbone_weights(resnet("resnet18"), path)
    assert "run any code" not in str(error.value)
    assert "weights_only" not in str(error.value)


def test_safetensors_missing_names_the_extra(monkeypatch, trained, tmp_path):
    save_file(trained, tmp_path / "model.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r'pip install "skal-al\[vision\]"'):
        load_backbone_weights(resnet("resnet18-cifar"), tmp_path / "model.safetensors")

"""Write resnet_fixture.npz: names, shapes and outputs of torchvision's own ResNets, from seeded weights.

The weights follow from names and shapes alone, so that none are stored; the test repeats the rule.

Run by hand, where torchvision is installed without its dependencies beside any build of torch:

    pip install --no-deps torchvision
    python tests/features/make_resnet_fixture.py

torchvision's compiled operators do not load beside another build of torch; the ResNets use none of them, so that
declaring their names is enough for ``torchvision.models.resnet`` to be imported, which is torchvision's real code.
"""

import importlib.util
import json
import re
import zlib
from pathlib import Path

import numpy as np
import torch

FIXTURE = Path(__file__).with_name("resnet_fixture.npz")
INPUT_SHAPE = (2, 3, 64, 96)


def _generator(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def seeded_input():
    return torch.from_numpy(_generator("input").normal(size=INPUT_SHAPE).astype(np.float32))


def seeded_tensor(name, shape):
    rng = _generator(name)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        values = rng.uniform(0.5, 1.5, size=shape)
    elif len(shape) == 4:
        values = rng.normal(size=shape) * np.sqrt(2 / (shape[0] * shape[2] * shape[3]))
    else:
        values = 0.1 * rng.normal(size=shape)
    return torch.from_numpy(values.astype(np.float32))


def seeded_state(shapes):
    """A state dict for ``{name: shape}``."""
    return {name: seeded_tensor(name, tuple(shape)) for name, shape in shapes.items()}


def declare_operators():
    package = Path(importlib.util.find_spec("torchvision").submodule_search_locations[0])
    names = re.findall(r'register_meta\("(\w+)"\)', (package / "_meta_registrations.py").read_text())
    for name in {*names, "nms", "qnms"}:
        torch.library.define(f"torchvision::{name}", "(Tensor x) -> Tensor")


def main():
    declare_operators()
    import torchvision
    from torchvision.models import resnet

    arrays = {"versions": json.dumps({"torch": torch.__version__, "torchvision": torchvision.__version__})}
    for name in ("resnet18", "resnet34", "resnet50", "resnet101"):
        model = getattr(resnet, name)()
        model.fc = torch.nn.Identity()
        shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
        model.load_state_dict(seeded_state(shapes))
        with torch.inference_mode():
            arrays[f"{name}_outputs"] = model.eval()(seeded_input()).numpy()
        arrays[f"{name}_shapes"] = json.dumps(shapes)
    np.savez_compressed(FIXTURE, **arrays)


if __name__ == "__main__":
    main()

"""A backbone that still ends in the layer of a classifier warns."""

import pytest
from torch import nn

from skal.features import TorchFeatureExtractor


class Network(nn.Module):
    def __init__(self, name, layer, after=None):
        super().__init__()
        self.features = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 8))
        self.add_module(name, layer)
        self.name, self.after = name, after or nn.Identity()

    def forward(self, x):
        return self.after(getattr(self, self.name)(self.features(x)))


LOGITS = {
    "fc": Network("fc", nn.Linear(8, 1000)),
    "few classes": Network("classifier", nn.Linear(8, 10)),
    "in a sequence": Network("classifier", nn.Sequential(nn.ReLU(), nn.Linear(8, 10), nn.Dropout(0.2))),
    "by the number alone": nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 1000)),
    "a view": Network("_fc", nn.Linear(8, 1000), nn.Sequential(nn.Unflatten(1, (1000, 1)), nn.Flatten())),
    "heads": Network("heads", nn.Sequential(nn.Linear(8, 5))),
}

FEATURES = {
    "the layer is gone": Network("fc", nn.Identity()),
    "a projection": Network("projection", nn.Linear(8, 16)),
    "something comes after it": Network("head", nn.Linear(8, 16), nn.ReLU()),
    "no layer": nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()),
}


@pytest.mark.parametrize("name", LOGITS)
def test_scores_of_classes_warn_once(name, arrays):
    with pytest.warns(UserWarning, match=r"ends in '.*', Linear\(in_features=.* put torch\.nn\.Identity\(\)") as warned:
        TorchFeatureExtractor(LOGITS[name], batch_size=4).transform(arrays)
    assert [warning.filename for warning in warned] == [__file__]
    assert not LOGITS[name]._forward_hooks


@pytest.mark.parametrize("name", FEATURES)
def test_features_do_not_warn(name, arrays):
    TorchFeatureExtractor(FEATURES[name], batch_size=4).transform(arrays)

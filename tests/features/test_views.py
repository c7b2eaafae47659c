"""Two views of each image: as it is, and mirrored."""

import numpy as np
import pytest

from skal.features import TorchFeatureExtractor


@pytest.mark.parametrize("normalize", [True, False])
def test_each_row_holds_the_image_and_then_its_mirror_image(normalize, arrays, backbone):
    one = TorchFeatureExtractor(backbone, normalize=normalize)
    plain, mirrored = one.transform(arrays), one.transform(arrays[:, :, ::-1])
    assert not np.allclose(plain, mirrored)
    both = TorchFeatureExtractor(backbone, normalize=normalize, views=2).fit(arrays)
    np.testing.assert_allclose(both.transform(arrays), np.hstack([plain, mirrored]), rtol=1e-5, atol=1e-6)
    assert both.n_features_out_ == len(both.get_feature_names_out()) == 2 * plain.shape[1]


def test_in_a_file_that_other_views_are_refused_for(arrays, files, backbone, tmp_path):
    both = TorchFeatureExtractor(backbone, image_transform=None, views=2, dtype="float16")
    in_memory = both.transform(files)
    np.testing.assert_array_equal(both.embed(files, tmp_path / "pool.npy").embeddings, in_memory)
    with pytest.raises(ValueError, match="views"):
        both.set_params(views=1).embed(files, tmp_path / "pool.npy")


def test_named_backbones_and_wrong_numbers():
    both = TorchFeatureExtractor("resnet18-cifar", views=2, random_state=0)
    assert both.fit().n_features_out_ == 1024
    assert len(both.get_feature_names_out()) == 1024
    with pytest.raises(ValueError, match="'views' parameter"):
        both.set_params(views=3).fit()

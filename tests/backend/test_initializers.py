import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_dnnts.backend.initializers import InitialWeights
from keras_dnnts.studies.cifar.models import build_alexnet, build_resnet50

pytestmark = pytest.mark.every_engine

KINDS = ("torch_default", "kaiming_normal")


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_is_one_set_of_weights(kind):
    draw, draw_again = InitialWeights(5), InitialWeights(5)
    first, second = getattr(draw, kind)(12), getattr(draw, kind)(12)
    copy = type(first).from_config(first.get_config())
    weights = to_numpy(first((3, 4)))
    np.testing.assert_array_equal(to_numpy(getattr(draw_again, kind)(12)((3, 4))), weights)
    np.testing.assert_array_equal(to_numpy(copy((3, 4))), weights)
    for other in (second, getattr(InitialWeights(6), kind)(12)):
        assert not np.any(to_numpy(other((3, 4))) == weights)


def test_distributions():
    uniform, normal = (to_numpy(getattr(InitialWeights(6), kind)(50)((100, 1000))) for kind in KINDS)
    bound, deviation = 1 / np.sqrt(50), np.sqrt(2 / 50)
    assert -bound <= uniform.min() < -0.999 * bound and 0.999 * bound < uniform.max() <= bound
    assert normal.std() == pytest.approx(deviation, rel=0.01) and abs(normal.mean()) < 0.01 * deviation
    assert np.mean(np.abs(normal) < deviation) == pytest.approx(0.683, abs=0.01)


@pytest.mark.parametrize(("build", "size"), [(build_alexnet, 63), (build_resnet50, 33)])
def test_a_network_has_the_weights_of_its_seed(build, size):
    first, again, other = (build(size, 3, 0.02, seed).get_weights() for seed in (4, 4, 5))
    kernels = [i for i, array in enumerate(first) if array.std() > 0]
    assert len(kernels) >= 8
    for i in kernels:
        np.testing.assert_array_equal(again[i], first[i])
        assert not np.any(other[i] == first[i])

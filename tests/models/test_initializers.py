import random

import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_dnnts.models.initializers import kaiming_normal, torch_default

pytestmark = pytest.mark.every_engine


@pytest.mark.parametrize("build", [torch_default, kaiming_normal])
def test_one_seed_is_one_set_of_weights(build):
    random.seed(5)
    first, second = build(12), build(12)
    random.seed(5)
    again = build(12)
    copy = type(first).from_config(first.get_config())
    weights = to_numpy(first((3, 4)))
    np.testing.assert_array_equal(to_numpy(again((3, 4))), weights)
    np.testing.assert_array_equal(to_numpy(copy((3, 4))), weights)
    assert not np.any(to_numpy(second((3, 4))) == weights)


def test_distributions():
    random.seed(6)
    uniform, normal = (to_numpy(build(50)((100, 1000))) for build in (torch_default, kaiming_normal))
    bound, deviation = 1 / np.sqrt(50), np.sqrt(2 / 50)
    assert -bound <= uniform.min() < -0.999 * bound and 0.999 * bound < uniform.max() <= bound
    assert normal.std() == pytest.approx(deviation, rel=0.01) and abs(normal.mean()) < 0.01 * deviation
    assert np.mean(np.abs(normal) < deviation) == pytest.approx(0.683, abs=0.01)

"""One training on several devices is the one on a single device, up to rounding."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

pytestmark = [pytest.mark.every_engine, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
ENGINE = keras.backend.backend()
NETWORKS = ("small", "alexnet", "resnet50") if ENGINE == "torch" else ("small",)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What ``tests/steps_on_devices.py`` saved, by process."""
    file = tmp_path_factory.mktemp("devices") / "found"
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2") if ENGINE == "torch" else ()
    subprocess.run(
        [sys.executable, *launcher, "-m", "tests.steps_on_devices", ENGINE, file],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=500,
    )
    return [dict(np.load(path)) for path in sorted(file.parent.glob("found-*.npz"))]


def pairs(found, training, prefix):
    """Values of one device and of several."""
    names = [name for name in found[0] if name.startswith(f"one/{training}/{prefix}")]
    assert names
    return [(found[0][name], found[0]["several" + name.removeprefix("one")]) for name in names]


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_of_the_first_step(found, network):
    for one, several in pairs(found, network, "gradient"):
        assert np.abs(one).max() > 0
        assert relative_error(several, one) < 1e-5


@pytest.mark.parametrize("network", NETWORKS if ENGINE == "tensorflow" else [*NETWORKS, "one_left"])
def test_losses_of_twenty_steps_with_an_uneven_last_batch(found, network):
    for name in ("loss", "val_loss"):
        ((one, several),) = pairs(found, network, name)
        np.testing.assert_allclose(several, one, rtol=1e-4)
    ((one, several),) = pairs(found, network, "accuracy")
    np.testing.assert_allclose(several, one, rtol=1e-6)
    assert np.ptp(pairs(found, network, "loss")[0][0]) > 1e-3


@pytest.mark.skipif(ENGINE == "tensorflow", reason="takes seconds to trace; a whole run is with Adam")
@pytest.mark.parametrize(("optimizer", "tolerance"), [("adam", 1e-2), ("muon", 1e-3)])
def test_other_optimizers(found, optimizer, tolerance):
    ((one, several),) = pairs(found, optimizer, "loss")
    np.testing.assert_allclose(several, one, rtol=tolerance)


@pytest.mark.parametrize("network", NETWORKS)
def test_predictions_and_statistics(found, network):
    ((one, several),) = pairs(found, network, "predictions")
    assert relative_error(several, one) < 1e-3
    for one, several in pairs(found, network, "variable"):
        np.testing.assert_allclose(several, one, rtol=1e-3, atol=1e-4)


def test_processes_have_the_same_numbers(found):
    assert len(found) == (2 if ENGINE == "torch" else 1)
    for name, value in found[-1].items():
        np.testing.assert_array_equal(found[0][name], value, err_msg=name)


@pytest.mark.skipif(ENGINE == "jax", reason="JAX computes as if on one device")
def test_statistics_per_device_are_others(found):
    apart = found[0]["apart/loss"]
    one = found[0]["one/small/loss"][: len(apart)]
    assert np.isfinite(apart).all()
    assert np.isfinite(found[0]["apart/val_loss"]).all()
    assert np.abs(apart / one - 1).max() > 1e-3


@pytest.mark.skipif(ENGINE == "jax", reason="JAX computes as if on one device")
def test_moving_statistics_per_device_are_the_mean_of_all_parts(found):
    mean, variance = np.zeros(3), np.ones(3)
    first, last = (np.asarray(found[0][f"apart/batch_{i}"], np.float64) for i in (0, 1))
    for parts in ([first[:2], first[2:]], [last]):  # the second batch leaves a device without any image
        images = sum(len(part) for part in parts)
        for moving, statistic in ((mean, np.mean), (variance, partial(np.var, ddof=1))):
            of_parts = [len(part) / images * statistic(part.reshape(-1, 3), axis=0) for part in parts]
            moving[:] = 0.7 * moving + 0.3 * sum(of_parts)
    assert variance.min() > 2
    np.testing.assert_allclose(found[0]["apart/mean"], mean, rtol=1e-4)
    np.testing.assert_allclose(found[0]["apart/variance"], variance, rtol=1e-4)


@pytest.mark.skipif(ENGINE == "torch", reason="whole runs of several processes are tested elsewhere")
@pytest.mark.parametrize("how", ["several", "resumed"])
def test_a_run(found, how):
    for name in ("test_accuracy", "test_loss", "train_loss"):
        np.testing.assert_allclose(found[0][f"{how}/run_{name}"], found[0][f"one/run_{name}"], rtol=1e-4)


@pytest.mark.skipif(ENGINE == "torch", reason="a process has one device")
def test_devices_are_given_back_after_a_run(found):
    devices = {name: str(found[0][f"{name}/run_device"]) for name in ("one", "several", "resumed", "names")}
    assert devices == {"one": "cpu", "several": "2 × cpu", "resumed": "cpu", "names": "cpu"}


def test_more_devices_than_there_are(found):
    assert "devices 3" in str(found[0]["refusal"])

"""What holds on CPUs alone: bits, kernels made for them, and how near recurrent layers are to NumPy's."""

import pytest

from keras_dnnts import backend

ON_CPU = backend.runs_on_cpu()
on_cpu = pytest.mark.skipif(not ON_CPU, reason="about CPUs")
# cuDNN's recurrent layers were up to 4e-5 away on an H100, in log-probabilities, where CPUs are within 1e-5.
FARTHER = 1 if ON_CPU else 10

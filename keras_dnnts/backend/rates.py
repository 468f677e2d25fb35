"""Learning rates of updates to come."""

from typing import Any

import keras
from keras import ops


def next_rates(optimizer: keras.optimizers.Optimizer, count: int) -> Any:
    """The learning rate of each of an optimizer's next ``count`` updates.

    It depends on the number of the update alone: chunks of other sizes change it by no more than the engine's rounding.

    Returns:
        (count,) float32 tensor.
    """
    schedule = optimizer._learning_rate  # the public property calls it with the number of the next update alone
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return ops.broadcast_to(ops.cast(optimizer.learning_rate, "float32"), (count,))
    first = ops.cast(optimizer.iterations, "int32")
    return ops.cast(schedule(first + ops.arange(count, dtype="int32")), "float32")

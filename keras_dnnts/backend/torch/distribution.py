"""One training by several processes, each on a device of its own, which ``torchrun`` or the like has started.

Everything that knows of the other processes stands here, so that ``keras.distribution`` can take its place once Keras
has it for torch. Each process computes a part of every batch; gradients are summed over all before the optimizer sees
them, and what a step or a prediction returns is of the whole batch, so that all processes go the same way.
"""

import atexit
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import torch
import torch.distributed as dist
from keras.src.backend.torch.core import get_device
from torch.nn import functional as F

from keras_dnnts.backend.layers import BatchNormalization
from keras_dnnts.backend.torch.graph import Resolved, of_same_layers, resolved
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.ranks import find_ranks

SENT_ALONE = 2**18  # numbers from which a tensor is not copied together with others

_per_device_statistics = False


@contextmanager
def using_devices(wanted: int | str | None, per_device_statistics: bool, batch_size: int) -> Iterator[None]:
    """Join the processes that were started beside this one, if any, once, and for as long as this one lives.

    Args:
        wanted: how many devices there are to be, ``"all"``, or None for as many as there are processes.
        per_device_statistics: whether batch normalisation takes each device's own statistics.
        batch_size: of all devices together; any can be shared out.

    Raises:
        UserError: there are others.
    """
    global _per_device_statistics
    started = find_ranks().count
    if wanted not in (None, "all", started):
        name = f"{option_name('devices')} {wanted}"
        how = f"torchrun --nproc-per-node {wanted} -m keras_dnnts …"
        raise UserError(f"{name}: torch needs as many processes, and there are {started}: start {how}")
    if started > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if str(get_device()).startswith("cuda") else "gloo")
        atexit.register(dist.destroy_process_group)
    before, _per_device_statistics = _per_device_statistics, per_device_statistics
    try:
        yield
    finally:
        _per_device_statistics = before


def count_devices() -> int:
    """The number of devices that compute together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(value: Any) -> Any:
    """The first process's value, which can be pickled, in all of them."""
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def on_all_devices() -> AbstractContextManager[Any]:
    """In which models are built and compiled."""
    return nullcontext()


@dataclass(frozen=True)
class Part:
    """Which examples of a batch are this process's.

    A batch of fewer examples than processes leaves some without any: these compute its first example, for the sake of
    its shape, and it counts for nothing.
    """

    total: int
    start: int
    stop: int

    @classmethod
    def of(cls, total: int) -> "Part":
        """This process's part of ``total`` examples."""
        rank, processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        return cls(total, rank * total // processes, (rank + 1) * total // processes)

    @property
    def count(self) -> int:
        """Number of examples that count."""
        return self.stop - self.start

    @property
    def computed(self) -> slice:
        """Those that the process computes."""
        return slice(self.start, self.stop) if self.count else slice(0, 1)

    def gather(self, outputs: torch.Tensor) -> torch.Tensor:
        """Room (total, …) for the outputs of all processes, with this one's in it and zeros elsewhere."""
        whole = outputs.new_zeros((self.total, *outputs.shape[1:]))
        whole[self.start : self.stop] = outputs[: self.count].detach()
        return whole


def part_of(total: int) -> slice:
    """Of a batch of ``total`` examples, those that this process computes."""
    return Part.of(total).computed


_at_hand: Part | None = None  # of the step that is being computed


@contextmanager
def _computing(part: Part) -> Iterator[None]:
    global _at_hand
    _at_hand = part
    try:
        yield
    finally:
        _at_hand = None


def distribute(model: keras.Model) -> keras.Model:
    """A model of the same layers that trains and predicts on all devices; where there is one, with less around layers.

    On several, its data are the images of this process's part of a batch, and the labels of the whole batch.
    """
    if count_devices() == 1:
        return resolved(model)
    for variable in model.variables:
        dist.broadcast(_flat(variable.value.data), src=0)
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.Dropout:
            # The layer's own draws would be the same ones for every part.
            layer.call = partial(_drop, layer, layer.call)
    return of_same_layers(Distributed, model)


class Distributed(Resolved):
    """See :func:`distribute`."""

    def _symbolic_build(self, *_: Any, **__: Any) -> None:
        """Do nothing: the first step builds losses and metrics, and Keras would expect as many images as labels."""

    def train_step(self, data: Any) -> dict[str, Any]:
        """A step by the gradient of the mean loss of the whole batch."""
        images, labels = data
        part = Part.of(len(labels))
        with _computing(part):
            outputs = self(images, training=True)
        own = labels[part.computed]
        loss = self._compute_loss(x=images, y=own, y_pred=outputs, training=True) * (part.count / part.total)
        self.zero_grad()
        self.optimizer.scale_loss(loss).backward()
        weights = self.trainable_weights
        gradients = [in_order_of(weight.value, weight.value.grad) for weight in weights]
        loss, whole = loss.detach(), part.gather(outputs)
        drifting = self._drifting_values()
        if drifting:
            torch._foreach_mul_(drifting, part.count / part.total)
        sum_over_processes([*gradients, *drifting, whole, loss])
        with torch.no_grad():
            self.optimizer.apply(gradients, weights)
        self._loss_tracker.update_state(loss, sample_weight=part.total)
        return self.compute_metrics(images, labels, whole)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Metrics of the whole batch."""
        images, labels = data
        whole = self.predict_step(data)
        loss = self._compute_loss(x=images, y=labels, y_pred=whole, training=False)
        self._loss_tracker.update_state(loss, sample_weight=len(labels))
        return self.compute_metrics(images, labels, whole)

    def predict_step(self, data: Any) -> torch.Tensor:
        """Outputs for the whole batch."""
        images, labels = data
        whole = Part.of(len(labels)).gather(self(images, training=False))
        sum_over_processes([whole])
        return whole

    def _drifting_values(self) -> list[torch.Tensor]:
        """What layers keep beside weights, from a process's own part, such as statistics: all go on with the mean."""
        kept = [
            variable.value.data
            for layer in self._flatten_layers(include_self=False)
            if layer.trainable and not (isinstance(layer, BatchNormalization) and not _per_device_statistics)
            for variable in layer._non_trainable_variables
        ]
        return [value for value in kept if value.is_floating_point()]


def sum_over_processes(tensors: Sequence[torch.Tensor]) -> None:
    """Sum tensors of one dtype in place; each must be dense, and in the same memory order in all processes."""
    flat = [_flat(tensor) for tensor in tensors]
    alone, few = [one for one in flat if len(one) >= SENT_ALONE], [one for one in flat if len(one) < SENT_ALONE]
    together = torch.cat(few) if few else None
    works = [dist.all_reduce(one, async_op=True) for one in (*alone, together) if one is not None]
    for work in works:
        work.wait()
    if together is not None:
        torch._foreach_copy_(few, together.split([len(one) for one in few]))


def in_order_of(weight: torch.Tensor, gradient: torch.Tensor | None) -> torch.Tensor:
    """A gradient in the memory order of its weight; zeros where there is none."""
    if gradient is None:
        return torch.zeros_like(weight)
    if gradient.stride() == weight.stride():
        return gradient
    return torch.empty_like(weight).copy_(gradient)


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_strided((tensor.numel(),), (1,))


def _drop(
    layer: keras.layers.Dropout, alone: Callable[..., torch.Tensor], inputs: torch.Tensor, training: bool = False
) -> torch.Tensor:
    """Dropout of a part, as one device would drop from the whole batch; outside a training step, the layer's own."""
    if _at_hand is None or not training or layer.rate == 0:
        return alone(inputs, training=training)
    ones = inputs.new_ones((_at_hand.total, *inputs.shape[1:]))
    kept = keras.random.dropout(ones, layer.rate, noise_shape=layer.noise_shape, seed=layer.seed_generator)
    return inputs * kept[_at_hand.computed]


def synchronises_statistics() -> bool:
    """Whether batch normalisation takes the statistics of the whole batch from all processes."""
    return _at_hand is not None and not _per_device_statistics


class BatchNorm(torch.autograd.Function):
    """Batch normalisation of maps (N, C, H, W) by the statistics of all processes, each with its own N.

    Returns the normalised maps, and mean (C,), unbiased variance (C,) of the whole batch.
    """

    @staticmethod
    def forward(
        ctx: Any, maps: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, epsilon: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Merge the statistics of all processes (https://doi.org/10.1007/978-3-642-51461-6_3), and normalise."""
        assert _at_hand is not None
        ctx.counts = _at_hand.count > 0
        variance, mean = torch.var_mean(_precise(maps), (0, 2, 3), correction=0)
        pixels = maps[:, 0].numel() if ctx.counts else 0
        own = torch.cat([mean, variance, mean.new_full((1,), pixels)])
        everyone = own.new_zeros(dist.get_world_size(), len(own))
        everyone[dist.get_rank()] = own
        dist.all_reduce(everyone)
        means, variances, shares = everyone.split([len(mean), len(mean), 1], dim=1)
        total = shares.sum()
        shares = shares / total
        mean = (shares * means).sum(0)
        variance = (shares * (variances + (means - mean).square())).sum(0)
        ctx.save_for_backward(maps, scale, mean, (variance + epsilon).rsqrt(), total)
        outputs = F.batch_norm(maps, mean, variance, scale, shift, training=False, eps=epsilon)
        unbiased = variance * total / (total - 1)
        ctx.mark_non_differentiable(mean, unbiased)
        return outputs, mean, unbiased

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, *_: Any) -> tuple[Any, ...]:
        """Gradients of maps, scale and shift; the latter two of this process's maps alone."""
        maps, scale, mean, rate, total = ctx.saved_tensors
        gradient = _precise(gradient)
        centred = _precise(maps) - _by_channel(mean)
        sums = torch.stack([gradient.sum((0, 2, 3)), (gradient * centred).sum((0, 2, 3))])
        of_shift, of_scale = sums[0].clone(), sums[1] * rate
        dist.all_reduce(sums)
        slope, level = sums[1] * rate.square() / total, sums[0] / total
        own = gradient - _by_channel(level) - centred * _by_channel(slope) if ctx.counts else torch.zeros_like(centred)
        return (own * _by_channel(scale * rate)).to(maps.dtype), of_scale, of_shift, None


def _precise(maps: torch.Tensor) -> torch.Tensor:
    return maps.to(torch.promote_types(maps.dtype, torch.float32))


def _by_channel(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None]

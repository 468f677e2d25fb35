"""A Keras model whose training step updates the weights after every single example."""

from collections.abc import Callable

import keras

from keras_dnnts import backend


@keras.saving.register_keras_serializable("keras_dnnts")
class PerExampleModel(backend.PerExampleTraining):
    """A functional model that ``fit`` trains by exact stochastic gradient descent, one example at a time.

    A batch given to ``fit`` is a chunk of K examples; its training step makes K strictly sequential updates: for each
    example, all gradients at the current weights, then ``weight -= learning_rate * gradient`` (Robbins & Monro 1951).
    A chunk of 8 therefore equals 8 chunks of 1, and the order of examples matters.

    Train it with ``fit(x=(letters, lengths), y=labels, batch_size=K, shuffle=False)``: letters (N, T) int32, lengths
    (N,) int32, labels (N,) int32. Compile it with plain ``keras.optimizers.SGD`` (a learning rate is read once a
    chunk, a schedule gives every update its own) and a loss function ``loss(labels, outputs) -> (batch,)``.

    Logs of a step: ``loss`` (mean since the epoch began, each example's loss taken before its own update),
    ``step_loss`` and ``guess`` (loss and argmax of the chunk's last example, before its update) and
    ``finite_updates`` (how many of the chunk's losses precede the first that is not finite).

    Attributes:
        update_each_fused: None, or a function ``(weights, letters, lengths, labels, rates) -> (weights, losses,
            guesses)`` of NumPy arrays that makes a chunk's updates on the CPU in place of automatic differentiation.
            A model that has one must be compiled with ``**model.fused_options``.
        fused_options: the options of ``compile`` with which this engine's steps can call that function.

    Raises:
        ValueError: when trained with another optimizer than plain SGD, or compiled without a loss function.

    >>> import numpy as np
    >>> from keras_dnnts import build_char_rnn, compile_char_rnn
    >>> model = build_char_rnn("rnn", classes=2, hidden_units=8)  # a PerExampleModel
    >>> engine = compile_char_rnn(model, learning_rate=0.1, engine="generic")
    >>> letters, lengths, labels = np.ones((9, 4), "int32"), np.full(9, 4, "int32"), np.zeros(9, "int32")
    >>> losses = model.fit((letters, lengths), labels, batch_size=1, epochs=2, shuffle=False, verbose=0).history["loss"]
    >>> losses[1] < losses[0]
    True
    """

    update_each_fused: Callable | None = None

    def check_compiled(self) -> None:
        """Raise ValueError unless compiled with plain SGD and a loss function."""
        optimizer = self.optimizer
        plain = isinstance(optimizer, keras.optimizers.SGD) and not optimizer.momentum
        clipping = ("clipnorm", "clipvalue", "global_clipnorm")
        extras = (*clipping, "weight_decay", "use_ema", "loss_scale_factor", "gradient_accumulation_steps")
        if not plain or any(getattr(optimizer, extra, None) for extra in extras):
            raise ValueError("per-example training needs plain SGD: keras.optimizers.SGD(learning_rate)")
        if not callable(self.loss):
            raise ValueError("per-example training needs compile(loss=a function of (labels, outputs))")

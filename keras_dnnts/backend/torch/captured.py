"""Updates of single examples on CUDA, where launching an update's operations takes far longer than they do.

What operations an update consists of depends on its example's length alone. So those of every length are captured once
as a CUDA graph, which takes its example from the device's memory, and an update is then a single launch.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator

import torch

Run = Callable[[], None]
Update = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(letters (1, t) int, length (1,) int, label (1,) int, rate () float32) to loss (1,) and guess (1,) int64.

It changes nothing but the weights, these last of all, and these in place.
"""


class CudaGraphs:
    """Captures what runs on CUDA, to be run again."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()  # graphs that follow one another need their memory only in turns

    def capture(self, run: Run) -> Run:
        """Record what ``run`` launches, without running it; return what launches it."""
        graph = torch.cuda.CUDAGraph()
        with _without_garbage_collection(), torch.cuda.graph(graph, pool=self._pool):
            run()
        return graph.replay

    @contextlib.contextmanager
    def refusing_to_wait(self) -> Iterator[None]:
        """Raise RuntimeError where the CPU would have to wait for a result, which no graph can hold."""
        mode = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(mode)


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    # To free what an earlier model has captured would end the capture with an error.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class CapturedUpdates:
    """Makes the updates of chunks: the first of a length as it comes, further ones from a graph.

    A model that waits for results (a layer that looks at values, say) has all of its updates made as they come.

    Args:
        update: one update.
        belong_to: what the update was made from.
        letters: those of a chunk (count, longest) as large as any to come, on the device of the weights.
        graphs: what captures; None for CUDA graphs.
    """

    def __init__(
        self, update: Update, belong_to: object, letters: torch.Tensor, graphs: CudaGraphs | None = None
    ) -> None:
        def empty(*shape: int, dtype: torch.dtype = torch.int32) -> torch.Tensor:
            return torch.zeros(shape, dtype=dtype, device=letters.device)

        room, longest = letters.shape
        self._update, self._belong_to, self._graphs = update, belong_to, graphs or CudaGraphs()
        self._examples = empty(room, longest), empty(room), empty(room), empty(room, dtype=torch.float32)
        self._losses, self._guesses = empty(room, dtype=torch.float32), empty(room, dtype=torch.int64)
        self._next = empty(1, dtype=torch.int64)
        self._launches: dict[int, Run | None] = {}  # None: has run once
        self._captures = True

    def fit(self, belong_to: object, letters: torch.Tensor) -> bool:
        """Whether they are the updates of that, and have room for a chunk of these letters (count, longest)."""
        room, longest = self._examples[0].shape
        return self._belong_to == belong_to and len(letters) <= room and letters.shape[1] == longest

    def make(
        self, letters: torch.Tensor, lengths: torch.Tensor, labels: torch.Tensor, rates: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Update the weights once for every example; return the losses (count,) and guesses (count,) before each."""
        count = len(lengths)
        for own, given in zip(self._examples, (letters, lengths, labels, rates), strict=True):
            own[:count].copy_(given)
        self._next.zero_()
        for length in lengths.tolist():
            self._make_next(length)
        return self._losses[:count].clone(), self._guesses[:count].clone()

    def _make_next(self, length: int) -> None:
        def run() -> None:
            self._run(length)

        if not self._captures:
            run()
        elif length not in self._launches:
            self._run_first(run)
            self._launches[length] = None
        else:
            launch = self._launches[length] = self._launches[length] or self._graphs.capture(run)
            launch()

    def _run_first(self, run: Run) -> None:
        try:
            with self._graphs.refusing_to_wait():
                run()
        except RuntimeError:  # before the weights changed: whatever it was, it shows itself again
            self._captures = False
            run()

    def _run(self, length: int) -> None:
        letters, length_, label, rate = (array.index_select(0, self._next) for array in self._examples)
        loss, guess = self._update(letters[:, :length], length_, label, rate.squeeze(0))
        self._losses.index_copy_(0, self._next, loss)
        self._guesses.index_copy_(0, self._next, guess)
        self._next.add_(1)

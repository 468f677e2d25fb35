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
"""(letters (1, t) int, length (1,) int, label (1,) int, rate () float32) to loss (1,) float and guess (1,) int64.

It changes the weights in place, after all else, and nothing beside them.
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

    A model that waits for results (a layer that looks at values, say) has all of its updates made as they come. What a
    layer does in Python alone, such as to count its calls, happens once for a graph.

    Args:
        update: one update.
        source: what the update was made from.
        letters: those of a chunk (count, longest) as large as any to come, on the device of the weights.
        graphs: what captures; None for CUDA graphs.
    """

    def __init__(self, update: Update, source: object, letters: torch.Tensor, graphs: CudaGraphs | None = None) -> None:
        def empty(*shape: int, dtype: torch.dtype = torch.int32) -> torch.Tensor:
            return torch.zeros(shape, dtype=dtype, device=letters.device)

        room, longest = letters.shape
        self._update, self._source, self._graphs = update, source, graphs or CudaGraphs()
        self._examples = empty(room, longest), empty(room), empty(room), empty(room, dtype=torch.float32)
        self._losses, self._guesses = empty(room, dtype=torch.float32), empty(room, dtype=torch.int64)
        self._next = empty(1, dtype=torch.int64)
        self._launches: dict[int, Run | None] = {}  # None: has run once
        self._captures = True

    def match(self, source: object, letters: torch.Tensor) -> bool:
        """Whether these updates were made from that source, and have room for a chunk of letters (count, longest)."""
        room, longest = self._examples[0].shape
        return self._source == source and len(letters) <= room and letters.shape[1] <= longest

    def make(
        self, letters: torch.Tensor, lengths: torch.Tensor, labels: torch.Tensor, rates: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Update the weights once for every example; return the losses (count,) and guesses (count,) before each."""
        count, longest = letters.shape
        own_letters, *others = self._examples
        own_letters[:count, :longest].copy_(letters)
        for own, given in zip(others, (lengths, labels, rates), strict=True):
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
            launch = self._launches[length] = self._launches[length] or self._capture(run)
            launch()

    def _run_first(self, run: Run) -> None:
        try:
            with self._graphs.refusing_to_wait():
                run()
        except RuntimeError:  # before the weights changed: whatever it was, it shows itself again
            self._captures = False
            run()

    def _capture(self, run: Run) -> Run:
        try:
            return self._graphs.capture(run)
        except RuntimeError:  # not all that waits is found by refusing to; nothing has run
            self._captures = False
            return run

    def _run(self, length: int) -> None:
        letters, length_, label, rate = (array.index_select(0, self._next) for array in self._examples)
        loss, guess = self._update(letters[:, :length], length_, label, rate.squeeze(0))
        self._losses.index_copy_(0, self._next, loss.to(self._losses.dtype))
        self._guesses.index_copy_(0, self._next, guess)
        self._next.add_(1)

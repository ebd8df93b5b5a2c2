"""Forward pass, loss and backward pass as one CUDA graph: a launch in place of thousands."""

from collections.abc import Callable

import torch

WARM_UP = 3  # calls before the capture: cuDNN chooses its algorithms, and memory is set aside


class GraphedCalls:
    """A function of two tensors, captured for each pair of shapes at its first call and replayed at all others.

    Args:
        work: reads its arguments and writes to tensors that stay where they are, such as gradients; returns a tensor.
            It must ask nothing of the device, and do the same at every call.

    Raises:
        RuntimeError: there is no CUDA device, or the work can't be captured.
    """

    def __init__(self, work: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]):
        if not torch.cuda.is_available():
            raise RuntimeError("CUDA graphs need a CUDA device")
        self.work = work
        self.captured: dict[tuple, tuple] = {}
        self.pool = (
            torch.cuda.graph_pool_handle()
        )  # the graphs run one after the other: they share their memory

    def __call__(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        key = tuple(first.shape), tuple(second.shape)
        if key not in self.captured:
            self.captured[key] = self._capture(first, second)
        graph, inputs, result = self.captured[key]
        for kept, given in zip(inputs, (first, second), strict=True):
            kept.copy_(given)
        graph.replay()
        return result

    def _capture(self, *arguments: torch.Tensor) -> tuple:
        inputs = [argument.clone() for argument in arguments]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.work(*inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            result = self.work(*inputs)
        return graph, inputs, result

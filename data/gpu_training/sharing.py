"""Several processes on the cores of a CPU share each step: each computes the gradient of mixtures of its own.

The first process trains. Before a step it sends the others the weights, and after it takes the mean of all
gradients; so they need no optimiser, no moving average and no clock. A step of two processes is a step on twice as
many mixtures.
"""

import multiprocessing
import signal
import socket
from collections.abc import Callable
from datetime import timedelta

import torch
from torch import distributed

from .mixing import Mixer
from .stepping import Trainer

SEEDS = 10_007  # between the streams of mixtures of two processes
PATIENCE = timedelta(minutes=10)  # after which a process that no longer answers is an error


class Team:
    """The first process's side.

    Args:
        helpers: how many other processes there are.
        make_helper: called in each of them, with its number (1, 2, ...): a trainer and the mixer that it learns from.
            Both can be pickled by name only, so it is a function of a module or a ``functools.partial`` of one.
        threads: of each process.

    A team of no helpers does nothing.
    """

    def __init__(
        self,
        helpers: int = 0,
        make_helper: Callable[[int], tuple[Trainer, Mixer]] | None = None,
        threads: int = 1,
    ):
        self.size = helpers + 1
        self.processes = []
        if not helpers:
            return
        torch.set_num_threads(threads)
        address = f"tcp://127.0.0.1:{_free_port()}"
        context = multiprocessing.get_context("spawn")
        self.processes = [
            context.Process(
                target=_help,
                args=(make_helper, i, self.size, address, threads),
                daemon=True,
                name=f"helper {i}",
            )
            for i in range(1, self.size)
        ]
        for process in self.processes:
            process.start()
        _join(address, 0, self.size)

    def begin(self, model: torch.nn.Module, step: int, count: int, samples: int) -> None:
        """Tell the helpers what to compute: ``count`` mixtures each of ``samples`` samples."""
        if self.processes:
            distributed.broadcast(torch.tensor([step, count, samples]), src=0)
            distributed.broadcast(_flat(model), src=0)

    def average(self, gradient: torch.Tensor) -> None:
        """Make the first process's gradient the mean of all; where one is not finite, the mean is not either."""
        if self.processes:
            distributed.reduce(gradient, dst=0)
            gradient /= self.size

    def close(self) -> None:
        """Let the helpers end."""
        if self.processes:
            distributed.broadcast(torch.tensor([-1, 0, 0]), src=0)
            distributed.destroy_process_group()
            for process in self.processes:
                process.join(30)
            self.processes = []


def _help(make_helper: Callable, number: int, size: int, address: str, threads: int) -> None:
    # A signal to the whole group ends the first process in order, and that one ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    _join(address, number, size)
    trainer, mixer = make_helper(number)
    weights = _flat(trainer.model)
    while True:
        order = torch.zeros(3, dtype=torch.long)
        distributed.broadcast(order, src=0)
        step, count, samples = order.tolist()
        if step < 0:
            break
        distributed.broadcast(weights, src=0)
        with torch.no_grad():
            torch.nn.utils.vector_to_parameters(weights, trainer.model.parameters())
        trainer.gradients(*mixer.draw(step, count, samples))
        distributed.reduce(trainer.optimizer.gradient, dst=0)
    distributed.destroy_process_group()


def _join(address: str, number: int, size: int) -> None:
    distributed.init_process_group(
        "gloo", init_method=address, rank=number, world_size=size, timeout=PATIENCE
    )


@torch.no_grad()
def _flat(model: torch.nn.Module) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]

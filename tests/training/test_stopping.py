import os
import signal
import threading

import pytest
import torch

from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.training import MixingData, train

SEXES = {"ada": "f", "carl": "m"}
BATCH = 2


class Interrupted(DynamicMixing):
    """Sends this process an interrupt while the items numbered so are read."""

    interrupt_at: tuple = ()

    def __getitem__(self, index):
        self.read.append((self.epoch, index))
        if len(self.read) in self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(index)


@pytest.fixture
def run(tiny, tmp_path):
    generator = torch.Generator().manual_seed(1)
    voices = {name: torch.randn(900, generator=generator) for name in SEXES}

    def start(name, interrupt_at=(), resume=False):
        torch.manual_seed(3)
        dataset = Interrupted(voices, SEXES, samples=400, size=8, kinds={"man-woman": 1.0})
        dataset.read, dataset.interrupt_at = [], interrupt_at
        last = tmp_path / name / "checkpoints" / "last.ckpt" if resume else None
        model = train(
            tiny(n_repeats=1), MixingData(dataset, [], BATCH), tmp_path / name, 10, warmup=1, ema=0.5,
            resume=last, listeners=(),
        )  # fmt: skip
        return model, dataset.read

    return start


@pytest.mark.parametrize(
    "item", [3, 7, 8, 9]
)  # in the middle of an epoch, its last step, the first of the next
def test_an_interrupted_run_ends_after_its_step_and_loses_nothing(run, item, capsys):
    whole, whole_read = run("whole")
    _, first = run("parts", (item,))
    assert len(first) == -(-item // BATCH) * BATCH  # the step at work was made to its end
    assert "stopping after this step" in capsys.readouterr().out
    parts, second = run("parts", resume=True)
    assert first + second == whole_read
    for one, other in zip(parts.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_a_second_interrupt_breaks_off(run):
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run("run", (3, 4))


def test_the_interrupt_of_the_program_comes_back_after_the_run(run):
    before = signal.getsignal(signal.SIGINT)
    run("run", (3,))
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_outside_the_main_thread_leaves_signals_alone(run):
    read = []
    thread = threading.Thread(target=lambda: read.extend(run("run")[1]))
    thread.start()
    thread.join()
    assert len(read) == 20

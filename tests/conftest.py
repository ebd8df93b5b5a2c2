"""What many tests share: fixed random numbers, a model whose forward pass takes milliseconds, healthy cases."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.faults import healthy_case, healthy_training

# A shell that runs the tests in the background, or nohup, has signals ignored; the processes of the tests inherit that.
for _name, _handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if (_number := getattr(signal, _name, None)) and signal.getsignal(_number) is signal.SIG_IGN:
        with suppress(ValueError):  # only the main thread may set handlers
            signal.signal(_number, _handler)

# The same numbers on every machine, in the processes of the tests too, where precision="auto" is the default.
os.environ["DPRNN_LAB_PRECISION"] = "float32"

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
TINY = {"bn_chan": 6, "hid_size": 4, "chunk_size": 10, "n_repeats": 2, "n_filters": 5}


@pytest.fixture(autouse=True)
def seed():
    """Every test draws the same numbers, whichever tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def tiny():
    """Maker of small models: ``tiny(n_src=3)``."""

    def make(**options) -> DPRNNTasNet:
        return DPRNNTasNet(**{**TINY, **options}).eval()

    return make


@pytest.fixture(scope="session")
def talk():
    """Maker of the bundled model on three seconds of a test mixture, made once for each seed: ``talk(1)``.

    A test must not change what it gets; faults make copies.
    """
    made = {}

    def make(seed=0, seconds=3.0):
        if (seed, seconds) not in made:
            made[seed, seconds] = healthy_case(seed, seconds=seconds)
        return made[seed, seconds].change()

    return make


@pytest.fixture(scope="session")
def training():
    """A training in which nothing is wrong."""
    case = healthy_training(0)
    return lambda: case.change()


# The seeds of mixtures on which the bundled model shows these failures: it separates some in both polarities, and some
# voices that were made higher look like another sample rate.
SHOWS_AT = {"polarity": 19, "unseen-speakers": 15}


@pytest.fixture
def broken(talk, training, tmp_path):
    """A case with one failure: ``broken("polarity")``, ``broken("level", "offset", seed=2)``."""
    from dprnn_lab.diagnosis import CATALOGUE
    from dprnn_lab.faults import inject

    on_speech = ("eval-mode", "chunk-size", "dead-output")

    def make(failure, variant=None, seed=None, strength=0.5, seconds=3.0):
        seed = SHOWS_AT.get(failure, 0) if seed is None else seed
        learns = CATALOGUE[failure].group == "E" and (failure not in on_speech or variant == "curve")
        case = training() if learns else talk(seed, seconds)
        return inject(failure, case.change(folder=tmp_path), seed, strength, variant)

    return make


@pytest.fixture(scope="session")
def chromium() -> Iterator[Callable]:
    """Launcher of the Chromium that is installed: ``chromium(flags)``, one process for each list of flags.

    Nothing is installed here: where Playwright or Chromium is missing, a test is skipped and says which. One driver
    serves all, since Playwright can't be started twice in a process.
    """
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e .[test]"
    )
    found = [path for name in CHROMIUM_NAMES if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"no Chromium here (looked for {', '.join(CHROMIUM_NAMES)}): install it to run this test")
    with playwright.sync_playwright() as driver:
        launched = {}

        def launch(flags: list[str]):
            if tuple(flags) not in launched:
                launched[tuple(flags)] = driver.chromium.launch(executable_path=found[0], args=flags)
            return launched[tuple(flags)]

        yield launch
        for browser in launched.values():
            browser.close()

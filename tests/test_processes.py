"""Processes end with the process that started them."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dprnn_lab.processes import end_worker_with_parent

pytestmark = pytest.mark.skipif(os.name != "posix", reason="parents of POSIX")
# A process, its worker, and a process that the worker forks: each watches its own parent.
FAMILY = """
import multiprocessing, os, sys, time
from dprnn_lab.processes import end_with_parent, end_worker_with_parent

def worker():
    end_worker_with_parent()
    if (forked := os.fork()) == 0:
        end_with_parent(0.1)
    else:
        print(os.getpid(), forked, flush=True)
    time.sleep(60)

multiprocessing.get_context("fork").Process(target=worker).start()
time.sleep(60)
"""


def runs(process: int) -> bool:
    """Whether it runs; what has ended and was not waited for does not."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_a_worker_and_what_it_forks_end_with_a_killed_parent():
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True) as parent:
        family = [int(number) for number in parent.stdout.readline().split()]
        assert len(family) == 2 and all(map(runs, family))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 20
        while any(map(runs, family)) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = [process for process in family if runs(process)]
        for process in left:
            os.kill(process, signal.SIGKILL)
    assert left == []


def test_a_process_of_the_user_goes_on():
    before = threading.active_count()
    end_worker_with_parent()
    assert threading.active_count() == before

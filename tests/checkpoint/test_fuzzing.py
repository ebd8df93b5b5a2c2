"""Whatever a file holds, it loads or is refused with one sentence, within ten seconds and two gigabytes."""

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("fuzzing", Path(__file__).with_name("fuzzing.py"))
fuzzing = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fuzzing)
LOADS, REFUSED, mutants, outcomes = fuzzing.LOADS, fuzzing.REFUSED, fuzzing.mutants, fuzzing.outcomes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")


@pytest.mark.parametrize(
    ("count", "seed"), [(60, 0), pytest.param(300, 1, marks=pytest.mark.slow)], ids=["60", "300"]
)
def test_broken_and_hostile_files_load_or_are_refused(tmp_path, count, seed):
    found = outcomes(mutants(tmp_path, count, seed))
    assert list(fuzzing.unexpected(found)) == []
    counts = Counter(found.values())
    assert sum(counts.values()) == count
    assert counts[REFUSED] > count / 2  # the files are broken ones
    assert counts[LOADS] > 0


def test_the_same_seed_makes_the_same_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = (mutants(tmp_path / name, 20, 5) for name in ("a", "b"))
    assert [p.name for p in first] == [p.name for p in second]
    assert [p.stat().st_size for p in first] == [p.stat().st_size for p in second]


@pytest.mark.slow
def test_a_child_that_dies_or_hangs_is_reported(tmp_path, monkeypatch):
    """The limits themselves: a file is a bomb only if they would go off."""
    program = fuzzing._CHILD.replace(
        "        model, report",
        "        name = path.split('/')[-1]\n"
        "        if name == 'dies': import os; os.kill(os.getpid(), 9)\n"
        "        if name == 'hangs': import time; time.sleep(30)\n"
        "        if name == 'fills': bytearray(3 * 2**30)\n"
        "        model, report",
    )
    monkeypatch.setattr(fuzzing, "_CHILD", program)
    paths = [tmp_path / name for name in ("fills", "dies", "hangs", "missing")]
    found = fuzzing.outcomes(paths, seconds=1)
    assert found[paths[0]].startswith("MemoryError")
    assert found[paths[1]].startswith("the process died (-9)")
    assert found[paths[2]] == "longer than 1 s"
    assert found[paths[3]] == REFUSED

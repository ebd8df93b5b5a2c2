"""Run the second bench, print its table and write it to `README.md` beside this file.

python tests/diagnosis/second_bench                                  # all 160, with the bundled voices
python tests/diagnosis/second_bench --voices FOLDER --workers 2      # voices that no bundled network knows
python tests/diagnosis/second_bench --group losses                   # some: prints, writes nothing
python tests/diagnosis/second_bench --only "one person alone"
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from .case import Case, all_cases
from .judging import Verdict, judge
from .table import missed_goals, render
from .voices import Voices

__all__ = ["main", "run"]

VARIABLE = "DIAGNOSIS_VOICES"
_VOICES: list[Voices] = []  # of this process


def _begin(folder: str | None) -> None:
    torch.set_num_threads(1)
    _VOICES[:] = [Voices(folder)]


def _judge_by_name(name: str) -> Verdict:
    return judge(next(c for c in all_cases() if c.name == name), _VOICES[0])


def run(cases: list[Case], folder: str | None = None, workers: int = 1) -> Iterator[Verdict]:
    """The verdict on each case, in their order.

    Args:
        folder: of voices, see `Voices`.
        workers: processes.
    """
    by_name = {case.name: case for case in cases}
    if workers <= 1:
        _begin(folder)
        yield from (judge(case, _VOICES[0]) for case in cases)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(folder,)) as pool:
        yield from pool.map(_judge_by_name, list(by_name))


def main(arguments: list[str] | None = None) -> int:
    """Run; exit status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="second_bench",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--only", nargs="*", metavar="NAME", help="cases whose name contains one of these")
    parser.add_argument("--group", nargs="*", help="weights, config, audio, recording, outputs, losses ...")
    parser.add_argument("--kind", choices=("faults", "healthy"), help="only the one or the other half")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument(
        "--voices", default=os.environ.get(VARIABLE) or None,
        help=f"folder with voices.csv and a folder of files for each voice (or ${VARIABLE}); "
        "the bundled test voices without it",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("README.md"))
    options = parser.parse_args(arguments)
    cases = [
        case
        for case in all_cases()
        if (not options.only or any(part in case.name for part in options.only))
        and (not options.group or case.group in options.group)
        and (not options.kind or case.healthy == (options.kind == "healthy"))
    ]
    if not cases:
        parser.error("no such case: leave --only and --group out to run all")
    verdicts = []
    for verdict in run(cases, options.voices, options.workers):
        verdicts.append(verdict)
        mark = "ok " if verdict.good else "-> "
        said = verdict.crash or ", ".join(verdict.named) or "nothing"
        print(f"{mark}{verdict.seconds:5.1f} s  {verdict.case.name:56} {said}", flush=True)
    text = render(verdicts, known_voices=options.voices is None)
    print(f"\n{text}")
    if len(cases) == len(all_cases()):
        options.out.write_text(text, encoding="utf-8")
    return int(bool(missed_goals(verdicts)))

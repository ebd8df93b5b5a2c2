"""Run the benchmarks against Asteroid and write results.md and results.json: ``make bench``.

Needs an environment in which both packages import; ``make bench`` makes one. Close other programs first.
"""

import argparse
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # the package of this checkout


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch and ONNX Runtime")
    parser.add_argument("--cores", type=int, default=cores(), help="for long files, all cores by default")
    parser.add_argument(
        "--turns", type=int, default=30, help="of the shortest benchmarks; long ones take fewer"
    )
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=list(GROUPS), help="these groups alone")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the long file")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu on a machine in use")
    parser.add_argument("--quick", action="store_true", help="tiny lengths, two turns: does it all run?")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of results.md and results.json")
    return parser.parse_args()


GROUPS = ("inference", "parts", "training", "pit", "long", "cold")


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    options = arguments()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # before torch is imported
    import torch
    from machine import describe
    from peak import peaks
    from results import write

    torch.set_num_threads(options.threads)
    peak = peaks(size=256 if options.quick else 2048)
    machine = describe(options.threads, options.cores, peak)
    rows = []
    for group in options.only:
        for row in measure(group, options, peak):
            rows.append(row)
            print(json.dumps(row.as_dict()), flush=True)
    write(options.out, machine, rows, options.clock)


def measure(group: str, options: argparse.Namespace, peak: dict[str, float]) -> list:
    threads, clock, quick = options.threads, options.clock, options.quick
    turns = 2 if quick else options.turns
    if group == "inference":
        import inference

        return inference.bench(threads, turns, clock, 0.5 if quick else 4.0, peak)
    if group == "parts":
        from peak import bench as bench_parts

        return bench_parts(turns, 0.5 if quick else 4.0, peak)
    if group in ("training", "pit"):
        import training

        bench = training.bench_steps if group == "training" else training.bench_pit
        return bench(turns, clock, 4000 if quick else 16_000)
    if group == "long":
        import long_files

        if quick:
            return long_files.bench(options.cores, 1, [20.0])
        # The long file takes minutes a run: drift averages out inside one, and one turn is enough.
        return long_files.bench(options.cores, 3, [60.0]) + long_files.bench(
            options.cores, 1, [60 * options.minutes]
        )
    import cold_start

    return cold_start.bench(threads, 1 if quick else 7)


if __name__ == "__main__":
    main()

"""Training on two CPU cores: steps per second beside Asteroid in one run, and validation curves of the same mixtures.

    python tests/benchmarks/training_cores.py                 # ten minutes: steps per second, in turns
    python tests/benchmarks/training_cores.py --curve 1000    # also 1 000 steps of each, validated on the way
    python tests/benchmarks/training_cores.py --turns 0 --curve 1000 --curve-of 0 3    # curves of two rows alone

Needs an environment in which both packages import (``make bench`` makes one); ``--no-asteroid`` puts our own network in
float32 in its place. Writes ``training_cores.md`` and ``training_cores.json`` into ``--out``.

All contestants begin with the same weights and learn from the same mixtures in the same order, with Adam, clipping and
their own PIT loss. Asteroid computes in one process with a thread per core. Ours are what
``dprnn-lab train --devices 2 --precision auto`` computes: a process per core, each with its share of the batch,
gradients averaged (DistributedDataParallel), bfloat16 where the processor has it; and the same with one of the two.
"""

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from training_gpu import end_group, in_own_group  # noqa: E402

BATCH, RATE = 4, 8000


@dataclass(frozen=True)
class Contestant:
    """Who trains, and how."""

    name: str
    package: str  # "asteroid" or "dprnn-lab"
    processes: int
    threads: int
    precision: str


def contestants(asteroid: bool, cores: int) -> list[Contestant]:
    """The first is what the others are held against."""
    first = Contestant("Asteroid", "asteroid", 1, cores, "float32")
    if not asteroid:
        first = Contestant("float32, 1 process", "dprnn-lab", 1, cores, "float32")
    return [
        first,
        Contestant(f"float32, {cores} processes", "dprnn-lab", cores, 1, "float32"),
        Contestant("auto, 1 process", "dprnn-lab", 1, cores, "auto"),
        Contestant(f"auto, {cores} processes", "dprnn-lab", cores, 1, "auto"),
    ]


def work(
    connection: Connection, one: Contestant, rank: int, port: int, seconds: float, ahead: int, tiny: bool
) -> None:
    """A process of a contestant: answers ("steps", n) with the seconds that they took, ("score", n) with SI-SDRi."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    import torch

    from dprnn_lab.processes import end_worker_with_parent

    end_worker_with_parent()
    torch.set_num_threads(one.threads)
    model, loss = make_model(one.package, tiny)
    trained = model
    if one.processes > 1:
        torch.distributed.init_process_group("gloo", rank=rank, world_size=one.processes)
        trained = torch.nn.parallel.DistributedDataParallel(model)
    half = one.precision == "auto" and resolved() == "bf16-mixed"
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = read(one.processes, rank, seconds, ahead)
    connection.send(resolved() if one.precision == "auto" else one.precision)
    while (asked := connection.recv()) is not None:
        kind, count = asked
        if kind == "score":
            connection.send(score(model, count))
            continue
        model.train()
        start = time.perf_counter()
        for _ in range(count):
            mixture, sources = next(batches)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                estimates = trained(mixture)
            loss(estimates.float(), sources).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        connection.send(time.perf_counter() - start)


def resolved() -> str:
    from dprnn_lab.training.machine import lightning_precision

    return lightning_precision("auto", "cpu")


def make_model(package: str, tiny: bool):
    """Network and loss; the weights are the same for both packages."""
    import torch

    from dprnn_lab import DPRNNTasNet, PITLossWrapper, pairwise_neg_sisdr

    torch.manual_seed(0)
    options = {"bn_chan": 64, "hid_size": 64, "n_repeats": 3}  # SIZES["small"] of models.py
    if tiny:
        options = {"bn_chan": 8, "hid_size": 8, "n_repeats": 1, "chunk_size": 20}
    if package == "asteroid":
        from asteroid.losses import PITLossWrapper as AsteroidPIT
        from asteroid.losses import pairwise_neg_sisdr as asteroid_pairwise
        from asteroid.models import DPRNNTasNet as AsteroidDPRNNTasNet

        return AsteroidDPRNNTasNet(n_src=2, **options), AsteroidPIT(asteroid_pairwise)
    ours = DPRNNTasNet(n_src=2, **options)
    try:  # Asteroid draws its weights in another order: take those
        from models import pair

        ours = pair(options)[1]
    except ImportError:
        pass
    return ours, PITLossWrapper(pairwise_neg_sisdr)


def read(processes: int, rank: int, seconds: float, ahead: int):
    """Batches ``[B, T]`` and ``[B, 2, T]`` without end: of each whole batch, this rank's share."""
    from torch.utils.data import DataLoader, Subset

    from dprnn_lab.datasets import DynamicMixing

    steps = 10_000
    data = DynamicMixing.from_corpus(samples=round(seconds * RATE), size=steps * BATCH, seed=0)
    mine = Subset(data, [i for i in range(steps * BATCH) if i % BATCH * processes // BATCH == rank])
    options = (
        {"num_workers": ahead, "multiprocessing_context": "spawn", "prefetch_factor": 4} if ahead else {}
    )
    return iter(DataLoader(mine, BATCH // processes, **options))


def score(model, count: int) -> float:
    """Mean SI-SDR improvement on validation mixtures in float32, dB."""
    import torch

    from dprnn_lab.datasets.mixing import FixedMixtures
    from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr

    loss, found = PITLossWrapper(pairwise_neg_sisdr), []
    model.eval()
    with torch.no_grad():
        for mixture, sources, _ in list(FixedMixtures("valid"))[:count]:
            before = loss(torch.stack([mixture, mixture])[None], sources[None])
            found.append(float(before - loss(model(mixture[None]), sources[None])))
    return statistics.mean(found)


class Team:
    """The processes of a contestant, which compute only when they are asked."""

    def __init__(self, one: Contestant, seconds: float, ahead: int, tiny: bool):
        context = multiprocessing.get_context("spawn")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.one, self.members = one, []
        for rank in range(one.processes):
            here, there = context.Pipe()
            arguments = (there, one, rank, port, seconds, ahead, tiny)
            process = context.Process(target=in_own_group, args=(work, *arguments))
            process.start()
            there.close()
            self.members.append((process, here))
        self.precision = [here.recv() for _, here in self.members].pop()

    def steps(self, count: int) -> float:
        """Seconds for so many steps."""
        for _, here in self.members:
            here.send(("steps", count))
        return max(here.recv() for _, here in self.members)

    def score(self, count: int) -> float:
        self.members[0][1].send(("score", count))
        return self.members[0][1].recv()

    def close(self) -> None:
        for process, here in self.members:
            end_group(process)
            here.close()


def measure(teams: list[Team], turns: int, steps: int) -> list[dict]:
    """Steps per second of each, in turns: A B C D A B C D ..."""
    took: dict[str, list[float]] = {team.one.name: [] for team in teams}
    for team in teams:
        team.steps(2)
    for _ in range(turns):
        for team in teams:
            took[team.one.name].append(team.steps(steps) / steps)
    first = took[teams[0].one.name]
    return [
        asdict(team.one)
        | {
            "computed in": team.precision,
            "steps_per_second": 1 / statistics.median(took[team.one.name]),
            "ratio": statistics.median(a / b for a, b in zip(first, took[team.one.name], strict=True)),
        }
        for team in teams
    ]


def curves(teams: list[Team], steps: int, points: int, mixtures: int) -> dict[str, list[float]]:
    """SI-SDRi of each, at the beginning and after every part of the steps."""
    found: dict[str, list[float]] = {}
    for team in teams:
        found[team.one.name] = [team.score(mixtures)]
        for _ in range(points):
            team.steps(steps // points)
            found[team.one.name].append(team.score(mixtures))
    return found


def stored_rows(out: Path, facts: dict) -> list[dict]:
    """The timings of the table in ``out``, if they are of this processor, these versions and settings."""
    path = out / "training_cores.json"
    if not path.is_file():
        raise SystemExit(f"--turns 0 keeps the timings of {path}, which is not there: measure them first")
    stored = json.loads(path.read_text())
    if stored["facts"] != facts:
        raise SystemExit(f"--turns 0: {path} has timings of {stored['facts']}, not of {facts}: measure again")
    return stored["rows"]


def write(out: Path, rows: list[dict], found: dict, steps: int, facts: dict) -> None:
    from dprnn_lab.files import write_whole

    lines = [
        "# Training on the cores of a processor, measured", "",
        f"`tests/benchmarks/training_cores.py`: {', '.join(f'{k} {v}' for k, v in facts.items())}. Steps with mixing, "
        "medians of turns; the ratio is to the first row, turn by turn.", "",
        "| contestant | processes | threads | computed in | steps per second | ratio |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {r['name']} | {r['processes']} | {r['threads']} | {r['computed in']} | {r['steps_per_second']:.2f} | "
        f"{r['ratio']:.2f} |"
        for r in rows
    ]
    if found:
        names, curve = list(found), list(zip(*found.values(), strict=True))
        lines += ["", "SI-SDRi (dB) on validation mixtures, scored in float32:", "",
                  "| step | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]  # fmt: skip
        part = steps // (len(curve) - 1)
        lines += [
            f"| {part * i} | " + " | ".join(f"{v:.2f}" for v in at) + " |" for i, at in enumerate(curve)
        ]
        lines += ["", f"Largest difference to {names[0]} at the end: {end_difference(found):.2f} dB."]
    write_whole(out / "training_cores.md", ("\n".join(lines) + "\n").encode())
    result = {"facts": facts, "rows": rows, "curves": found}
    write_whole(out / "training_cores.json", (json.dumps(result, indent=1) + "\n").encode())


def end_difference(found: dict[str, list[float]]) -> float:
    """Largest distance between the last score of the first curve and those of the others, dB."""
    last = [curve[-1] for curve in found.values()]
    return max(abs(value - last[0]) for value in last)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-asteroid", action="store_true")
    parser.add_argument("--turns", type=int, default=7, help="0 keeps the timings of the stored table")
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    parser.add_argument("--curve", type=int, default=0, metavar="STEPS", help="also train so many steps each")
    parser.add_argument(
        "--curve-of", type=int, nargs="+", choices=range(4), default=[0, 1, 2, 3], metavar="ROW",
        help="rows of the table that are trained for the curve, from 0; the first is what the others are held against",
    )  # fmt: skip
    parser.add_argument("--points", type=int, default=10, help="of the curve")
    parser.add_argument("--mixtures", type=int, default=48, help="validation mixtures")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a mixture")
    parser.add_argument("--ahead", type=int, default=0, help="processes that mix ahead, for each process")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="a small network, to try the command")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args(arguments)
    from machine import installed, processor

    teams: list[Team] = []
    given = contestants(not options.no_asteroid, options.cores)
    facts = {"processor": processor(), "PyTorch": installed("torch"), "Asteroid": installed("asteroid"),
             "batch": f"{BATCH} x {options.seconds:g} s", "mixing ahead": options.ahead}  # fmt: skip
    try:
        if options.turns:
            for one in given:
                teams.append(Team(one, options.seconds, options.ahead, options.tiny))
            rows = measure(teams, options.turns, options.steps)
            for row in rows:
                print(json.dumps(row), flush=True)
            write(options.out, rows, {}, 0, facts)
            for team in teams:
                team.close()
        else:
            rows = stored_rows(options.out, facts)
        found: dict[str, list[float]] = {}
        for place in options.curve_of if options.curve else []:  # from the beginning, one after the other
            teams = [Team(given[place], options.seconds, options.ahead, options.tiny)]
            found |= curves(teams, options.curve, options.points, options.mixtures)
            teams[0].close()
            print(json.dumps(found), flush=True)
            write(options.out, rows, found, options.curve, facts)
    finally:
        for team in teams:
            if team.members[0][0].is_alive():
                team.close()
    print(f"{options.out / 'training_cores.md'} is written")


if __name__ == "__main__":
    main()

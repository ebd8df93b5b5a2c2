"""Train DPRNN-TasNet on many voices in the minutes for which a GPU is borrowed, or in the hours of a CPU.

Three commands, from the repository's root, with the repository on ``PYTHONPATH``::

    python data/train_on_gpu.py pack --voices CORPUS --out PACK --budget-mb 44 --evaluate valid=valid
    python data/train_on_gpu.py train --time-steps --out OUT                 # how long a step takes here
    python data/train_on_gpu.py train --pack PACK --init data/model/small.safetensors --out OUT --minutes 8

``make bench-gpu`` measures which batch, precision and options are fastest; ``--settings`` takes them from its JSON.

A *voices folder* (``--voices``, several times) holds ``voices.csv`` (voice, sex, groups, origin, language, minutes),
``metadata.csv`` (path, voice, samples, ...) and FLAC files at 8 kHz. Two voices are mixed only if they share no group.
``pack`` makes one Ogg/Opus file of each, six megabytes an hour, the longest voices cut so that all fit.

The machine with the GPU may have no network: take along the pack, the folders ``dprnn_lab`` and ``data`` (without
``data/speech``), the model to begin with, and the wheels of soundfile, cffi and pycparser for its Python, to install
with ``pip install --no-index --no-deps --target SITE *.whl``. PyTorch, torchaudio, numpy, scipy and safetensors must be
there. Everything is drawn, mixed and changed on the GPU; no process reads files while it trains.

In OUT there are four files, each under 16 MB for a network of up to four million numbers: ``NAME-model.safetensors``
(the moving average of the weights, for ``dprnn_lab.load_model``), ``NAME-last.ckpt``, ``NAME-curve.csv``, and
``NAME-log.txt``. They are written every minute, and when the process is asked to end (SIGTERM). ``--resume`` goes on
from them; ``--minutes`` counts all calls together, and at its end the learning rate is zero. A call that is to end
before that gets ``--stop-after``.

On a CPU, ``--device cpu --processes 2`` lets one process for each core share every step, with small batches::

    python data/train_on_gpu.py train --device cpu --processes 2 --batch 4 --pack PACK --out OUT --minutes 100
"""

import argparse
import functools
import time
from pathlib import Path

BEGAN = time.monotonic()
PRECISIONS = ("bf16", "tf32", "float32")
MODEL = Path(__file__).resolve().parent / "model" / "small.safetensors"


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    if getattr(options, "settings", None):
        options = _parser(read_settings(options.settings)).parse_args(arguments)
    options.work(options)


def read_settings(file: Path) -> dict:
    """Defaults for ``train``, measured: ``best`` in what tests/benchmarks/training_gpu.py wrote.

    Raises:
        SystemExit: no such file, no settings in it, or other ones than a training has.
    """
    import json

    kinds = {"batch": int, "precision": str, "compiled": bool, "graphs": bool}
    try:
        best = json.loads(file.read_text(encoding="utf-8"))["best"]
        wrong = [n for n, v in best.items() if n not in kinds or type(v) is not kinds[n]]
        if wrong or best.get("precision", "bf16") not in PRECISIONS or best.get("batch", 1) < 1:
            raise ValueError(f"'best' is {best}")
    except OSError as error:
        raise SystemExit(f"--settings {file}: {error.strerror}: write it with `make bench-gpu`") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SystemExit(
            f"--settings {file} has no settings that were measured ({error}): write it with `make bench-gpu`"
        ) from error
    return best


def pack(options: argparse.Namespace) -> None:
    from gpu_training.packing import pack as write_pack

    table = write_pack(
        options.voices,
        options.out,
        options.budget_mb,
        options.evaluate,
        options.quality,
        options.mb_per_hour,
        options.workers,
        options.cap_minutes,
        options.evaluation_limit,
    )
    hours = sum(row["samples"] for row in table["voices"]) / table["rate"] / 3600
    voices = sum((options.out / row["file"]).stat().st_size for row in table["voices"]) / 1e6
    whole = sum(file.stat().st_size for file in options.out.iterdir()) / 1e6
    print(
        f"{len(table['voices'])} voices, {hours:.2f} h, at most {table['cap_minutes']:.1f} min each: {voices:.1f} MB, "
        f"{voices / hours:.2f} MB an hour; {whole:.1f} MB with the fixed mixtures"
    )


def train(options: argparse.Namespace) -> None:
    import torch
    from gpu_training.running import RunOptions, quick_norms, run
    from gpu_training.sharing import Team
    from gpu_training.stepping import Trainer
    from gpu_training.timing import time_steps

    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if options.processes > 1 and (device.type != "cpu" or options.time_steps):
        raise SystemExit("--processes is for training on a CPU: one process keeps a GPU busy")
    options.out.mkdir(parents=True, exist_ok=True)
    mixer, fixed = _mixer(options, device)
    bank, pairs = mixer.bank, mixer.pairs
    print(
        f"{len(bank.voices)} voices, {bank.hours:.2f} h, on {_device_name(device)}: {time.monotonic() - BEGAN:.1f} s",
        flush=True,
    )
    print(f"pairs: {pairs.counts}", flush=True)
    model = _model(options)

    def make_trainer(network, quick: bool) -> Trainer:
        return _trainer(options, network, device, quick)

    if options.time_steps:
        quick = not options.plain_norms and quick_norms(make_trainer, model, mixer, print)
        time_steps(
            model,
            mixer,
            device,
            options.out / f"{options.name}-steps.csv",
            options.batches,
            options.precisions,
            line_norms=quick,
            **_how(options),
        )
        return

    plan = RunOptions(
        **{
            key: getattr(options, key)
            for key in ("minutes", "stop_after", "batch", "seconds", "lr", "warmup", "cooldown", "every")
        },
        log_every=options.log_every,
        seed=options.seed,
    )
    facts = {
        "script": "data/train_on_gpu.py",
        "voices": len(bank.voices),
        "hours": round(bank.hours, 2),
        "lr": options.lr,
        "batch": options.batch,
        "segments": list(options.seconds),
        "minutes": options.minutes,
        "seed": options.seed,
    }
    team = Team(options.processes - 1, functools.partial(_helper, options), options.threads)
    run(
        make_trainer, model, mixer, fixed, options.out, options.name, plan, options.resume, BEGAN, facts, team
    )


def _mixer(options: argparse.Namespace, device, process: int = 0):
    """What a process learns from, and the fixed mixtures."""
    from gpu_training.mixing import Mixer, MixingOptions
    from gpu_training.pairs import Pairs
    from gpu_training.sharing import SEEDS
    from gpu_training.voices import load_pack, noise_bank

    if options.pack is None:
        if not options.time_steps:
            raise SystemExit("--pack is needed to train; only --time-steps does without")
        bank, fixed = noise_bank(device), {}
    else:
        bank, fixed = load_pack(options.pack, device, folders=options.voices)
    pairs = Pairs(bank.voices, options.kinds, options.origin_weight, options.even_minutes, device)
    return Mixer(bank, pairs, _mixing(options, MixingOptions), options.seed + SEEDS * process), fixed


def _model(options: argparse.Namespace):
    import torch
    from gpu_training.stepping import grow

    from dprnn_lab import load_model

    torch.manual_seed(options.seed)
    return grow(load_model(options.init), options.stride, options.hidden, options.blocks)


def _trainer(options: argparse.Namespace, model, device, quick: bool):
    from gpu_training.stepping import Trainer

    quick = quick and not options.plain_norms
    return Trainer(model, device, options.precision, line_norms=quick, **_how(options))


def _how(options: argparse.Namespace) -> dict:
    names = ("decay", "clip", "checkpoint_blocks", "compiled", "graphs")
    return {name: getattr(options, name) for name in names} | {"most_db": options.most_db or None}


def _helper(options: argparse.Namespace, process: int):
    """The trainer and the mixer of another process of a training."""
    import torch

    device = torch.device("cpu")
    return _trainer(options, _model(options), device, False), _mixer(options, device, process)[0]


def _mixing(options: argparse.Namespace, kind):
    from gpu_training.colours import Colours

    colours = Colours(
        options.equalised, options.eq_db, options.banded, options.rounded, options.rooms, options.formants
    )
    return kind(tuple(options.speed), options.flip, options.level, options.wide_share, options.noise, colours)


def _device_name(device) -> str:
    import torch

    return torch.cuda.get_device_name() if device.type == "cuda" else str(device)


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=VALUE")
    return name, value


def _weight(text: str) -> tuple[str, float]:
    name, value = _named(text)
    return name, float(value)


class _Mapping(argparse.Action):
    """NAME=VALUE, any number of times, to a dictionary; what was given is added to the default."""

    def __call__(self, parser, namespace, values, option_string=None):
        values = values if isinstance(values, list) else [values]
        setattr(namespace, self.dest, dict(getattr(namespace, self.dest) or {}) | dict(values))


def _parser(defaults: dict | None = None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("pack", help="write a folder that can be carried")
    one.set_defaults(work=pack)
    one.add_argument("--voices", type=Path, action="append", required=True, help="a voices folder; repeat it")
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--budget-mb", type=float, default=44.0, help="of the whole pack, 10^6 bytes")
    one.add_argument("--evaluate", type=_named, action=_Mapping, default={}, metavar="NAME=FILE.npz",
                     help="fixed mixtures; 'test' and 'valid' are those of data/mixtures")  # fmt: skip
    one.add_argument(
        "--quality", type=float, default=0.97, help="Opus's compression level: higher is smaller"
    )
    one.add_argument("--mb-per-hour", type=float, default=6.2, help="what that is expected to give")
    one.add_argument(
        "--cap-minutes", type=float, default=float("inf"), help="of a voice, whatever the budget"
    )
    one.add_argument("--evaluation-limit", type=int, help="fixed mixtures of each set and kind")
    one.add_argument("--workers", type=int, default=2)

    two = commands.add_parser("train", help="train, or time steps")
    two.set_defaults(work=train)
    add = two.add_argument
    add("--pack", type=Path)
    add("--voices", type=Path, action="append", default=[],
        help="a voices folder that lies on this machine, besides the pack; repeat it")  # fmt: skip
    add("--init", type=Path, default=MODEL, help="any checkpoint that load_model reads")
    add("--out", type=Path, required=True)
    add("--name", default="gpu", help="how the files begin")
    add("--resume", action="store_true")
    add("--device", help="cuda where there is one")
    add("--processes", type=int, default=1, help="that share each step, on a CPU: one for each core")
    add("--threads", type=int, default=1, help="of each process, where there are several")
    add("--seed", type=int, default=0)
    for part in ("stride", "hidden", "blocks"):
        add(f"--{part}", type=int, help="grow the network to so much before the training")
    add("--minutes", type=float, default=8.0, help="of all calls; the rate is zero at the end")
    add("--stop-after", type=float, help="minutes after which this call ends")
    add("--batch", type=int, default=96, help="mixtures of 4 s a step; of other lengths as much audio")
    add("--seconds", type=float, nargs="+", default=[1, 2, 4, 4, 4, 8])
    add("--lr", type=float, default=3e-3)
    add("--warmup", type=float, default=5.0, help="seconds")
    add("--cooldown", type=float, help="minutes of fall to zero; four fifths of all where not given")
    add("--every", type=float, default=60.0, help="seconds between evaluations")
    add("--log-every", type=int, default=50)
    add("--precision", choices=PRECISIONS, default="bf16")
    add("--decay", type=float, default=0.999, help="of the moving average")
    add("--clip", type=float, default=5.0)
    add("--most-db", type=float, default=30.0, help="SI-SDR that teaches nothing more; 0 for no limit")
    add("--plain-norms", action="store_true", help="global layer norms as the model has them")
    add("--compiled", action=argparse.BooleanOptionalAction, default=False, help="torch.compile")
    add("--graphs", action=argparse.BooleanOptionalAction, default=False, help="a step as a CUDA graph")
    add("--settings", type=Path, metavar="FILE.json",
        help="what `make bench-gpu` found best: batch, precision, compiled, graphs; options here win")  # fmt: skip
    add("--checkpoint-blocks", action="store_true", help="a third more work, much less memory")
    add("--origin-weight", type=_weight, action=_Mapping, nargs="+", default={}, metavar="ORIGIN=WEIGHT")
    add("--kinds", type=_weight, action=_Mapping, nargs="+", metavar="KIND=SHARE",
        default={"man-woman": 0.4, "woman-woman": 0.35, "man-man": 0.25})  # fmt: skip
    add("--even-minutes", type=float, default=4.0, help="of a voice, beyond which it is drawn no more often")
    add("--speed", type=int, nargs=2, default=[85, 118], help="lowest and highest, per cent")
    add("--flip", type=float, default=0.5)
    add("--level", type=float, default=2.5, help="dB, of the difference between the sources")
    add("--wide-share", type=float, default=0.1, help="of the mixtures: up to twice that")
    add("--equalised", type=float, default=0.5, help="share of the sources")
    add("--eq-db", type=float, default=3.0)
    add("--banded", type=float, default=0.2, help="share of the sources")
    add("--rounded", type=float, default=0.1, help="share of the sources, to 8 bits")
    add("--rooms", type=float, default=0.0, help="share of the mixtures")
    add("--noise", type=float, default=0.0, help="share of the mixtures")
    add("--formants", type=float, default=0.0, help="share of the sources: formants moved, pitch kept")
    add("--time-steps", action="store_true", help="print how long steps take, and train nothing")
    add("--batches", type=int, nargs="+", default=[32, 64, 128, 192], help="for --time-steps")
    add("--precisions", nargs="+", default=["bf16", "tf32"], help="for --time-steps")
    two.set_defaults(**(defaults or {}))
    return parser


if __name__ == "__main__":
    main()

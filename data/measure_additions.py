"""What each addition to the training gives on people that the network has never met: short trainings of one length.

Every training begins with the network of six voices (but the one from random weights) and makes the same number of
steps on as many mixtures. They differ in the voices and in what is done to them::

    python data/measure_additions.py --pack PACK --voices KOKORO --steps 500 --processes 2

PACK is written by ``data/train_on_gpu.py pack`` from the six voices and the game voices, KOKORO by
``data/many_voices/kokoro.py``. The rows of a setting are written when its training is over; those that are there
already are left, so that the command can be stopped and started again. ``data/model/many-voices/additions.csv`` has the
SI-SDRi in dB of every bundled mixture of new people ("unseen"), of some of them in rooms with noise ("unseen-rooms")
and of known voices ("valid"). At the end, and without ``--pack``, the means are printed as a table in Markdown, with
95 % bootstrap intervals over mixtures; "change" is the mean difference from another setting on the same mixtures.
"""

import argparse
import copy
import dataclasses
import functools
import time
from pathlib import Path

import pandas as pd
import torch
from evaluate_unseen import improvements, stacked
from gpu_training.colours import Colours
from gpu_training.mixing import Mixer, MixingOptions
from gpu_training.pairs import Pairs
from gpu_training.running import step_length
from gpu_training.sharing import SEEDS, Team
from gpu_training.stepping import Trainer
from gpu_training.voices import Voice, VoiceBank, load_pack

from dprnn_lab import DPRNNTasNet, load_model
from dprnn_lab.evaluation import bootstrap_mean
from dprnn_lab.files import write_whole

MODELS = Path(__file__).resolve().parent / "model"
START = MODELS / "six-voices" / "small.safetensors"
OUT = MODELS / "many-voices" / "additions.csv"
KINDS = {"man-woman": 0.36, "woman-woman": 0.32, "man-man": 0.32}
SECONDS = (1, 2, 2, 2, 4, 4)
LISTS = ("unseen", "unseen-rooms", "valid")
SOURCES = ("more-speech", "amazon-queen", "kokoro")  # how the origin of a voice begins
NONE = "none: the network of six voices"
RATE = 8000


@dataclasses.dataclass(frozen=True)
class Setting:
    """One training.

    Attributes:
        name: what the table calls it.
        than: the setting that it is compared with.
        origins: weights of the origins of voices; 0 leaves them out.
        mixing: how mixtures are made.
        random: begin with random weights.
    """

    name: str
    than: str | None = None
    origins: tuple[tuple[str, float], ...] = (("more-speech", 4), ("amazon-queen", 0.8), ("kokoro", 1))
    mixing: MixingOptions = dataclasses.field(default_factory=MixingOptions)
    random: bool = False


PLAIN = Colours(equalised=0, banded=0, rounded=0)
SETTINGS = [
    Setting("six voices", origins=(("more-speech", 1), ("amazon-queen", 0), ("kokoro", 0))),
    Setting("+ game voices", "six voices", (("more-speech", 4), ("amazon-queen", 0.8), ("kokoro", 0))),
    Setting("+ synthetic voices", "six voices", (("more-speech", 4), ("amazon-queen", 0), ("kokoro", 1))),
    Setting("+ both", "+ synthetic voices"),
    Setting("both, no change of speed", "+ both", mixing=MixingOptions(speeds=(100, 100))),
    Setting("both, no colours", "+ both", mixing=MixingOptions(colours=PLAIN)),
    Setting("both, polarity as recorded", "+ both", mixing=MixingOptions(flip=0)),
    Setting("both, rooms and noise in a fifth", "+ both", mixing=MixingOptions(noise=0.2, colours=Colours(rooms=0.2))),
    Setting("both, from random weights", "+ both", random=True),
]  # fmt: skip


def make(setting: Setting, bank: VoiceBank, precision: str, seed: int, process: int) -> tuple[Trainer, Mixer]:
    """What one process of a training needs."""
    torch.manual_seed(seed)
    model = load_model(START)
    if setting.random:
        model = DPRNNTasNet(**model.config)
    pairs = Pairs(bank.voices, KINDS, dict(setting.origins))
    return Trainer(model, "cpu", precision), Mixer(bank, pairs, setting.mixing, seed + SEEDS * process)


def _help(setting: Setting, pack: Path, folders: list[Path], precision: str, seed: int, process: int):
    return make(setting, load_pack(pack, "cpu", folders=folders)[0], precision, seed, process)


def train(trainer: Trainer, mixer: Mixer, team: Team, steps: int, batch: int, lr: float, seed: int) -> float:
    """Learn for some steps, the last four fifths with a rate that falls to zero; the mean loss of the last tenth."""
    trainer.share = team.average
    for step in range(steps):
        rate = lr * min((step + 1) / (0.05 * steps), (steps - step) / (0.8 * steps), 1.0)
        length = step_length(SECONDS, seed, step)
        count = max(1, round(batch * 4 / length / team.size))
        team.begin(trainer.model, step, count, int(length * RATE))
        trainer.step(*mixer.draw(step, count, int(length * RATE)), rate)
        if step == steps - max(1, steps // 10) - 1:
            trainer.mean_loss()
    return trainer.mean_loss()


_mixtures = functools.cache(stacked)


def measured(network: torch.nn.Module, setting: str, voices: int, steps: int) -> list[dict]:
    """SI-SDRi in dB of every mixture of the lists."""
    network = copy.deepcopy(network).eval()
    return [
        {
            "setting": setting,
            "voices": voices,
            "steps": steps,
            "list": name,
            "mixture": index,
            "kind": kind,
            "si_sdri": f"{gain:.3f}",
        }
        for name in LISTS
        for index, (kind, gain) in enumerate(
            zip(_mixtures(name)[2], improvements(network, *_mixtures(name)[:2]), strict=True)
        )
    ]


def table(scores: pd.DataFrame) -> str:
    """The scores in Markdown: a row for each setting, in the order of :data:`SETTINGS`."""
    gains = {
        key: part.set_index(["list", "mixture"])["si_sdri"]
        for key, part in scores.groupby("setting", sort=False)
    }
    lines = [
        "| training | voices | man-woman | woman-woman | man-man | all | change | rooms, noise | known voices |",
        "|---" * 9 + "|",
    ]
    for setting in [Setting(NONE), *SETTINGS]:
        if setting.name not in gains:
            continue
        own = scores[scores["setting"] == setting.name]
        new = own[own["list"] == "unseen"]
        cells = [setting.name, str(own["voices"].iloc[0])]
        cells += [f"{new.loc[new['kind'] == f'new {kind}', 'si_sdri'].mean():.2f}" for kind in KINDS]
        cells.append(f"{bootstrap_mean(new['si_sdri'])}")
        than = setting.than or NONE
        if setting.name == NONE or than not in gains:
            cells.append("")
        else:
            change = bootstrap_mean(gains[setting.name]["unseen"] - gains[than]["unseen"])
            cells.append(f"{change.mean:+.2f} [{change.low:+.2f}, {change.high:+.2f}] on *{than}*")
        cells += [
            f"{own.loc[own['list'] == name, 'si_sdri'].mean():.2f}" for name in ("unseen-rooms", "valid")
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", type=Path, help="without it, only the table of what is measured already")
    parser.add_argument("--voices", type=Path, action="append", default=[], help="a voices folder; repeat it")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument(
        "--batch", type=int, default=4, help="mixtures of 4 s a step; of others as much audio"
    )
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="SETTING", help="some of the settings, by name")
    options = parser.parse_args(arguments)
    scores = pd.read_csv(options.out) if options.out.is_file() else pd.DataFrame(columns=["setting"])
    if options.pack is not None:
        others = {int(n) for n in scores.get("steps", ())} - {0, options.steps}
        if others:
            parser.error(
                f"--steps {options.steps}: {options.out} has trainings of {min(others)} steps, and only trainings of"
                " one length can be compared. Give that number, or another file with --out."
            )
        torch.set_num_threads(1)
        bank = load_pack(options.pack, "cpu", folders=options.voices)[0]
        for setting in [Setting(NONE), *SETTINGS]:
            if setting.name in set(scores["setting"]) or (options.only and setting.name not in options.only):
                continue
            began = time.monotonic()
            if setting.name == NONE:
                rows = measured(load_model(START), NONE, 0, 0)
            else:
                helper = functools.partial(
                    _help, setting, options.pack, options.voices, options.precision, options.seed
                )
                team = Team(options.processes - 1, helper)
                try:
                    trainer, mixer = make(setting, bank, options.precision, options.seed, 0)
                    loss = train(trainer, mixer, team, options.steps, options.batch, options.lr, options.seed)
                finally:
                    team.close()
                print(f"{setting.name}: loss {loss:.2f}, {time.monotonic() - began:.0f} s", flush=True)
                voices = sum(dict(setting.origins)[_source(v)] > 0 for v in bank.voices)
                rows = measured(trainer.average, setting.name, voices, options.steps)
            scores = pd.concat([scores, pd.DataFrame(rows)]) if len(scores) else pd.DataFrame(rows)
            write_whole(options.out, scores.to_csv(index=False, lineterminator="\n").encode())
            scores = pd.read_csv(options.out)
    print(table(scores))


def _source(voice: Voice) -> str:
    return next(source for source in SOURCES if voice.origin.startswith(source))


if __name__ == "__main__":
    main()

"""The command line: ``dprnn-lab separate | train | evaluate | info | convert | export | diagnose``."""

import ast
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    help="Speech separation with DPRNN-TasNet: separate recordings, train and evaluate models, look into checkpoints.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

PREFIX_HELP = "Which of several models in one file: what stands before its names, such as ema."


@app.command()
def train(
    run: Annotated[Path, typer.Argument(help="Folder for checkpoints, curves and the final model.")],
    steps: Annotated[int, typer.Option(help="Optimiser steps in all, resumed parts included.")] = 20_000,
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes, resumable.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from RUN's last checkpoint.")] = False,
    devices: Annotated[int, typer.Option(help="Processes (CPU) or GPUs.")] = 1,
    accelerator: Annotated[str, typer.Option(help="cpu or gpu.")] = "cpu",
    batch: Annotated[int, typer.Option(help="Mixtures per step and process.")] = 4,
    seconds: Annotated[float, typer.Option(help="Length of a training mixture.")] = 1.0,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    warmup: Annotated[int, typer.Option(help="Steps to reach the learning rate.")] = 200,
    cooldown: Annotated[int, typer.Option(help="Last steps, down to a rate of zero.")] = 0,
    easy_epochs: Annotated[int, typer.Option(help="Epochs of man-woman pairs before all pairs.")] = 0,
    woman_woman: Annotated[float, typer.Option(help="Share of woman-woman pairs after that.")] = 0.5,
    speed: Annotated[int, typer.Option(help="Speed perturbation, per cent, after the easy epochs too.")] = 0,
    epoch_size: Annotated[int, typer.Option(help="Mixtures per epoch.")] = 2000,
    valid_every: Annotated[int, typer.Option(help="Epochs between validations.")] = 1,
    kernel_size: Annotated[int, typer.Option(help="Samples per filter; the stride is half.")] = 16,
    n_filters: Annotated[int, typer.Option(help="Learned filters.")] = 64,
    chunk_size: Annotated[int, typer.Option(help="Frames per chunk.")] = 64,
    n_repeats: Annotated[int, typer.Option(help="Dual-path blocks.")] = 3,
    bn_chan: Annotated[int, typer.Option(help="Features per frame in the separator.")] = 64,
    hid_size: Annotated[int, typer.Option(help="Hidden units per RNN and direction.")] = 64,
    mask_act: Annotated[str, typer.Option(help="Activation of the masks.")] = "sigmoid",
    encoder_activation: Annotated[str | None, typer.Option(help="Activation of the encoder.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights and mixtures.")] = 0,
) -> None:
    """Train a model on dynamic mixtures of the bundled voices."""
    import torch

    from . import training
    from .mixing import DynamicMixing, FixedMixtures
    from .model import DPRNNTasNet
    from .speech import SAMPLE_RATE

    torch.manual_seed(seed)
    if devices > 1 and accelerator == "cpu":
        torch.set_num_threads(1)
    model = DPRNNTasNet(
        kernel_size=kernel_size, stride=kernel_size // 2, n_filters=n_filters, chunk_size=chunk_size,
        n_repeats=n_repeats, bn_chan=bn_chan, hid_size=hid_size, mask_act=mask_act,
        encoder_activation=encoder_activation,
    )  # fmt: skip
    everything = {"man-woman": 1 - woman_woman, "woman-woman": woman_woman}
    mixing = DynamicMixing.from_corpus(
        samples=int(seconds * SAMPLE_RATE),
        size=epoch_size,
        kinds=[(0, {"man-woman": 1.0}), (easy_epochs, everything)] if easy_epochs else everything,
        speed_percent=speed,
        seed=seed,
    )
    last = run / "checkpoints" / "last.ckpt"
    if resume and not last.is_file():
        raise typer.BadParameter(f"{last} does not exist: nothing to resume", param_hint="--resume")
    training.train(
        model, training.MixingData(mixing, FixedMixtures("valid"), batch), run, steps,
        lr=lr, warmup=warmup, cooldown=cooldown, devices=devices, accelerator=accelerator,
        valid_every=valid_every, max_minutes=minutes, resume=last if resume else None, seed=seed,
    )  # fmt: skip


@app.command()
def evaluate(
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="A checkpoint, a hub id, or conv-tasnet:FILE; again for more."),
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also the mixture itself, ideal masks (IRM, IBM) and NMF.")
    ] = False,
    data: Annotated[
        str,
        typer.Option(
            help="'test' or 'valid' of the bundled voices; a CSV of mixtures; or a folder with mix, s1, s2."
        ),
    ] = "test",
    mix: Annotated[
        str | None, typer.Option(help="Folder of the mixtures, where DATA has several, such as mix_clean.")
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Of si_sdr, bss (SDR, SIR, SAR), stoi, pesq; commas between.")
    ] = "si_sdr",
    out: Annotated[
        Path | None, typer.Option(help="Folder for scores.csv, report.md and report.html; resumable.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; 0 computes in this one. Needs --out.")] = 0,
) -> None:
    """Score models and baselines on the same mixtures.

    The first model is the one in question: the report compares it with all others, and shows its worst
    mixtures.

    dprnn-lab evaluate --model mine.ckpt --model data/model/small.safetensors --baselines --out results

    dprnn-lab evaluate --model mine.ckpt --data Libri2Mix/wav8k/min/test --mix mix_clean --metrics si_sdr,bss
    """
    from . import evaluation
    from .evaluation.run import evaluate_to, open_mixtures
    from .evaluation.systems import make_system, name_of

    specs = [*(models or []), *(evaluation.BASELINES if baselines else [])]
    if not specs:
        _stop("nothing to evaluate: give --model FILE, --baselines, or both")
    systems = {name_of(spec): spec for spec in specs}
    if len(systems) < len(specs):
        _stop(f"two models have one name among {', '.join(name_of(s) for s in specs)}: rename a file")
    wanted = tuple(metric.strip() for metric in metrics.split(","))
    try:
        mixtures = open_mixtures(data, mix)
        if out is None:
            made = {name: make_system(spec) for name, spec in systems.items()}
            table = evaluation.evaluate(made, mixtures, wanted)
        else:
            table = evaluate_to(out, systems, mixtures, wanted, workers)
            evaluation.write_report(out, table, systems, mixtures)
    except (ValueError, OSError) as error:  # CheckpointError and AudioError are ValueErrors
        _stop(error)
    typer.echo(evaluation.summarise(table).round(2).to_string(index=False))
    if out is not None:
        typer.echo(f"{out}: scores.csv, report.md, report.html")


@app.command()
def separate(
    sources: Annotated[list[Path], typer.Argument(metavar="IN...", help="Audio files, and folders of them.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint or hub id.", show_default="the bundled small model, 8 kHz, two voices"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the outputs.", show_default="beside each input")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Also folders within folders.")] = False,
    resample: Annotated[bool, typer.Option("--resample", help="Convert to the model's sample rate.")] = False,
    mono: Annotated[
        str | None, typer.Option(help="Make one channel of several: mean, left or right.")
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            help="mixture: outputs add up to the input; peak: the loudest to 0.9; none: as it comes."
        ),
    ] = "mixture",
    window: Annotated[
        float, typer.Option(help="Seconds per window; longer needs more memory, and has fewer seams.")
    ] = 20.0,
    tracking: Annotated[
        str, typer.Option(help="How speakers are followed across windows: profiles, overlap or none.")
    ] = "profiles",
    float_samples: Annotated[
        bool, typer.Option("--float", help="Write 32-bit float WAV, which can't clip, not 16-bit PCM.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite.")] = False,
) -> None:
    """Separate the voices in audio files of any length.

    Writes NAME_s1.wav, NAME_s2.wav and so on for each input NAME. Any format
    that soundfile reads: WAV, FLAC, Ogg, Opus, MP3, AIFF ...

    dprnn-lab separate talk.flac

    dprnn-lab separate recordings/ --out voices --model best_model.pth

    dprnn-lab separate meeting.mp3 --resample --mono mean

    Nothing is changed unasked: another sample rate, a second channel or an
    existing output is an error that names the option. Long files are
    separated in windows. A run that was interrupted goes on where it was when
    the same command is given again. A file that fails does not stop the
    others; the exit status is 1 then.
    """
    from .checkpoint import CheckpointError, load_model
    from .file_separation import separate_files
    from .speech import data_folder

    missing = [path for path in sources if not path.exists()]
    if missing:
        _stop(f"{missing[0]}: no such file or folder")
    try:
        if model is None:
            model = str(data_folder() / "model" / "small.safetensors")
            typer.echo(
                "No --model given: using the small model that comes with dprnn-lab, trained on four voices at "
                "8 kHz, for two speakers at once. Expect less of it on other voices.",
                err=True,
            )
        network = load_model(model)
    except (CheckpointError, FileNotFoundError, TypeError) as error:
        _stop(error)

    done, failed = 0, []
    bar = _Bar()
    try:
        for result in separate_files(
            network, sources, out, recursive=recursive, progress=bar.begin, resample=resample, mono=mono,
            scale=scale, window=window, tracking=tracking, float_samples=float_samples, force=force,
        ):  # fmt: skip
            bar.end()
            if result.error is not None:
                failed.append(result)
                continue
            done += 1
            names = ", ".join(str(path) for path in result.outputs)
            typer.echo(f"{result.source}: {result.seconds:.1f} s in {result.windows} window(s) -> {names}")
            for note in result.notes:
                typer.echo(f"{result.source}: {note}")
    except KeyboardInterrupt:
        bar.end()
        typer.echo("dprnn-lab: interrupted; give the same command again to go on", err=True)
        raise typer.Exit(130) from None
    for result in failed:
        typer.echo(f"dprnn-lab: {result.error}", err=True)
    if not done and not failed:
        _stop(f"no audio files in {', '.join(map(str, sources))}; --recursive looks into folders within them")
    if failed:
        if done:
            typer.echo(f"dprnn-lab: {done} separated, {len(failed)} failed", err=True)
        raise typer.Exit(1)


class _Bar:
    """A progress bar for one file at a time; shown on a terminal only, and for more than one window."""

    def __init__(self):
        self.bar = None

    def begin(self, source: Path):
        def progress(done: int, total: int) -> None:
            if total < 2 or not sys.stderr.isatty():
                return
            if self.bar is None:
                self.bar = typer.progressbar(length=total, label=source.name, file=sys.stderr)
                self.bar.__enter__()
            self.bar.update(done - self.bar.pos)

        return progress

    def end(self) -> None:
        if self.bar is not None:
            self.bar.__exit__(None, None, None)
            self.bar = None


@app.command()
def info(
    checkpoint: Annotated[str, typer.Argument(help="A file, or the id of a model on the hub: user/name.")],
    prefix: Annotated[str | None, typer.Option(help=PREFIX_HELP)] = None,
) -> None:
    """What is in a checkpoint, and whether it loads.

    Shows the format; the parameters that fit, are missing or do not belong;
    NaNs; every value of the configuration and how it is known (from the file,
    from the shapes of the weights, or assumed because neither says it); and
    facts about the training. Nothing in the file is run. Exit status 1 when
    it does not load.
    """
    from .checkpoint import CheckpointError, inspect_checkpoint

    try:
        report = inspect_checkpoint(checkpoint, prefix=prefix)
    except CheckpointError as error:
        _stop(error)
    typer.echo(report)
    raise typer.Exit(1 if report.problems() else 0)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A checkpoint of any kind, or a hub id.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".safetensors: ours; .pth: Asteroid's.")],
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="What the file does not say; again for more."),
    ] = None,
    prefix: Annotated[str | None, typer.Option(help=PREFIX_HELP)] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT.")] = False,
) -> None:
    """Write a checkpoint in another format, with its configuration.

    From Asteroid's packages, Lightning's .ckpt, bare state dicts and hub
    models to our .safetensors, which opens without running code; or to a
    package that Asteroid's DPRNNTasNet.from_pretrained opens.

    A bare state dict does not say its stride, chunk_size, mask_act and some
    more. They are assumed, and named; give them if you know them:
    --set stride=1 --set chunk_size=250
    """
    from .checkpoint import CheckpointError, load_model, save_asteroid, save_model
    from .checkpoint.report import assumption

    if out.exists() and not force:
        _stop(f"{out}: exists already; give another name, or --force to overwrite it")
    try:
        given = dict(_parse(text) for text in values or [])
        model, report = load_model(source, report=True, prefix=prefix, **given)
        if out.suffix == ".safetensors":
            save_model(model, out, training=report.facts)
        else:
            save_asteroid(model, out, infos=report.facts.get("infos", report.facts))
    except (CheckpointError, TypeError, OSError) as error:
        _stop(error)
    typer.echo(f"{out}: {report.parameters:,} parameters from {report.path} ({report.format})")
    if report.assumed:
        typer.echo(f"dprnn-lab: {assumption(report.assumed)}", err=True)


@app.command()
def export(
    source: Annotated[str, typer.Argument(metavar="MODEL", help="A checkpoint of any kind, or a hub id.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .onnx file to write.")],
    seconds: Annotated[float, typer.Option(help="Length of every mixture that the file will take.")] = 4.0,
    batch: Annotated[int, typer.Option(help="How many mixtures at a time.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT.")] = False,
) -> None:
    """Write a model as an ONNX file, for programs without PyTorch.

    The file takes mixtures of one length. It is written only after ONNX
    Runtime has computed the same numbers as PyTorch. The configuration and
    the sample rate are in its metadata.

    Needs: pip install "dprnn-lab[onnx]"

    dprnn-lab export best_model.pth model.onnx --seconds 4
    """
    from .checkpoint import CheckpointError, load_model
    from .export import ExportError, export_onnx

    if out.exists() and not force:
        _stop(f"{out}: exists already; give another name, or --force to overwrite it")
    try:
        model = load_model(source)
        samples = round(seconds * model.sample_rate)
        difference = export_onnx(model, out, samples, batch)
    except (CheckpointError, ExportError, TypeError, OSError) as error:
        _stop(error)
    typer.echo(
        f"{out}: mixture [{batch}, {samples}] at {model.sample_rate:g} Hz -> estimates "
        f"[{batch}, {model.n_src}, {samples}]; ONNX Runtime differs from PyTorch by {difference:.0e} of the peak"
    )


@app.command()
def diagnose(
    checkpoint: Annotated[
        str | None, typer.Option(help="The model: a checkpoint of any kind, or a hub id.")
    ] = None,
    mixture: Annotated[Path | None, typer.Option(help="The recording that does not separate.")] = None,
    references: Annotated[
        list[Path] | None, typer.Option("--reference", help="A true source; once for each.")
    ] = None,
    estimates: Annotated[
        list[Path] | None, typer.Option("--estimate", help="An output that you got; once for each.")
    ] = None,
    speakers: Annotated[int | None, typer.Option(help="How many people you hear in the mixture.")] = None,
    run: Annotated[Path | None, typer.Option(help="A training run: its folder, or its CSV.")] = None,
    data: Annotated[Path | None, typer.Option(help="A data folder with train, test; s1, s2 in them.")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="What you give load_model; again for more."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the report to this file.")] = None,
) -> None:
    """Why does it not separate?

    Bring what you have; each piece decides more. Nothing in the checkpoint is
    run. Exit status 0: nothing wrong, 1: warnings, 2: failures, or something
    that can't be read.

    dprnn-lab diagnose --checkpoint best_model.pth --mixture talk.wav
    dprnn-lab diagnose --checkpoint last.ckpt --mixture talk.wav --estimate s1.wav --estimate s2.wav
    """
    from rich.console import Console

    from .diagnosis import diagnose as examine

    if not any((checkpoint, mixture, estimates, run, data)):
        _stop("nothing to look at: give --checkpoint, --mixture or --run", code=2)
    try:
        report = examine(
            checkpoint, mixture, references=references or None, estimates=estimates or None, speakers=speakers,
            run=run, data=data, config=dict(_parse(text) for text in values or []),
        )  # fmt: skip
        if json is not None:
            report.to_json(json)
    except (ValueError, TypeError, OSError) as error:  # CheckpointError and AudioError are ValueErrors
        _stop(error, code=2)
    Console().print(report)
    raise typer.Exit(report.exit_code)


@app.command()
def checklist() -> None:
    """Every failure that diagnose knows, on a page to print (Markdown)."""
    from .diagnosis import checklist as page

    typer.echo(page(), nl=False)


def _parse(text: str) -> tuple[str, object]:
    """``NAME=VALUE`` with the value as Python would read it, or else as text.

    >>> _parse("chunk_size=250"), _parse("mask_act=relu")
    (('chunk_size', 250), ('mask_act', 'relu'))
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r}: write NAME=VALUE, such as chunk_size=250", param_hint="--set")
    try:
        return name.strip(), ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name.strip(), value


def _stop(error: Exception | str, code: int = 1) -> NoReturn:
    """End with the message and without a traceback."""
    typer.echo(f"dprnn-lab: {error}", err=True)
    raise typer.Exit(code)


if __name__ == "__main__":
    app()

"""``dprnn-lab separate``."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ..error_texts import printable
from .common import PREFIX_HELP, app, say, stop
from .errors import describe, in_own_words, trace

__all__ = ["separate"]


@app.command()
def separate(
    sources: Annotated[list[Path], typer.Argument(metavar="IN...", help="Audio files, and folders of them.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint or hub id.", show_default="the bundled large model, 8 kHz, two voices"
        ),
    ] = None,
    prefix: Annotated[str | None, typer.Option(help=PREFIX_HELP)] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the outputs.", show_default="beside each input")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Also subfolders.")] = False,
    resample: Annotated[bool, typer.Option("--resample", help="Convert to the model's sample rate.")] = False,
    mono: Annotated[
        str | None, typer.Option(help="Reduce several channels to one: mean, left or right.")
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            help="mixture: outputs add up to the input; peak: the loudest has peak 0.9; none: unchanged."
        ),
    ] = "mixture",
    window: Annotated[
        float,
        typer.Option(
            help="Seconds per window. Longer windows: fewer seams, more memory, worse far beyond the training segments."
        ),
    ] = 8.0,
    tracking: Annotated[
        str, typer.Option(help="How speakers are followed across windows: profiles, overlap or none.")
    ] = "profiles",
    float_samples: Annotated[
        bool, typer.Option("--float", help="Write 32-bit float WAV, which can't clip, instead of 16-bit PCM.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing outputs.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Windows computed at a time, a core each; 1 is in sequence.", show_default="all cores"
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="float32; bfloat16, which costs little and is faster where the processor has it; auto chooses."
        ),
    ] = "auto",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say on how many cores and in which precision it computes.")
    ] = False,
) -> None:
    """Separate the voices in audio files of any length.

    Writes NAME_s1.wav, NAME_s2.wav and so on for each input NAME. Reads WAV,
    FLAC, Ogg, Opus, MP3, AIFF and the other formats of soundfile.

    dprnn-lab separate talk.flac

    dprnn-lab separate recordings/ --out voices --model best_model.pth

    dprnn-lab separate meeting.mp3 --resample --mono mean

    Windows, and short files, are separated several at a time, a core each;
    the outputs do not depend on their number.

    Another sample rate, a second channel or an existing output is an error
    that names the option for it. Long files are separated in windows. After an
    interruption, the same command continues where it stopped. A file that
    fails does not stop the others; the exit status is 1 then.
    """
    from ..checkpoint import load_model
    from ..files import data_folder
    from ..separation.file_to_file import separate_files
    from ..separation.parallel import check_compute, describe_compute
    from ..separation.windows import windows_for

    check_compute(workers, precision)

    if model is None:
        model = str(data_folder() / "model" / "large.safetensors")
        say(
            "No --model given: using the large model that comes with dprnn-lab, for two speakers at 8 kHz. It improves "
            "voices that it has never heard by 9 dB of SI-SDR on average, one mixture in six by less than 5 dB; in "
            "rooms with noise by 5 dB (data/model/README.md).",
            err=True,
        )
    network = load_model(model, prefix=prefix)
    windows_for(network, 1, window)  # an impossible window is no fault of any file
    if verbose:
        say(f"dprnn-lab: computing in {describe_compute(network, workers, precision)}", err=True)

    done, failed = [], []
    bar = _Bar()
    try:
        for result in separate_files(
            network, sources, out, recursive=recursive, progress=bar.begin, resample=resample, mono=mono,
            scale=scale, window=window, tracking=tracking, float_samples=float_samples, force=force,
            workers=workers, precision=precision,
        ):  # fmt: skip
            bar.end()
            if result.error is not None:
                failed.append(result)
                continue
            done.append(result)
            names = ", ".join(str(path) for path in result.outputs)
            say(f"{result.source}: {result.seconds:.1f} s in {result.windows} window(s) -> {names}")
            for note in map(in_own_words, result.notes):
                say(f"{result.source}: {note}")
    except KeyboardInterrupt as error:
        bar.end()
        error.add_note("give the same command again to continue")
        raise
    high = sorted({result.rate for result in done if result.rate > network.sample_rate})
    if high:
        rates = ", ".join(f"{rate:g}" for rate in high)
        say(
            f"dprnn-lab: the outputs are at {network.sample_rate:g} Hz, the model's rate, and the input at {rates} Hz: "
            f"nothing above {network.sample_rate / 2:g} Hz is left, so they sound duller, as on a telephone",
            err=True,
        )
    for result in failed:
        text = result.error or ""
        if result.cause is not None:
            trace(result.cause)
            text = describe(result.cause)
        named = isinstance(result.cause, OSError) or printable(result.source.name) in printable(text)
        say(f"dprnn-lab: {text}" if named else f"dprnn-lab: {result.source}: {text}", err=True)
    if not done and not failed:
        stop(f"no audio files in {', '.join(map(str, sources))}; --recursive includes subfolders")
    if failed:
        if done or len(failed) > 1:
            say(f"dprnn-lab: {len(done)} separated, {len(failed)} failed", err=True)
        raise typer.Exit(1)


class _Bar:
    """A progress bar for one file at a time; only on a terminal and for several windows."""

    def __init__(self):
        self.bar = None

    def begin(self, source: Path) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            if total < 2 or not sys.stderr.isatty():
                return
            if self.bar is None:
                self.bar = typer.progressbar(length=total, label=printable(source.name), file=sys.stderr)
                self.bar.__enter__()
            self.bar.update(done - self.bar.pos)

        return progress

    def end(self) -> None:
        if self.bar is not None:
            self.bar.__exit__(None, None, None)
            self.bar = None

"""The line to type: a remedy as it works where the user is, in Python or on the command line.

A finding's remedy is a line of Python over the arguments of :func:`dprnn_lab.diagnose`. :func:`python_line` completes
it with its imports and with the files that were given; :func:`command_line` gives the command that does the same.

Notebook: 06_failures_at_inference
"""

import ast
import builtins
import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import soundfile

from .finding import Finding
from .inputs import Inputs

__all__ = ["IMPORTS", "VARIABLES", "command_line", "python_line", "unknown_names"]

IMPORTS = {
    "DPRNNTasNet": "from dprnn_lab import DPRNNTasNet",
    "PITLossWrapper": "from dprnn_lab import PITLossWrapper",
    "pairwise_neg_sisdr": "from dprnn_lab import pairwise_neg_sisdr",
    "load_model": "from dprnn_lab import load_model",
    "save_model": "from dprnn_lab import save_model",
    "separate": "from dprnn_lab import separate",
    "training": "from dprnn_lab import training",
    "evaluation": "from dprnn_lab import evaluation",
    "evaluate": "from dprnn_lab.evaluation import evaluate",
    "Fingerprints": "from dprnn_lab.audio import Fingerprints",
    "read_audio": "from dprnn_lab.audio import read_audio",
    "write_audio": "from dprnn_lab.audio import write_audio",
    "resample": "from dprnn_lab.audio import resample",
    "to_mono": "from dprnn_lab.audio import to_mono",
    "rebuild": "from dprnn_lab.diagnosis import rebuild",
    "DynamicMixing": "from dprnn_lab.datasets import DynamicMixing",
    "FixedMixtures": "from dprnn_lab.datasets import FixedMixtures",
    "reorder": "from dprnn_lab.loss import reorder",
    "scale_to_mixture": "from dprnn_lab.separation.in_memory import scale_to_mixture",
    "player": "from dprnn_lab.plots import player",
    "L": "import lightning as L",
    "torch": "import torch",
}
# What a user's own program has: the arguments of diagnose(), and the parts of a training.
VARIABLES = {
    "model", "mixture", "sample_rate", "references", "estimates", "checkpoint", "config", "run", "batch", "loss",
    "data", "scores", "path", "sources", "max_steps", "trainer",
}  # fmt: skip
_SEPARATE = "dprnn-lab separate {mixture} --model {checkpoint}"
_EVALUATE = "dprnn-lab evaluate --model {checkpoint} --out results"
_INFO = "dprnn-lab info {checkpoint}"
_RESUME = "dprnn-lab train --resume {run}"
_CHANGE = (
    "from dprnn_lab.audio import read_audio, resample, write_audio; import torch; "
    "mixture, sample_rate = read_audio({mixture!r}); mixture = mixture[0]; {line}; "
    "write_audio('repaired.wav', mixture, round(sample_rate))"
)
# Commands by failure, where one line does what the Python line does.
_COMMANDS: dict[str, str] = {
    "weights-corrupt": _INFO,
    "weights-unmatched": _INFO,
    "weights-partial": _INFO,
    "channels": _SEPARATE + " --mono left",
    "length": _SEPARATE,
    "permutation-flip": _SEPARATE + " --force",
    "seam-artefact": _SEPARATE + " --force",
    "relative-level-lost": _SEPARATE + " --force",
    "scale-free": _SEPARATE + " --force",
    "outputs-alike": _SEPARATE + " --force",
    "late-estimates": _SEPARATE + " --force",
    "order-arbitrary": _EVALUATE,
    "plateau-reading": _EVALUATE,
    "nan-run": _RESUME + " --clip 5 --lr 0.0005",
    "no-clipping": _RESUME + " --clip 5",
    "dead-output": _RESUME + " --lr 0.0005",
    "resume": _RESUME,
    "learning-rate": "dprnn-lab train runs/again --lr 0.001 --warmup 200",
    "overfit": "dprnn-lab train runs/again --data corpus",
    "unhealthy-curve": "dprnn-lab train runs/again --config {run}/config.yaml --steps 600 --seed 1",
}
_SAMPLES = (
    "not-finite",
    "level",
    "polarity",
    "train-serve-skew",
    "rate-mismatch",
)  # the samples must be changed


def python_line(finding: Finding, given: Inputs | None) -> str:
    """The remedy with its imports, and with the files that were given as the values of its names."""
    if not finding.remedy:
        return ""
    remedy = _with_config(finding.remedy, given)
    loaded, _ = _names(remedy)
    files: dict[str, str] = {}
    if given is not None:
        file = given.model if isinstance(given.model, (str, os.PathLike)) else given.checkpoint
        if file is not None:
            files["checkpoint"] = repr(os.fspath(file))
            if isinstance(given.model, (str, os.PathLike)) or given.model is None:
                files["model"] = _with_config("load_model(checkpoint)", given).replace(
                    "checkpoint", repr(os.fspath(file)), 1
                )
        for name in ("mixture", "run", "data", "scores"):
            value = getattr(given, name)
            if isinstance(value, (str, os.PathLike)):
                files[name] = repr(os.fspath(value))
        if "mixture" in files and _as_samples(remedy, "mixture"):
            files["mixture"] = f"read_audio({files['mixture']})[0][0]"
        for name in ("references", "estimates"):
            paths = getattr(given, name)
            if isinstance(paths, (list, tuple)) and all(isinstance(p, (str, os.PathLike)) for p in paths):
                files[name] = _as_signals(
                    [os.fspath(path) for path in paths], f"for path in {name}]" in remedy
                )
        if given.sample_rate is not None or isinstance(given.mixture, (str, os.PathLike)):
            files["sample_rate"] = repr(given.sample_rate)
    bound = [f"{name} = {value}" for name, value in files.items() if name in loaded]
    line = "; ".join([*bound, remedy])
    wanted, _ = _names(line)
    return "; ".join([*dict.fromkeys(IMPORTS[name] for name in IMPORTS if name in wanted), line])


def command_line(finding: Finding, given: Inputs | None) -> str:
    """A command that works as it stands; when no command does it, the Python line, said to be one."""
    if not finding.remedy:
        return ""
    finding = replace(finding, remedy=_with_config(finding.remedy, given))
    make = _SPECIAL.get(finding.id)
    places = _places(given)
    line = make(finding, places) if make is not None else None
    ours = (Path(places["run"]) / "config.yaml").is_file()  # a run that `dprnn-lab train` can resume
    if line is None and finding.id in _COMMANDS and (ours or "{run}" not in _COMMANDS[finding.id]):
        line = _COMMANDS[finding.id].format(**{name: shlex.quote(value) for name, value in places.items()})
    return line if line is not None else f"{python_line(finding, given)}  # in Python"


def _with_config(remedy: str, given: Inputs | None) -> str:
    """The remedy; its ``load_model(checkpoint, ...)`` also gets the user's settings that it does not change."""
    call = "load_model(checkpoint"
    if given is None or not given.config or call not in remedy:
        return remedy
    calls = (n for n in ast.walk(ast.parse(remedy)) if isinstance(n, ast.Call))
    changed = {k.arg for c in calls if ast.unparse(c.func) == "load_model" for k in c.keywords}
    kept = "".join(f", {name}={value!r}" for name, value in given.config.items() if name not in changed)
    return remedy.replace(call, call + kept)


def _as_samples(remedy: str, name: str) -> bool:
    """Whether a remedy computes with the samples of a name; :func:`separate` and :func:`read_audio` take its path."""
    tree = ast.parse(remedy)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    given = {
        f: [a for c in calls if ast.unparse(c.func) == f for a in c.args] for f in ("separate", "read_audio")
    }
    named = {f: sum(isinstance(a, ast.Name) and a.id == name for a in args) for f, args in given.items()}
    read = [
        n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)
    ]
    return not named["read_audio"] and len(read) > named["separate"]


def _as_signals(paths: list[str], by_path: bool) -> str:
    """Python for the samples ``[S, T]`` of files, cut to the shortest; for the paths if a remedy reads them itself."""
    if by_path:
        return repr(paths)
    read = f"[read_audio(file)[0][0] for file in {paths!r}]"
    try:
        lengths = [soundfile.info(path).frames for path in paths]
    except (OSError, RuntimeError):  # a format that soundfile needs to be told, or a file that is gone
        lengths = []
    return (
        f"torch.stack([x[:{min(lengths)}] for x in {read}])"
        if len(set(lengths)) > 1
        else f"torch.stack({read})"
    )


def _places(given: Inputs | None) -> dict[str, str]:
    """The paths that were given, or a name to put a path in the place of."""
    places = {"mixture": "talk.wav", "checkpoint": "model.safetensors", "run": "runs/mine"}
    if given is None:
        return places
    file = given.model if isinstance(given.model, (str, os.PathLike)) else given.checkpoint
    for name, value in (("mixture", given.mixture), ("checkpoint", file), ("run", given.run)):
        if isinstance(value, (str, os.PathLike)):
            places[name] = os.fspath(value)
    if Path(places["run"]).suffix == ".csv":  # of a folder of ours, the curve lies in curves/version_N
        folder = Path(places["run"]).parent
        places["run"] = str(folder.parent.parent if folder.name.startswith("version_") else folder)
    return places


def _python(code: str) -> str:
    return f"python -c {shlex.quote(code)}"


def _change_samples(finding: Finding, places: dict[str, str]) -> str | None:
    """A file of the recording, changed as the Python line changes its samples."""
    if "resample=True" in finding.remedy:
        return _SEPARATE.format(**{n: shlex.quote(v) for n, v in places.items()}) + " --resample"
    line = finding.remedy.split("  #")[0]
    if line.startswith("mixture, sample_rate = read_audio(mixture)"):
        line = line.split("; ", 2)[2]  # _CHANGE reads the file itself
    if not line.startswith("mixture") or "read_audio" in line:
        return None  # another recording is wanted, or other samples are bad
    return _python(_CHANGE.format(mixture=places["mixture"], line=line))


def _other_settings(finding: Finding, places: dict[str, str]) -> str | None:
    """The weights written again with the settings that fit."""
    call = next((n for n in ast.walk(ast.parse(finding.remedy)) if isinstance(n, ast.Call)), None)
    settings = [f"--set {shlex.quote(f'{k.arg}={_value(k.value)}')}" for k in (call.keywords if call else [])]
    return " ".join(
        ["dprnn-lab convert", shlex.quote(places["checkpoint"]), "fitting.safetensors", *settings]
    )


def _value(node: ast.expr) -> str:
    value = ast.literal_eval(node)
    return value if isinstance(value, str) else repr(value)


def _without_code(finding: Finding, places: dict[str, str]) -> str | None:
    code = (
        f"import torch; content = torch.load({places['checkpoint']!r}, weights_only=False); "
        "torch.save({'state_dict': content['state_dict']}, 'weights.pth')"
    )
    return f"{_python(code)}  # only where the file was made: this runs its code"


def _chunk(finding: Finding, places: dict[str, str]) -> str | None:
    return f"dprnn-lab train runs/again --chunk-size {finding.evidence['best_chunk_size']}"


def _place_of_weights(finding: Finding, places: dict[str, str]) -> str | None:
    """Weights under another key, or one of several models, as a file that every command reads."""
    prefixes, file = finding.evidence.get("prefixes"), shlex.quote(places["checkpoint"])
    if "prefix=" in finding.remedy and isinstance(prefixes, list):
        prefix = finding.remedy.rpartition("prefix=")[2].rstrip(")").strip("'\"")
        return f"dprnn-lab convert {file} model.safetensors --prefix {shlex.quote(prefix)}"
    if "stores" in finding.evidence and finding.remedy.startswith("torch.save(torch.load("):
        line = finding.remedy.split("; ")[0].replace("checkpoint", repr(places["checkpoint"]))
        return _python(f"import torch; {line}")
    return None


def _other_checkpoint(finding: Finding, places: dict[str, str]) -> str | None:
    others = finding.evidence.get("others")
    return f"dprnn-lab info {shlex.quote(str(others[0]))}" if isinstance(others, list) and others else None


def _long_or_short(finding: Finding, places: dict[str, str]) -> str | None:
    if "window=" in finding.remedy:
        window = finding.remedy.rpartition("window=")[2].rstrip(")")
        return _SEPARATE.format(**{n: shlex.quote(v) for n, v in places.items()}) + f" --window {window}"
    return None if "separate(" in finding.remedy else _change_samples(finding, places)


_SPECIAL: dict[str, Callable[[Finding, dict[str, str]], str | None]] = {
    **{name: _change_samples for name in _SAMPLES},
    "config-shape": _other_settings,
    "config-silent": _other_settings,
    "weights-unsafe": _without_code,
    "weights-corrupt": _other_checkpoint,
    "weights-unmatched": _place_of_weights,
    "chunk-size": _chunk,
    "length": _long_or_short,
}


def unknown_names(line: str) -> set[str]:
    """Names in a line of Python that no import of :data:`IMPORTS` and no variable of the user gives.

    Raises:
        SyntaxError: not Python.
    """
    loaded, stored = _names(line)
    return loaded - stored - set(IMPORTS) - VARIABLES - set(dir(builtins))


def _names(line: str) -> tuple[set[str], set[str]]:
    """The names that a line reads, and those that it assigns."""
    nodes = [n for n in ast.walk(ast.parse(line)) if isinstance(n, ast.Name)]
    return (
        {n.id for n in nodes if isinstance(n.ctx, ast.Load)},
        {n.id for n in nodes if isinstance(n.ctx, ast.Store)},
    )

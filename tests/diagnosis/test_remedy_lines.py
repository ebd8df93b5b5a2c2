"""Every line to type works where the user is: its names exist, its options exist, its Python parses."""

import ast
import inspect
import re
import shlex

import pytest
import soundfile
import torch
import typer

import dprnn_lab
from dprnn_lab import cli, diagnose, save_model, training
from dprnn_lab.audio import read_audio, write_audio
from dprnn_lab.diagnosis import CATALOGUE, Finding
from dprnn_lab.diagnosis.remedies import IMPORTS, command_line, python_line, unknown_names
from dprnn_lab.faults import FAULTS, inject

COMMANDS = typer.main.get_command(cli.app).commands
IN_PYTHON_ONLY = {
    "sign-of-loss",
    "detached-loss",
    "no-pit",
    "pit-wrong-axis",
    "silent-target",
    "targets-inconsistent",
}
QUICK = {
    "weights-corrupt", "weights-unsafe", "weights-unmatched", "config-shape", "level", "rate-mismatch", "sign-of-loss",
    "detached-loss", "no-pit", "nan-run", "learning-rate", "resume", "chunk-size", "eval-mode",
}  # fmt: skip
CASES = [
    pytest.param(failure, next(iter(FAULTS[failure])), marks=[] if failure in QUICK else [pytest.mark.slow])
    for failure in CATALOGUE
]


def check_python(line):
    """Names are imported, assigned or the user's; functions of this package take the arguments that are given."""
    assert "\n" not in line
    assert unknown_names(line) == set()
    for call in (n for n in ast.walk(ast.parse(line)) if isinstance(n, ast.Call)):
        name = ast.unparse(call.func)
        space = {"dprnn_lab": dprnn_lab, "torch": torch}
        if name.split(".")[0] in IMPORTS:
            exec(IMPORTS[name.split(".")[0]], space)
            function = eval(name, space)
            if inspect.isfunction(function) or inspect.isclass(function):
                keywords = {k.arg: None for k in call.keywords if k.arg}
                inspect.signature(function).bind(*[None] * len(call.args), **keywords)


@pytest.mark.parametrize(
    ("failure", "variant"),
    [("late-estimates", None), ("references-mismatch", "3-ms"), ("order-arbitrary", "flipped"), ("scale-free", None),
     ("relative-level-lost", "peaks"), ("level", "offset"), ("outputs-alike", "same-twice")],
)  # fmt: skip
def test_a_line_runs_where_all_is_given_as_files(talk, tmp_path, failure, variant):
    case = inject(failure, talk(0), variant=variant)
    files = {"mixture": [case.mixture], "references": case.references, "estimates": case.estimates}
    for name, signals in list(files.items()):
        files[name] = [tmp_path / f"{name}{i}.wav" for i in range(len(signals))]
        for path, samples in zip(files[name], signals, strict=True):
            soundfile.write(path, samples.numpy(), 8000, subtype="FLOAT")  # which write_audio does not
    files["mixture"] = files["mixture"][0]
    model = save_model(case.model, tmp_path / "model.safetensors")
    report = diagnose(model, **files)
    assert report.causes[0].id == failure
    for finding in report.causes:
        exec(python_line(finding, report.evidence.given), {})


def test_a_line_keeps_the_settings_that_it_does_not_change(talk, tmp_path):
    case, path = talk(0), tmp_path / "weights.pth"
    torch.save(case.model.state_dict(), path)
    config = {**case.model.config, "stride": case.model.config["stride"] // 2}
    report = diagnose(path, case.mixture, 8000, config=config)
    finding = report["config-silent"]
    space = {}
    exec(python_line(finding, report.evidence.given), space)
    assert space["model"].config == case.model.config
    command = command_line(finding, report.evidence.given)
    assert "--set chunk_size=64" in command and "--set stride=16" in command


def check_command(line):
    """A command of ours with arguments and options that it has, or Python that parses."""
    if line.endswith("  # in Python"):
        return check_python(line.removesuffix("  # in Python"))
    program, *arguments = shlex.split(line, comments=True)
    if program == "python":
        assert arguments[0] == "-c"
        return check_python(arguments[1])
    assert program == "dprnn-lab"
    name, *rest = arguments
    command = COMMANDS[name]
    command.make_context(name, rest)  # raises for an unknown option or a missing argument


@pytest.mark.parametrize("name", IMPORTS)
def test_imports_work(name):
    space = {}
    exec(IMPORTS[name], space)
    assert name in space


@pytest.mark.parametrize(("failure", "variant"), CASES)
def test_every_line_works_in_python_and_on_the_command_line(broken, failure, variant):
    case = broken(failure, variant)
    report = case.diagnose()
    for finding in report.findings:
        if finding.named:
            check_python(finding.remedy)
            check_python(python_line(finding, report.evidence.given))
            check_command(command_line(finding, report.evidence.given))


@pytest.mark.parametrize("failure", sorted(set(CATALOGUE) - IN_PYTHON_ONLY - {"leakage", "same-speaker"}))
def test_what_the_command_line_can_find_it_can_also_mend(failure):
    """A failure without a command of its own gets the Python line, said to be one; that is for a few only."""
    from dprnn_lab.diagnosis.remedies import _COMMANDS, _SPECIAL

    without = {
        "silence", "sources-count", "domain-mismatch", "eval-mode", "unseen-speakers", "one-speaker",
        "references-mismatch",
    }  # fmt: skip
    assert (failure in _COMMANDS or failure in _SPECIAL) or failure in without


@pytest.mark.parametrize(
    ("remedy", "answer"),
    [
        ("mixture, sample_rate = read_audio(mixture); mixture = mixture[0]; mixture = -mixture", -1.0),
        ("mixture = mixture * (0.5 / mixture.abs().max())", None),
    ],
)
def test_a_recording_repaired_from_the_command_line(tmp_path, monkeypatch, remedy, answer):
    monkeypatch.chdir(tmp_path)
    samples = 0.1 * torch.randn(4000)
    write_audio(tmp_path / "it's a talk.wav", samples, 8000)
    finding = Finding("polarity", "fail", "so", {}, "limit", remedy)
    given = diagnose(mixture=tmp_path / "it's a talk.wav").evidence.given
    program, flag, code = shlex.split(command_line(finding, given))
    assert (program, flag) == ("python", "-c")
    exec(code, {})
    repaired, rate = read_audio(tmp_path / "repaired.wav")
    assert rate == 8000
    if answer is not None:
        assert torch.allclose(repaired[0], answer * samples, atol=1e-3)
    else:
        assert repaired.abs().max() == pytest.approx(0.5, abs=1e-3)


def test_the_line_is_complete_for_files(tmp_path):
    finding = Finding(
        "rate-mismatch", "fail", "so", {}, "limit", "estimates = separate(model, mixture, resample=True)"
    )
    report = diagnose("small", config={})
    report.evidence.given.mixture = "a talk.wav"
    line = report.line(finding)
    assert line == (
        "from dprnn_lab import load_model; from dprnn_lab import separate; model = load_model('small'); "
        "mixture = 'a talk.wav'; estimates = separate(model, mixture, resample=True)"
    )
    report.on_command_line = True
    assert report.line(finding) == "dprnn-lab separate 'a talk.wav' --model small --resample"


def test_a_run_of_ours_is_resumed_and_another_is_not(tmp_path):
    finding = Finding(
        "resume", "fail", "so", {}, "limit", 'training.train(model, data, run, max_steps, resume="x.ckpt")'
    )
    given = diagnose().evidence.given
    given.run = tmp_path
    assert command_line(finding, given).endswith("# in Python")
    (tmp_path / "config.yaml").write_text("clip: 5\n")
    assert command_line(finding, given) == f"dprnn-lab train --resume {shlex.quote(str(tmp_path))}"
    assert "resume" in inspect.signature(training.train).parameters


def test_no_remedy_predates_windows():
    """Separating in windows is what separate does: no text sends people to cut files themselves."""
    for entry in CATALOGUE.values():
        assert not re.search(r"cut (it|the file)|in pieces|split the (file|recording)", entry.remedy)
    assert "as separate does by default" in CATALOGUE["length"].remedy

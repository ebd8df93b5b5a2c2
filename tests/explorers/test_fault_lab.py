"""The fault lab: what is measured of a broken case, against answers worked out by hand; and the widget itself."""

import matplotlib.pyplot as plt
import pytest
import torch

from dprnn_lab.diagnosis import CATALOGUE
from dprnn_lab.explorers import fault_lab
from dprnn_lab.explorers.fault_lab import FaultLab, draw_run
from dprnn_lab.explorers.fault_run import choose_hidden, improvement, outcome, run_fault
from dprnn_lab.faults import FAULTS, Case, has_strength


@pytest.fixture
def tones() -> torch.Tensor:
    """Three orthogonal tones of one energy: [3, 4000]."""
    time = torch.arange(4000) / 8000
    return 0.1 * torch.stack([torch.sin(2 * torch.pi * f * time) for f in (200, 360, 1000)])


@pytest.fixture(scope="module")
def swapped():
    """Estimates in the other order: made once, it needs no search."""
    return run_fault("order-arbitrary", "flipped")


# ---------------------------------------------------------------- what is measured


def test_the_improvement_of_orthogonal_tones(tones):
    sources, noise = tones[:2], tones[2]
    mixture = sources.sum(0)  # 0 dB for each source
    outputs = sources + 0.1 * noise  # 20 dB
    assert improvement(outputs, sources, mixture) == pytest.approx(20, abs=0.1)
    assert improvement(outputs.flip(0), sources, mixture) == pytest.approx(20, abs=0.1)
    assert improvement(torch.stack((mixture, mixture)), sources, mixture) == pytest.approx(0, abs=1e-3)


def test_an_improvement_that_means_nothing_is_none(tones):
    sources, mixture = tones[:2], tones[:2].sum(0)
    broken = sources.clone()
    broken[0, 7] = torch.nan
    assert improvement(broken, sources, mixture) is None
    assert improvement(sources, torch.stack((sources[0], 0 * sources[0])), mixture) is None
    assert improvement(sources, sources, torch.full_like(mixture, 0.1)) is None  # a constant is no sound


@pytest.mark.parametrize(("sources", "length"), [(3, 4000), (2, 3999)])
def test_shapes_that_do_not_fit(tones, sources, length):
    with pytest.raises(ValueError, match="give \\[S, T\\], \\[S, T\\] and \\[T\\]"):
        improvement(tones[:2], tones[:sources, :length], tones[0])


def test_a_recording_with_estimates_needs_no_model(tones):
    case = Case(
        mixture=tones[:2].sum(0), references=tones[:2], estimates=(tones[:2] + 0.1 * tones[2]).flip(0)
    )
    found = outcome(case)
    assert list(found.sounds) == ["mixture", "output 1", "output 2"]
    assert found.improvement == pytest.approx(20, abs=0.1)
    assert found.facts["SI-SDRi, best order"] == "20.0 dB"
    assert float(found.facts["SI-SDRi, order given"].split()[0]) < -10
    assert found.facts["mixture"] == "[4000] at 8000 Hz"


def test_channels_are_averaged(tones):
    both = torch.stack((tones[0], 0.5 * tones[0]))
    for mixture in (both, both.T):
        found = outcome(Case(mixture=mixture, estimates=tones[:2]))
        assert torch.allclose(found.sounds["mixture"], 0.75 * tones[0])
        assert found.facts["mixture"].startswith(str(list(mixture.shape)))


def test_the_score_waits_for_sources_that_belong_to_the_outputs(tones):
    case = Case(mixture=tones.sum(0), references=tones, truth=tones[:2], estimates=tones[:2])
    assert outcome(case).improvement is None  # three references, two outputs
    assert outcome(case.change(references=None)).improvement is not None
    assert outcome(case.change(references=None, speakers=3)).improvement is None


def test_a_batch_in_numbers(tones):
    sources = torch.stack((tones[:2], torch.stack((tones[0], 0.01 * tones[1]))))
    found = outcome(Case(batch=(sources.sum(1) + 0.25, sources)), "batch")
    assert found.facts["largest difference of mixture and sum"] == "0.25"
    assert found.facts["quietest target under the loudest"] == "-40 dB"
    assert torch.equal(found.sounds["target 2"], tones[1])


def test_a_loss_in_numbers():
    def facts(failure, variant):
        run = run_fault(failure, variant)
        name = "loss of good estimates, and in the other order"
        return run.healthy.facts[name].split(", "), run.broken.facts[name]

    (right, swapped), broken = facts("no-pit", "fixed-order")
    assert right == swapped and broken.split(", ")[0] == right and broken.split(", ")[1] != right
    assert facts("pit-wrong-axis", "transposed")[1] == "it raises ValueError"


def test_nothing_to_run(tones):
    found = outcome(Case(mixture=tones[0]))
    assert found.outputs is None
    assert found.facts["outputs"] == found.missing == "there is no model yet"


KINDS = [
    ("weights-unsafe", "system", "recording", "does not load"),
    ("weights-unmatched", "lightning", "recording", ""),
    ("not-finite", "nan-sample", "recording", ""),
    ("channels", "transposed", "recording", ""),
    ("length", "two-minutes", "recording", "120 s"),
    ("chunk-size", "4000", "recording", "no model yet"),
    ("targets-inconsistent", "shifted", "batch", ""),
    ("leakage", "copied", "data", ""),
    ("overfit", "fixed-list", "run", "in the training"),
]


@pytest.mark.parametrize(("failure", "variant", "part", "missing"), KINDS)
def test_every_kind_of_failure_has_its_sounds_and_its_report(failure, variant, part, missing, tmp_path):
    run = run_fault(failure, variant, folder=tmp_path)
    sound = {"recording": "mixture", "batch": "target 1", "data": "target 2", "run": None}[part]
    assert sound in run.broken.sounds if sound else not run.broken.sounds
    assert missing in run.broken.missing and bool(missing) == bool(run.broken.missing)
    assert run.named == failure and run.right
    assert failure in run.sentence() and variant in run.sentence() and "right" in run.sentence()
    assert run.broken.facts != run.healthy.facts or part == "run" or failure == "leakage"
    draw_run(run)
    assert not plt.get_fignums()


def test_a_file_at_another_rate_says_it(tmp_path):
    run = run_fault("rate-mismatch", "wrong-file", folder=tmp_path)
    (path,) = tmp_path.glob("mixture_*.wav")
    assert path.stem.removeprefix("mixture_") in run.broken.facts["mixture"]
    assert run.broken.improvement is None  # its outputs are not as long as the sources
    assert "(assumed)" in run_fault("rate-mismatch", "unstated").broken.facts["mixture"]


@pytest.mark.slow
def test_dropout_that_was_left_on_changes_the_outputs_and_is_seeded():
    state = torch.get_rng_state()
    first, again, other = (run_fault("eval-mode", "dropout", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.broken.outputs, again.broken.outputs)
    assert not torch.equal(first.broken.outputs, other.broken.outputs)
    assert not torch.equal(first.broken.outputs, first.healthy.outputs)


@pytest.mark.slow
def test_strength_number_and_kind_are_passed_on():
    weak, gross = (
        run_fault("level", "offset", strength).broken.sounds["mixture"].mean().abs() for strength in (0, 1)
    )
    assert gross > 2 * weak
    mixtures = [
        run_fault("order-arbitrary", kind=kind, number=number).healthy.sounds["mixture"]
        for kind, number in (("man-woman", 1), ("man-woman", 4), ("woman-woman", 0))
    ]
    assert not any(torch.equal(a, b) for a, b in zip(mixtures, mixtures[1:] + mixtures[:1], strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"failure": "level", "strength": 2}, "from 0 to 1"),
        ({"failure": "wights"}, "choose one of"),
        ({"failure": "level", "variant": "loud"}, "level has"),
        ({"failure": "level", "kind": "man-man"}, "man-man"),
    ],
)
def test_what_can_not_be_run(arguments, message):
    with pytest.raises(ValueError, match=message):
        run_fault(**arguments)


def test_which_faults_have_degrees():
    assert has_strength("domain-mismatch", "white-noise")
    assert has_strength("seam-artefact", "gaps-1-s")
    assert not has_strength("polarity", "inverted")
    assert not has_strength("weights-corrupt", "web-page")
    with pytest.raises(KeyError):
        has_strength("level", "loud")


def test_a_hidden_failure_is_drawn_by_seed_and_from_the_groups():
    drawn = [choose_hidden("D", seed) for seed in range(30)]
    assert drawn == [choose_hidden("D", seed) for seed in range(30)]
    assert {failure for failure, *_ in drawn} == {e.id for e in CATALOGUE.values() if e.group == "D"}
    assert all(variant in FAULTS[failure] for failure, variant, *_ in drawn)
    with pytest.raises(ValueError, match="letters A to E"):
        choose_hidden("X")


@pytest.mark.slow
def test_a_wrong_report_is_shown(swapped):
    from dataclasses import replace

    wrong = replace(swapped, failure="polarity", variant="inverted")
    assert "wrong: read on" in wrong.sentence() and not wrong.right
    silent = replace(wrong, report=run_fault("order-arbitrary", "flipped").report.__class__([], None))
    assert "named nothing: wrong" in silent.sentence()
    later = run_fault("order-arbitrary", "flipped").report
    later.findings.sort(key=lambda f: f.id != "level")
    level = next(f for f in later.findings if f.id == "level")
    later.findings[0] = replace(level, state="warn")
    assert "further down" in replace(swapped, report=later).sentence()


# ---------------------------------------------------------------- picture and widget


def test_the_picture_says_what_can_not_be_drawn(tones, swapped):
    from dataclasses import replace

    sounds = {"mixture": tones[0], "output 1": tones[1].clone().fill_(torch.nan), "output 2": tones[0, :100]}
    figure = draw_run(replace(swapped, broken=replace(swapped.broken, sounds=sounds)))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "healthy: mixture" and titles[3] == "broken: mixture"
    texts = [t.get_text() for axes in figure.axes for t in axes.texts]
    assert texts == ["4000 of 4000 samples\nare NaN or infinite", "100 samples: too short to draw"]
    figure = draw_run(replace(swapped, broken=replace(swapped.broken, sounds={"mixture": tones[0]})))
    assert [t.get_text() for axes in figure.axes for t in axes.texts] == ["no sound"] * 2


@pytest.fixture
def lab() -> FaultLab:
    return FaultLab("D")


def page(lab: FaultLab) -> str:
    """All text on show."""
    return lab.readout.value + lab.players.value + lab.evidence.value + lab.report.value


def test_the_choices_are_those_of_the_groups():
    names = [value for _, value in FaultLab("AC").failure.options]
    assert set(names) == {e.id for e in CATALOGUE.values() if e.group in "AC"}
    assert [CATALOGUE[n].group for n in names] == sorted(CATALOGUE[n].group for n in names)
    with pytest.raises(ValueError, match="letters A to E"):
        FaultLab("Z")


def test_variants_and_strength_follow_the_failure(lab):
    lab.failure.value = "scale-free"
    assert list(lab.variant.options) == list(FAULTS["scale-free"])
    box = lab.strength_row.children[0]
    assert lab.strength.disabled and box.disabled
    lab.failure.value = "seam-artefact"
    assert not lab.strength.disabled
    lab.variant.value = "joined-0.25-s"
    assert lab.strength.disabled
    box.value = 0.8
    assert lab.strength.value == 0.8


def test_the_button_breaks_it_and_shows_everything(lab):
    assert "fault-readout" in lab.readout._dom_classes and "Break it" in lab.readout.value
    assert lab.picture.layout.display == "none"  # no broken image before there is one
    lab.failure.value = "order-arbitrary"
    lab.variant.value = "negative"
    lab.kind.value = "woman-woman"
    lab.number.value = 3
    lab.run_button.click()
    assert (lab.run.failure, lab.run.variant) == ("order-arbitrary", "negative")
    assert lab.run.sentence() in lab.readout.value
    assert lab.picture.value[:4] == b"\x89PNG"
    assert (lab.picture.layout.display, lab.picture.layout.visibility) == ("block", "visible")
    assert lab.players.value.count("<audio") == 8  # three healthy, three broken, two references
    assert "SI-SDRi, best order" in lab.evidence.value
    assert "<code>order-arbitrary</code>" in lab.report.value
    assert torch.equal(
        lab.run.healthy.sounds["mixture"],
        run_fault("scale-free", kind="woman-woman", number=3).healthy.sounds["mixture"],
    )
    assert not plt.get_fignums()
    assert "widget" in repr(lab)


def test_a_hidden_failure_stays_a_secret_until_the_guess(lab, monkeypatch):
    monkeypatch.setattr(fault_lab, "choose_hidden", lambda groups, seed: ("scale-free", "clipped", 0.5, 2))
    assert lab.guess.disabled and lab.check_button.disabled
    lab.hide_button.click()
    assert lab.hidden and not lab.guess.disabled
    assert "scale-free" not in page(lab) and "clipped" not in page(lab) and not lab.report.value
    assert "true:" not in lab.players.value and lab.players.value.count("<audio") == 6
    lab.check_button.click()
    assert "Choose a name" in lab.readout.value and lab.hidden
    lab.guess.value = "seam-artefact"
    lab.check_button.click()
    assert "You said seam-artefact; it was scale-free (0 of 1 right so far)" in lab.readout.value
    assert "<code>scale-free</code>" in lab.report.value
    assert not lab.hidden and lab.check_button.disabled
    lab.check_button.click()  # nothing to guess: nothing happens
    assert lab.score == (0, 1)
    lab.hide_button.click()
    assert lab.guess.value == ""
    lab.guess.value = "scale-free"
    lab.check_button.click()
    assert "You are right (1 of 2 right so far)" in lab.readout.value


@pytest.mark.slow
def test_two_games_differ(lab, monkeypatch):
    drawn = []
    real = fault_lab.choose_hidden

    def remember(groups, seed):
        drawn.append(real(groups, seed))
        return "scale-free", "clipped", 0.5, 2

    monkeypatch.setattr(fault_lab, "choose_hidden", remember)
    for _ in range(2):
        lab.hide_button.click()
    assert len(set(drawn)) == 2


def test_an_error_is_shown_and_nothing_old_is_left(lab, monkeypatch):
    lab.run_button.click()
    assert lab.report.value

    def fails(*choice, **options):
        raise RuntimeError("a <b>broken</b> case")

    monkeypatch.setattr(fault_lab, "run_fault", fails)
    for button in (lab.run_button, lab.hide_button):
        button.click()
        assert "That did not work</b>: RuntimeError: a &lt;b&gt;broken" in lab.readout.value
        assert not (lab.report.value or lab.players.value or lab.evidence.value or lab.picture.value)
        assert lab.picture.layout.visibility == "hidden"
        assert lab.run is None and not lab.hidden and not lab.run_button.disabled


@pytest.mark.slow
def test_a_users_own_model():
    from dprnn_lab import load_model
    from dprnn_lab.files import data_folder

    model = load_model(data_folder() / "model" / "small.safetensors")
    bundled, own = (run_fault("order-arbitrary", "flipped", number=1, model=m) for m in (None, model))
    assert own.healthy.improvement == pytest.approx(bundled.healthy.improvement, abs=1e-3)

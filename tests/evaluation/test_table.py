import itertools
import math
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import nn

from dprnn_lab.evaluation import evaluate, summarise
from dprnn_lab.loss import si_sdr


class Answers(nn.Module):
    """A model that gives prepared answers in turn."""

    def __init__(self, answers):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.answers = iter(answers)

    def forward(self, mixture):
        assert not self.training
        return next(self.answers)


def mixtures(count=3, n_src=2, kind="man-woman"):
    made = []
    for i in range(count):
        sources = torch.randn(n_src, 800)
        made.append((sources.sum(0), sources, SimpleNamespace(id=f"{kind}-{i}", kind=kind)))
    return made


def test_scores_are_those_of_the_best_order():
    items = mixtures(3, n_src=3)
    answers = [sources[[2, 0, 1]] + 0.1 * torch.randn(3, 800) for _, sources, _ in items]
    table = evaluate(Answers(answers), items)
    for row, answer, (mixture, sources, _) in zip(table.itertuples(), answers, items, strict=True):
        orders = itertools.permutations(range(3))
        best = max(si_sdr(answer[list(order)], sources).mean().item() for order in orders)
        before = si_sdr(mixture.expand(3, -1), sources).mean().item()
        assert row.si_sdr == pytest.approx(best, abs=1e-4)
        assert row.si_sdr_in == pytest.approx(before, abs=1e-4)
        assert row.si_sdri == pytest.approx(best - before, abs=1e-4)


def test_the_mixture_copied_to_the_outputs_improves_nothing_and_has_correlation_1():
    items = mixtures(2)
    table = evaluate(Answers([mixture.expand(2, -1) for mixture, _, _ in items]), items)
    assert table.si_sdri.tolist() == pytest.approx([0, 0], abs=1e-4)
    assert table.correlation.tolist() == pytest.approx([1, 1], abs=1e-5)


def test_correlation_is_absolute_and_near_zero_for_different_outputs():
    items = mixtures(2)
    sources = items[1][1]
    table = evaluate(Answers([torch.stack((items[0][0], -items[0][0])), sources]), items)
    assert table.correlation[0] == pytest.approx(1, abs=1e-5)
    assert table.correlation[1] < 0.15


def test_the_table_names_the_mixtures_in_order(tiny):
    table = evaluate(tiny(), mixtures(2) + mixtures(1, kind="woman-woman"))
    assert table["id"].tolist() == ["man-woman-0", "man-woman-1", "woman-woman-0"]
    assert table["kind"].tolist() == ["man-woman", "man-woman", "woman-woman"]
    assert table.drop(columns=["id", "kind"]).apply(lambda column: column.map(math.isfinite)).all(axis=None)


def test_one_source_has_no_correlation(tiny):
    table = evaluate(tiny(n_src=1), mixtures(1, n_src=1))
    assert math.isnan(table.correlation[0])
    assert math.isfinite(table.si_sdr[0])


@pytest.mark.parametrize("training", [True, False])
def test_the_models_mode_is_left_as_it_was(tiny, training):
    model = tiny().train(training)
    evaluate(model, mixtures(1))
    assert model.training is training


def test_more_estimates_than_sources_are_an_error(tiny):
    with pytest.raises(ValueError, match="estimates have shape"):
        evaluate(tiny(n_src=3), mixtures(1, n_src=2))


def test_a_summary_has_a_row_per_kind_in_the_order_of_the_table():
    table = pd.DataFrame(
        {
            "kind": ["woman-woman", "man-woman", "woman-woman", "man-woman"],
            "si_sdri": [4.0, 10.0, 8.0, 12.0],
            "correlation": [0.1, 0.0, 0.3, 0.2],
        }
    )
    summary = summarise(table)
    assert summary.kind.tolist() == ["woman-woman", "man-woman"]
    assert summary.mixtures.tolist() == [2, 2]
    assert summary["mean"].tolist() == [6.0, 11.0]
    assert summary["std"].tolist() == pytest.approx([8**0.5, 2**0.5])
    assert summary.worst.tolist() == [4.0, 10.0]
    assert summary.best.tolist() == [8.0, 12.0]
    assert summary.correlation.tolist() == pytest.approx([0.2, 0.1])


def test_summarise_refuses_an_empty_table():
    with pytest.raises(ValueError, match="no mixtures"):
        summarise(pd.DataFrame())


def test_a_summary_gives_intervals_and_counts_what_is_undefined():
    table = pd.DataFrame({"kind": "x", "si_sdri": [1.0, 3.0], "sdr": [2.0, math.nan], "correlation": 0.0})
    row = summarise(table).iloc[0]
    assert row.low == pytest.approx(1)
    assert row.high == pytest.approx(3)
    assert "undefined" not in row
    row = summarise(table, "sdr").iloc[0]
    assert (row.mixtures, row["mean"], row.undefined) == (1, 2, 1)
    assert math.isnan(summarise(table.assign(sdr=math.nan), "sdr").iloc[0]["mean"])
    with pytest.raises(ValueError, match="metric is 'pesq': the table has kind, si_sdri"):
        summarise(table, "pesq")


def test_several_systems_share_a_table_in_which_each_is_named(tiny):
    items = mixtures(2)
    table = evaluate({"a": tiny(), "copy": lambda mixture, sources, spec: mixture.expand(2, -1)}, items)
    assert table.system.tolist() == ["a", "copy"] * 2
    assert table[table.system == "copy"].si_sdri.abs().max() < 1e-4
    assert summarise(table).system.tolist() == ["a", "copy"]


def test_the_real_time_factor_is_computing_over_audio(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    monkeypatch.setattr("dprnn_lab.evaluation.table.time", clock)

    def slow(mixture, sources, spec):
        clock.now += 0.05
        return sources

    assert evaluate(slow, mixtures(1)).rtf[0] == pytest.approx(0.05 / 0.1)  # 800 samples at 8 kHz

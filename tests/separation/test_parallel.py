"""Windows several at a time: equal results, bounded memory, order, errors, and nothing left changed."""

import threading
import time
from functools import partial

import pytest
import torch

from dprnn_lab import separate
from dprnn_lab.audio import AudioError, write_audio
from dprnn_lab.separation import parallel
from dprnn_lab.separation.file_to_file import separate_file, separate_files
from dprnn_lab.separation.parallel import estimates_of, in_parallel, usable_cores


@pytest.fixture
def model(tiny):
    return tiny(n_repeats=1)


@pytest.fixture
def threads():
    """PyTorch with three threads, in the calling thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


# The same results


@pytest.mark.parametrize("samples", [8000, 8001, 20011, 4 * 8000 + 77])
def test_the_estimates_do_not_depend_on_the_number_of_workers(model, samples):
    mixture = 0.1 * torch.randn(samples)
    expected = separate(model, mixture, window=1, workers=1)
    for workers in (2, 4, None):
        assert torch.equal(separate(model, mixture, window=1, workers=workers), expected)


def test_a_trained_network_gives_the_same_bits_in_both_precisions():
    from dprnn_lab import load_model

    small, mixture = load_model("small"), 0.1 * torch.randn(20011)
    for precision in ("float32", "bfloat16"):
        expected = separate(small, mixture, window=1, workers=1, precision=precision)
        assert torch.equal(separate(small, mixture, window=1, workers=2, precision=precision), expected)


def test_a_list_is_separated_in_its_order(model):
    several = [0.1 * torch.randn(n) for n in (9000, 700, 20011, 701, 16000)]
    calls = []
    found = separate(model, several, window=1, workers=3, progress=lambda *call: calls.append(call))
    assert calls == [(i + 1, 5) for i in range(5)]
    for estimates, mixture in zip(found, several, strict=True):
        assert torch.equal(estimates, separate(model, mixture, window=1, workers=1))


@pytest.mark.parametrize("workers", [2, 4])
def test_files_are_the_same_to_the_byte_and_in_their_order(model, tmp_path, workers):
    for name, samples in {"a": 9000, "b": 33001, "c": 700, "d": 12345}.items():
        write_audio(tmp_path / "in" / f"{name}.wav", 0.1 * torch.randn(samples), 8000)
    (tmp_path / "in" / "ba.wav").write_text("not audio")
    contents, names = [], []
    for count in (1, workers):
        out = tmp_path / f"out{count}"
        results = list(separate_files(model, [tmp_path / "in"], out, window=1, workers=count))
        names.append([(r.source.name, r.windows, r.error) for r in results])
        contents.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert names[0] == names[1]
    assert [name for name, _, error in names[0] if error] == ["ba.wav"]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 8


def test_a_file_given_twice_is_separated_twice_in_turn(model, tmp_path):
    talk = write_audio(tmp_path / "talk.wav", 0.1 * torch.randn(20011), 8000)
    results = list(separate_files(model, [talk, talk], window=1, workers=4))
    assert results[0].error is None
    assert "exists already; use force=True" in results[1].error
    assert all(r.error is None for r in separate_files(model, [talk, talk], window=1, workers=4, force=True))


# Threads


def test_each_window_has_a_core_and_the_callers_threads_stay(model, threads):
    seen = []
    model.decoder.register_forward_hook(
        lambda *call: seen.append((torch.get_num_threads(), threading.get_ident()))
    )
    inside = []
    separate(
        model,
        torch.randn(4 * 8000),
        window=1,
        workers=2,
        progress=lambda *call: inside.append(torch.get_num_threads()),
    )
    assert {count for count, _ in seen} == {1}
    assert threading.get_ident() not in {thread for _, thread in seen}
    assert set(inside) == {threads}
    assert torch.get_num_threads() == threads
    started = []
    later = threading.Thread(target=lambda: started.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert started == [threads]  # what new threads begin with is as before, too


def test_a_single_window_uses_all_threads_and_one_worker_a_single_core(model, threads):
    seen = []
    model.decoder.register_forward_hook(lambda *call: seen.append(torch.get_num_threads()))
    separate(model, torch.randn(8000), window=1, workers=2)
    assert seen == [threads]
    separate(model, torch.randn(16000), window=1, workers=1)
    assert set(seen[1:]) == {1}
    assert torch.get_num_threads() == threads


def test_two_windows_run_at_the_same_time():
    both = threading.Barrier(2, timeout=20)  # passed only by two at once
    results = [future.result() for _, future in in_parallel([(k, both.wait) for k in range(4)], 2)]
    assert sorted(results) == [0, 0, 1, 1]


def test_the_number_follows_the_cores(monkeypatch, threads):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 2, 3, 4}, raising=False)
    assert usable_cores() == threads  # what OMP_NUM_THREADS or the caller allows
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {7, 8}, raising=False)
    assert usable_cores() == 2


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_no_more_windows_are_held_than_one_over_the_workers(model, workers):
    alive, most = set(), [0]

    class Window:
        """A window's samples, counted from being read until the caller has done with the estimates."""

        def __init__(self, k):
            self.k = k

        def read(self):
            alive.add(self.k)
            most[0] = max(most[0], len(alive))
            return torch.randn(800)

    windows = ((k, Window(k).read) for k in range(12))
    for k, future in estimates_of(model, windows, workers):
        future.result()
        time.sleep(0.02)  # the workers go on meanwhile
        alive.remove(k)
    assert not alive
    assert most[0] <= workers + 1


# Errors


def test_an_error_ends_all_and_leaves_the_model_and_the_threads_as_they_were(model, threads):
    begun = []

    def broken(k):
        begun.append(k)
        if k == 3:
            raise ZeroDivisionError("in window 3")
        return torch.randn(800)

    model.train()
    with pytest.raises(ZeroDivisionError, match="in window 3"):
        separate_all(model, ((k, partial(broken, k)) for k in range(100)))
    assert max(begun) <= 3 + 2 + 1
    assert model.training
    assert torch.get_num_threads() == threads
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("window")]


def separate_all(model, windows):
    generator = estimates_of(model, windows, 2)
    try:
        return [future.result() for _, future in generator]
    finally:
        generator.close()


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_an_output_that_is_not_finite_is_the_same_error(model, workers):
    model.decoder.filters.data[0] = float("nan")
    with pytest.raises(AudioError, match="the model's output for wav: 16000 of 16000 samples are NaN"):
        separate(model, 0.1 * torch.randn(4 * 8000), window=1, workers=workers)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_in_a_list_comes_after_the_items_before_it(model, workers):
    calls = []
    with pytest.raises(AudioError, match=r"wav\[2\] has shape \[1, 0\]"):
        separate(
            model,
            [torch.randn(9000), torch.randn(700), torch.zeros(0), torch.randn(700)],
            workers=workers,
            progress=lambda *call: calls.append(call),
        )
    assert calls == [(1, 4), (2, 4)]


class Stopped(BaseException):
    """As KeyboardInterrupt, which would end the tests."""


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_an_interrupted_list_of_files_keeps_what_is_done_and_continues(model, tmp_path, workers):
    for name in "abc":
        write_audio(tmp_path / "in" / f"{name}.wav", 0.1 * torch.randn(20011), 8000)
    expected = tmp_path / "expected"
    list(separate_files(model, [tmp_path / "in"], expected, window=1, workers=1))

    def progress(source):
        def stop(done, total):
            if source.stem == "b" and done == 2:
                raise Stopped

        return stop

    out, found = tmp_path / "out", []
    with pytest.raises(Stopped) as caught:
        for result in separate_files(
            model, [tmp_path / "in"], out, window=1, workers=workers, progress=progress
        ):
            found.append(result.source.stem)
    assert found == ["a"]
    assert f"2 of 4 windows are kept in {out / '.b.separation'}" in caught.value.__notes__[0]
    assert sorted(p.name for p in out.iterdir()) == [".b.separation", "a_s1.wav", "a_s2.wav"]
    again = list(separate_files(model, [tmp_path / "in"], out, window=1, workers=workers, force=True))
    assert [r.notes for r in again] == [[], ["continued after window 2 of 4"], []]
    for path in out.iterdir():
        assert path.read_bytes() == (expected / path.name).read_bytes()


@pytest.mark.parametrize("workers", [1, 4])
def test_files_that_all_fail_leave_no_folder_behind(model, tmp_path, workers):
    model.decoder.filters.data[0] = float("nan")
    for name in "abc":
        write_audio(tmp_path / "in" / f"{name}.wav", 0.1 * torch.randn(9000), 8000)
    results = list(separate_files(model, [tmp_path / "in"], tmp_path / "new" / "out", workers=workers))
    assert all("the model's output for" in result.error for result in results)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_an_impossible_number_is_named(model, tmp_path, workers):
    talk = write_audio(tmp_path / "talk.wav", 0.1 * torch.randn(9000), 8000)
    for call in (
        lambda: separate(model, torch.randn(9000), workers=workers),
        lambda: separate_file(model, talk, workers=workers),
        lambda: list(separate_files(model, [talk], workers=workers)),
    ):
        with pytest.raises(AudioError, match=f"workers is {workers!r}: give the number of windows"):
            call()
    assert list(tmp_path.iterdir()) == [talk]


# On a GPU


@pytest.fixture
def small_memory(model, monkeypatch):
    """The path of a GPU, on the CPU, with memory for three windows; the sizes of the batches tried."""
    tried = []

    def forward(model, samples, precision):
        tried.append(len(samples))
        if len(samples) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return torch.stack([parallel_forward(model, one, precision) for one in samples])

    parallel_forward = parallel.forward
    monkeypatch.setattr(parallel, "forward", forward)
    monkeypatch.setattr(parallel, "goes_in_batches", lambda device: True)
    return tried


def test_a_batch_that_does_not_fit_is_halved(model, small_memory):
    mixture = 0.1 * torch.randn(10 * 8000)
    expected = separate(model, mixture, window=1, workers=1)
    assert small_memory == [13, 6, 3, 3, 3, 3, 1]
    assert torch.equal(expected, separate(model, mixture, window=1, workers=4))


def test_files_go_in_batches_too_and_keep_their_lengths(model, small_memory):
    several = [0.1 * torch.randn(n) for n in (9000, 700, 700, 20011)]
    for estimates, mixture in zip(separate(model, several, window=1), several, strict=True):
        assert estimates.shape == (2, len(mixture))


def test_a_single_window_that_does_not_fit_is_an_error(model, monkeypatch):
    def forward(model, samples, precision):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(parallel, "forward", forward)
    monkeypatch.setattr(parallel, "goes_in_batches", lambda device: True)
    with pytest.raises(torch.OutOfMemoryError):
        separate(model, torch.randn(20011), window=1)


# In a diagnosis


def test_a_diagnosis_separates_its_pieces_at_the_same_time(tiny, threads, monkeypatch):
    from dprnn_lab.diagnosis.evidence import Evidence
    from dprnn_lab.diagnosis.inputs import Inputs

    monkeypatch.setattr("dprnn_lab.diagnosis.evidence.usable_cores", lambda: 2)
    pieces = 0.1 * torch.randn(3, 4000)
    for options, parallel_rows in [({}, True), ({"encoder_activation": "softmax"}, False)]:
        evidence = Evidence(Inputs(model=tiny(**options)))
        seen = []
        evidence.network.decoder.register_forward_hook(
            lambda *call, seen=seen: seen.append((threading.get_ident(), torch.get_num_threads()))
        )
        estimates = evidence.separate(pieces)
        with torch.no_grad():
            torch.testing.assert_close(estimates, evidence.network(pieces), atol=1e-6, rtol=1e-4)
        rows = seen[:-1]
        assert len(rows) == (3 if parallel_rows else 1)
        assert (threading.get_ident() in {thread for thread, _ in rows}) != parallel_rows
        assert {count for _, count in rows} == {1 if parallel_rows else threads}


# In an evaluation


def test_an_evaluation_separates_its_mixtures_at_the_same_time(tiny, threads):
    from dprnn_lab.datasets.mixing import FixedMixtures
    from dprnn_lab.evaluation import evaluate

    mixtures, systems = FixedMixtures("test", limit=3), {"a": tiny(n_repeats=1), "b": tiny().train()}
    seen = []
    systems["a"].decoder.register_forward_hook(lambda *call: seen.append(torch.get_num_threads()))
    several = evaluate(systems, mixtures, workers=2)
    assert set(seen) == {1}
    one = evaluate(systems, mixtures, workers=1)
    assert several.drop(columns="rtf").equals(one.drop(columns="rtf"))
    assert list(several["system"]) == ["a", "b"] * len(mixtures)
    assert systems["b"].training
    assert not systems["a"].training
    assert torch.get_num_threads() == threads


def test_other_systems_are_called_one_after_the_other_in_the_callers_thread(tiny):
    from dprnn_lab.datasets.mixing import FixedMixtures
    from dprnn_lab.evaluation import evaluate

    seen = []

    def function(mixture, sources, spec):
        seen.append(threading.get_ident())
        return sources

    evaluate({"a": tiny(n_repeats=1), "b": function}, FixedMixtures("test", limit=2), workers=2)
    assert set(seen) == {threading.get_ident()}

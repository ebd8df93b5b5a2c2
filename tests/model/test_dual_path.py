import pytest
import torch

from dprnn_lab.model.dual_path import (
    RNN_TYPES,
    DualPathBlock,
    PathRNN,
    best_chunk_size,
    chunk_count,
    overlap_add,
    segment,
)

# (L, K, P): half overlap; odd K; P that does not divide K; no overlap; L shorter than K; single frames.
CUTS = [(37, 8, 4), (999, 100, 50), (40, 7, 3), (37, 10, 3), (50, 31, 15), (30, 6, 6), (3, 20, 10)]
CUTS += [(1, 4, 2), (9, 1, 1), (64, 12, 4)]
RNN = {"rnn_type": "LSTM", "num_layers": 1, "dropout": 0, "use_mulcat": False}


def naive_segment(x, size, hop):
    padded = [torch.zeros_like(x[:, 0])] * size + list(x.unbind(1)) + [torch.zeros_like(x[:, 0])] * size
    chunks, start = [], 0
    while start + size <= len(padded):
        chunks.append(torch.stack(padded[start : start + size], 1))
        start += hop
    return torch.stack(chunks, 1)


def naive_overlap_add(chunks, frames, hop):
    batch, count, size, features = chunks.shape
    total = torch.zeros(batch, frames + 2 * size, features)
    for c in range(count):
        for k in range(size):
            total[:, c * hop + k] += chunks[:, c, k]
    return total[:, size : size + frames]


@pytest.mark.parametrize(("frames", "size", "hop"), CUTS)
def test_segment_equals_a_loop_over_chunks(frames, size, hop):
    x = torch.randn(2, frames, 3)
    chunks = segment(x, size, hop)
    assert chunks.shape == (2, chunk_count(frames, size, hop), size, 3)
    assert torch.equal(chunks, naive_segment(x, size, hop))


@pytest.mark.parametrize(("frames", "size", "hop"), CUTS)
def test_overlap_add_equals_a_loop_over_frames(frames, size, hop):
    chunks = torch.randn(2, chunk_count(frames, size, hop), size, 3)
    torch.testing.assert_close(overlap_add(chunks, frames, hop), naive_overlap_add(chunks, frames, hop))


@pytest.mark.parametrize("hop", [12, 6, 4, 3, 2, 1])
def test_every_frame_comes_back_chunk_over_hop_times_too_loud(hop):
    x = torch.randn(2, 53, 3)
    torch.testing.assert_close(overlap_add(segment(x, 12, hop), 53, hop), 12 / hop * x)


def test_a_hop_that_does_not_divide_the_chunk_gives_an_uneven_gain():
    gain = overlap_add(segment(torch.ones(1, 60, 1), 10, 3), 60, 3)
    assert set(gain.flatten().tolist()) == {3.0, 4.0}


def test_best_chunk_size_makes_both_sequences_about_equally_long():
    for frames in (100, 999, 3999, 32000):
        size = best_chunk_size(frames)
        assert abs(chunk_count(frames, size, size // 2) / size - 1) < 0.12 + 4 / size


def test_best_chunk_size_is_at_least_one():
    assert best_chunk_size(0) == 1


@pytest.mark.parametrize("rnn_type", RNN_TYPES)
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_path_keeps_the_shape(rnn_type, bidirectional):
    path = PathRNN(6, 4, rnn_type, 2, bidirectional, 0, False)
    assert path(torch.randn(3, 9, 6)).shape == (3, 9, 6)
    assert isinstance(path.rnn, RNN_TYPES[rnn_type])


@pytest.mark.parametrize(
    ("sequences", "padded"), [(48, 48), (53, 54), (82, 84), (97, 100), (127, 128), (128, 128), (161, 162)]
)
def test_in_bfloat16_the_rnn_gets_a_number_of_sequences_that_splits_into_blocks(sequences, padded):
    path = PathRNN(4, 8, "LSTM", 1, bidirectional=True, dropout=0, use_mulcat=False)
    x = torch.randn(sequences, 5, 4, generator=torch.Generator().manual_seed(0))
    given = []
    path.rnn.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0].shape[0]))
    float32 = path(x)
    with torch.autocast("cpu", torch.bfloat16):
        bfloat16 = path(x)
    assert given == [sequences, padded]
    assert bfloat16.shape == x.shape
    torch.testing.assert_close(bfloat16.float(), float32, atol=0.02, rtol=0)


def test_mulcat_multiplies_two_rnns_and_appends_the_input():
    path, x = PathRNN(6, 4, "LSTM", 1, True, 0, use_mulcat=True), torch.randn(3, 9, 6)
    expected = path.projection(torch.cat((path.rnn(x)[0] * path.gate_rnn(x)[0], x), -1))
    assert path.projection.in_features == 2 * 4 + 6
    torch.testing.assert_close(path(x), expected)


def test_dropout_acts_between_the_layers_while_training_only():
    path, x = PathRNN(6, 4, "LSTM", 2, True, 0.5, False), torch.randn(3, 9, 6)
    assert not torch.equal(path(x), path(x))
    path.eval()
    assert torch.equal(path(x), path(x))


@pytest.mark.parametrize("norm_type", ["gLN", "cLN"])
def test_a_block_is_two_residual_steps_along_the_two_axes(norm_type):
    block, chunks = DualPathBlock(6, 4, norm_type, True, **RNN), torch.randn(2, 5, 9, 6)
    y = torch.stack([block.intra(chunks[:, c]) for c in range(5)], 1)
    after_intra = chunks + block.intra_norm(y)
    y = torch.stack([block.inter(after_intra[:, :, k]) for k in range(9)], 2)
    torch.testing.assert_close(block(chunks), after_intra + block.inter_norm(y))


def changed_chunks(bidirectional: bool) -> list[int]:
    """The chunks of a block's output that depend on chunk 5."""
    block, chunks = DualPathBlock(6, 4, "cLN", bidirectional, **RNN), torch.randn(1, 9, 7, 6)
    other = chunks.clone()
    other[:, 5, 3] += 1
    difference = (block(chunks) - block(other)).abs().amax((0, 2, 3))
    return difference.nonzero().flatten().tolist()


def test_a_unidirectional_inter_rnn_sees_no_later_chunk():
    assert changed_chunks(bidirectional=False) == [5, 6, 7, 8]


def test_a_bidirectional_inter_rnn_sees_all_chunks():
    assert changed_chunks(bidirectional=True) == list(range(9))


def test_the_intra_rnn_runs_both_ways_in_a_unidirectional_block():
    block = DualPathBlock(6, 4, "cLN", False, **RNN)
    assert block.intra.rnn.bidirectional
    assert not block.inter.rnn.bidirectional


@pytest.mark.parametrize(("shape", "chunk", "hop"), [((1, 9, 2), 4, 0), ((1, 9, 2), 4, 5), ((9, 2), 4, 2)])
def test_segment_refuses_what_it_cannot_cut(shape, chunk, hop):
    with pytest.raises(ValueError, match=rf"hop_size {hop}.*1 <= hop_size <= chunk_size"):
        segment(torch.zeros(shape), chunk, hop)

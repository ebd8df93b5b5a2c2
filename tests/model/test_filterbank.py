import pytest
import torch
from torch.nn import functional as F

from dprnn_lab.model.filterbank import Decoder, Encoder, frame_count

SIZES = [(16, 8), (2, 1), (15, 4), (7, 7), (1, 1)]


@pytest.mark.parametrize(("kernel", "stride"), SIZES)
def test_frame_count_is_the_number_of_frames_made(kernel, stride):
    encoder = Encoder(3, kernel, stride)
    for samples in (1, kernel - 1 or 1, kernel, kernel + 1, kernel + stride, 250, 251, 257):
        assert encoder(torch.randn(1, samples)).shape == (1, 3, frame_count(samples, kernel, stride))


@pytest.mark.parametrize(("kernel", "stride"), SIZES)
def test_a_frame_is_the_product_of_filters_and_samples_under_them(kernel, stride):
    encoder, mixture = Encoder(4, kernel, stride), torch.randn(2, 100)
    frames = encoder(mixture)
    for i in range(frames.shape[2]):
        under = mixture[:, i * stride : i * stride + kernel]
        torch.testing.assert_close(frames[:, :, i], under @ encoder.filters[:, 0].T)


@pytest.mark.parametrize(("kernel", "stride"), SIZES)
def test_decoder_adds_each_frames_filters_where_the_frame_lies(kernel, stride):
    decoder, frames = Decoder(4, kernel, stride), torch.randn(2, 4, 9)
    expected = torch.zeros(2, 8 * stride + kernel)
    for i in range(9):
        expected[:, i * stride : i * stride + kernel] += frames[:, :, i] @ decoder.filters[:, 0]
    torch.testing.assert_close(decoder(frames), expected)


def test_input_shorter_than_a_kernel_is_padded_with_zeros_at_its_end():
    encoder, mixture = Encoder(4, 16, 8), torch.randn(1, 5)
    torch.testing.assert_close(encoder(mixture), encoder(F.pad(mixture, (0, 11))))


def test_inverse_filters_give_the_waveform_back():
    # Non-overlapping frames of an orthogonal matrix: what the encoder does the decoder undoes.
    orthogonal = torch.linalg.qr(torch.randn(8, 8)).Q.unsqueeze(1)
    encoder, decoder = Encoder(8, 8, 8), Decoder(8, 8, 8)
    encoder.filters.data = decoder.filters.data = orthogonal
    mixture = torch.randn(2, 80)
    torch.testing.assert_close(decoder(encoder(mixture)), mixture)


def test_filters_start_random_and_different_in_encoder_and_decoder():
    encoder, decoder = Encoder(4, 16, 8), Decoder(4, 16, 8)
    assert encoder.filters.std() > 0.01
    assert not torch.equal(encoder.filters, decoder.filters)


def test_printing_shows_the_sizes():
    assert "64 filters of 16 samples, stride 8" in repr(Encoder(64, 16, 8))

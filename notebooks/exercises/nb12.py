"""Checks of notebook 12's exercises; their texts, solutions and wrong answers are in ``nb12.md``.

A part with weights is compared with the package's: the same weights are loaded into both, by name. Tensors are small,
float64, of sizes that all differ.

Notebook: 12_build_the_network
"""

from collections.abc import Callable

import torch
from torch import nn

from dprnn_lab import DPRNNTasNet
from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr
from dprnn_lab.model import dual_path
from dprnn_lab.model.filterbank import Decoder, Encoder
from dprnn_lab.model.separator import DualPathSeparator

from .exercise import Exercise, Mistake, sheet_exercise
from .judging import (
    ask,
    compare_numbers,
    compare_tensors,
    need_number,
    need_numbers,
    need_shape,
    need_tensor,
    noise,
    recognise,
    recognise_cases,
    same,
    shuffled,
)

__all__ = [
    "best_order", "block", "causal_block", "decoder", "encoder", "joining", "look_ahead", "mask_values",
    "pairwise_ratio", "path_rnn", "ratio_gradient", "segmentation", "separator", "third_speaker", "training_step",
]  # fmt: skip

RNN = {"rnn_type": "LSTM", "num_layers": 1, "dropout": 0.0, "use_mulcat": False}
FEATURES, HIDDEN = 5, 3


def filters(kind: type, kernel: int, stride: int, seed: int) -> nn.Module:
    """The package's encoder or decoder with six filters, in float64."""
    bank = kind(6, kernel, stride).double()
    bank.filters.data = noise(6, 1, kernel, seed=seed)
    return bank.requires_grad_(False)


def compare_part(
    function: Callable, exercise: Exercise, inputs: tuple, wanted: torch.Tensor, trained: int = 0
) -> None:
    """The answer is the tensor ``wanted``, and a gradient reaches the input number ``trained``."""
    answer = ask(function, inputs)
    compare_tensors(answer, wanted, exercise, inputs)
    inputs = tuple(
        x.clone().requires_grad_() if i == trained and isinstance(x, torch.Tensor) else x
        for i, x in enumerate(inputs)
    )
    if not function(*inputs).requires_grad:
        raise Mistake("no gradient")


def compare_modules(
    make: Callable, package: nn.Module, exercise: Exercise, sizes: tuple, inputs: torch.Tensor
) -> nn.Module:
    """The module that the answer makes has the package's parameters, and with them gives the same; it is returned."""
    module = ask(make, sizes)
    if not isinstance(module, nn.Module):
        raise Mistake("not a module", found=type(module).__name__)
    weights = random_weights(package)
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    missing = [name for name, tensor in weights.items() if shapes.get(name) != tensor.shape]
    if missing or shapes.keys() - weights.keys():
        extra = ", ".join(f"`{name}`" for name in shapes if name not in weights) or "none"
        raise Mistake("other parameters", missing=", ".join(f"`{n}`" for n in missing) or "none", extra=extra)

    def output(of: nn.Module) -> object:
        of.double().load_state_dict(weights)
        with torch.no_grad():
            return of(inputs)

    answer = need_tensor(output(module))
    recognise(answer, exercise, sizes, output)
    compare_tensors(answer, output(package), exercise)
    return module


def random_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """Normal weights for a network, in float64: norms and biases too, or leaving one out would not show."""
    state = network.state_dict()
    return {name: 0.5 * noise(*tensor.shape, seed=i) for i, (name, tensor) in enumerate(state.items())}


@sheet_exercise
def encoder(function, exercise):
    for kernel, stride, samples in ((8, 3, 53), (8, 4, 53), (6, 5, 41)):
        bank = filters(Encoder, kernel, stride, seed=kernel)
        mixture = noise(2, samples, seed=samples)
        inputs = mixture, bank.filters, stride
        if stride == kernel // 2:  # some mistakes show at other strides only
            compare_tensors(ask(function, inputs), bank(mixture), exercise)
        else:
            compare_part(function, exercise, inputs, bank(mixture), trained=1)
    bank, short = filters(Encoder, 8, 3, seed=1), noise(2, 5, seed=2)
    try:
        right = same(ask(function, (short, bank.filters, 3)), bank(short))
    except RuntimeError:  # PyTorch: "kernel size can't be greater than actual input size"
        right = False
    if not right:
        raise Mistake("short mixture", samples=5, kernel=8)


@sheet_exercise
def segmentation(function, exercise):
    for frames, chunk_size in ((17, 6), (3, 8)):
        inputs = noise(2, frames, FEATURES, seed=frames), chunk_size
        wanted = dual_path.segment(*inputs, chunk_size // 2)
        compare_part(function, exercise, inputs, wanted)


@sheet_exercise
def joining(function, exercise):
    for frames, chunk_size in ((17, 6), (23, 8)):
        count = dual_path.chunk_count(frames, chunk_size, chunk_size // 2)
        inputs = noise(2, count, chunk_size, FEATURES, seed=frames), frames
        compare_part(function, exercise, inputs, dual_path.overlap_add(*inputs, chunk_size // 2))


@sheet_exercise
def path_rnn(make, exercise):
    package = dual_path.PathRNN(FEATURES, HIDDEN, bidirectional=True, **RNN)
    compare_modules(make, package, exercise, (FEATURES, HIDDEN), noise(4, 7, FEATURES, seed=1))


@sheet_exercise
def block(make, exercise):
    package = dual_path.DualPathBlock(FEATURES, HIDDEN, "gLN", True, **RNN)
    compare_modules(make, package, exercise, (FEATURES, HIDDEN), noise(2, 4, 6, FEATURES, seed=2))


@sheet_exercise
def mask_values(function, exercise):
    layers = [
        nn.Linear(FEATURES, width, bias=bias).double()
        for width, bias in ((FEATURES, True), (FEATURES, True), (7, False))
    ]
    for i, layer in enumerate(layers):
        layer.load_state_dict({name: noise(*x.shape, seed=i) for name, x in layer.state_dict().items()})
        layer.requires_grad_(False)
    inputs = noise(2, 3, 11, FEATURES, seed=4), *layers
    compare_part(function, exercise, inputs, exercise.right(*inputs))


@sheet_exercise
def separator(make, exercise):
    sizes = 7, FEATURES, HIDDEN, 6, 2  # N, F, H, K, blocks
    package = DualPathSeparator(
        n_src=2, n_features=7, bn_chan=FEATURES, hid_size=HIDDEN, chunk_size=6, hop_size=3, n_repeats=2,
        norm_type="gLN", mask_act="sigmoid", bidirectional=True, **RNN,
    )  # fmt: skip
    compare_modules(make, package, exercise, sizes, noise(2, 7, 17, seed=5))


@sheet_exercise
def decoder(function, exercise):
    for kernel, stride in ((8, 3), (6, 5)):
        bank, frames = filters(Decoder, kernel, stride, seed=kernel), noise(2, 6, 9, seed=stride)
        compare_part(function, exercise, (frames, bank.filters, stride), bank(frames), trained=1)


@sheet_exercise
def pairwise_ratio(function, exercise):
    sources = noise(4, 3, 501, seed=1) * torch.tensor([[1.0], [0.2], [0.5]]) + 0.5
    estimates = 0.4 * sources.roll(1, 1) + 0.2 * noise(4, 3, 501, seed=2) + 0.3
    inputs, wanted = (estimates, sources), -pairwise_neg_sisdr(estimates, sources)
    answer = need_numbers(ask(function, inputs))
    if answer.shape == (4, 3) and same(answer, wanted.diagonal(dim1=1, dim2=2), 0.01):
        raise Mistake("same order only")
    need_shape(answer, wanted)
    compare_numbers(answer, wanted, exercise, inputs, tolerance=0.01)
    silence = torch.zeros(1, 2, 501, dtype=torch.float64)
    for pair in ((silence, sources[:1, :2]), (sources[:1, :2], silence)):
        found = need_numbers(ask(function, pair))
        if not torch.isfinite(found).all():
            raise Mistake("silence", found=found[~torch.isfinite(found)][0].item())


@sheet_exercise
def best_order(function, exercise):
    def read(pair):
        """Loss and orders as one tensor."""
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise Mistake("not a pair", found=type(pair).__name__)
        loss, order = (need_numbers(part) for part in pair)
        if loss.shape != ():
            raise Mistake("no batch mean", found=list(loss.shape))
        if order.shape != estimates.shape[:2]:
            raise Mistake("wrong shape", found=list(order.shape), wanted=list(estimates.shape[:2]))
        return torch.cat((loss[None], order.flatten()))

    for n_src in (3, 2):
        orders = torch.tensor([[1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 2, 0]])
        orders = orders if n_src == 3 else torch.tensor([[1, 0], [0, 1], [1, 0], [1, 0]])
        sources = noise(4, n_src, 301, seed=n_src)
        # Source 0 is faint in its own estimate and loud in that of source 1: the best estimate of two sources.
        mixed = sources.clone()
        mixed[:, 0], mixed[:, 1] = 0.3 * sources[:, 0], sources[:, 1] + 1.5 * sources[:, 0]
        placed = torch.stack([s[o] for s, o in zip(mixed, orders, strict=True)])
        estimates = placed + 0.8 * noise(4, n_src, 301, seed=9)
        losses, best = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates, sources)
        answer, wanted = read(ask(function, (estimates, sources))), read((losses.mean(), best))
        if not same(answer, wanted, 0.001):
            if n_src == 3:  # with two sources some mistakes are none
                recognise(
                    answer, exercise, (estimates, sources), read, lambda one, other: same(one, other, 0.001)
                )
            found, right = ([round(x, 2) for x in v[: n_src + 1].tolist()] for v in (answer, wanted))
            raise Mistake("other numbers", found=found, wanted=right)
        loss = function(estimates.clone().requires_grad_(), sources)[0]
        if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
            raise Mistake("no gradient")


@sheet_exercise
def training_step(function, exercise):
    def outcome(step) -> torch.Tensor:
        """The losses of two steps and the weights after each, as one tensor."""
        network = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 6)).double()
        for i, parameter in enumerate(network.parameters()):
            parameter.data = noise(*parameter.shape, seed=i)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        values = []
        for level, seed in ((3.0, 1), (0.2, 2)):  # gradients of a norm over 5, then below
            inputs = level * noise(5, 6, seed=seed), level * noise(5, 6, seed=seed + 10)
            loss = step(network, nn.functional.mse_loss, optimizer, *inputs)
            if isinstance(loss, torch.Tensor) and loss.requires_grad:
                raise Mistake("graph kept")
            weights = [p.detach().flatten() for p in network.parameters()]
            values += [torch.tensor([need_number(loss)], dtype=torch.float64), *weights]
        return torch.cat(values)

    answer, wanted = outcome(function), outcome(exercise.right)
    if not same(answer, wanted, 1e-9):
        for name, wrong in exercise.known.items():
            if same(answer, outcome(wrong), 1e-9):
                raise Mistake(name)
        raise Mistake("other numbers", worst=f"{float((answer - wanted).abs().max()):.3g}")


@sheet_exercise
def ratio_gradient(function, exercise):
    target = noise(3, 2, 201, seed=1) + 0.4
    estimate = 0.5 * target + 0.4 * noise(3, 2, 201, seed=2) - 0.2
    asked = estimate.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(si_sdr(asked, target).sum(), asked)
    compare_tensors(ask(function, (estimate, target)), wanted, exercise, (estimate, target))


@sheet_exercise
def causal_block(make, exercise):
    package = dual_path.DualPathBlock(FEATURES, HIDDEN, "cLN", False, **RNN)
    compare_modules(make, package, exercise, (FEATURES, HIDDEN), noise(2, 4, 6, FEATURES, seed=2))


def _ahead(x: torch.Tensor, by: int) -> torch.Tensor:
    """``[1, T]`` with every sample ``by`` samples earlier."""
    return torch.cat((x[:, by:], x.new_zeros(1, by)), 1)


def _by_blocks(x: torch.Tensor) -> torch.Tensor:
    """Each sample becomes the sum of its block of seven."""
    return x.unflatten(1, (-1, 7)).sum(-1, keepdim=True).expand(-1, -1, 7).flatten(1)


# What the network does: the network [1, T] to [1, 2, T], and how far it looks ahead.
NETWORKS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], int]] = {
    "a network that sums blocks of seven samples": (
        lambda x: torch.stack((_by_blocks(x), x.cumsum(1)), 1), 6,
    ),
    "a network that looks three samples ahead in its second source": (
        lambda x: torch.stack((x.cumsum(1), x + _ahead(x, 3)), 1), 3,
    ),
    "a network whose sources exchange a sample that is two ahead": (
        lambda x: torch.stack((x + _ahead(x, 2), x - _ahead(x, 2)), 1), 2,
    ),
    "a network that never looks ahead": (lambda x: torch.stack((x, x.cumsum(1)), 1), 0),
    "a network that gives back the samples of ten moments ago": (
        lambda x: x.roll(10, 1)[:, None] * torch.cat((torch.zeros(10), torch.ones(x.shape[1] - 10))), 0,
    ),
}  # fmt: skip


@sheet_exercise
def look_ahead(function, exercise):
    names = [*shuffled(list(NETWORKS)[:4]), *list(NETWORKS)[4:]]
    cases = [(NETWORKS[name][0], 42) for name in names]
    answers = [need_number(function(network, samples)) for network, samples in cases]
    wanted = [NETWORKS[name][1] for name in names]
    if answers == wanted:
        return
    recognise_cases(answers, exercise, cases)
    for case, found, right in zip(names, answers, wanted, strict=True):
        if found != right:
            raise Mistake("other count", case=case, found=found, wanted=right)


@sheet_exercise
def third_speaker(function, exercise):
    sizes = {
        "n_filters": 6,
        "kernel_size": 4,
        "stride": 2,
        "bn_chan": 5,
        "hid_size": 3,
        "chunk_size": 6,
        "n_repeats": 1,
    }
    two, three = DPRNNTasNet(2, **sizes), DPRNNTasNet(3, **sizes)
    state = {name: x.float() for name, x in random_weights(two).items()}
    two.load_state_dict(state)
    mixture = noise(1, 80, seed=3).float()

    def outputs(new) -> torch.Tensor:
        """What the network for three speakers gives with the new weights."""
        three.load_state_dict(new)
        with torch.no_grad():
            return three(mixture)[0]

    given = dict(state)
    new = function(given)
    if not isinstance(new, dict):
        raise Mistake("not a dictionary", found=type(new).__name__)
    if given.keys() != state.keys() or not all(same(given[n], x) for n, x in state.items()):
        raise Mistake("given weights changed")
    try:
        found = outputs(new)
    except RuntimeError as error:  # PyTorch names the tensors, one a line
        raise Mistake("does not fit", reason=str(error).splitlines()[1].strip().rstrip(".")) from None
    recognise(found, exercise, (dict(state),), outputs)
    with torch.no_grad():
        before = two(mixture)[0]
    if not same(found[:2], before):
        raise Mistake("first two changed", worst=f"{float((found[:2] - before).abs().max()):.3g}")
    for i in range(2):
        if same(found[2], before[i]):
            raise Mistake("a copy", found=i + 1)

"""What is kept of a network's results on the bundled mixtures, and for which networks."""

import torch

from dprnn_lab.diagnosis import control
from dprnn_lab.diagnosis.control import known_of


def test_equal_networks_share_their_results_and_others_do_not(tiny):
    torch.manual_seed(1)
    model = tiny()
    known_of(model)["remix"] = 5
    again = tiny()
    again.load_state_dict(model.state_dict())
    assert known_of(again) == {"remix": 5}
    with torch.no_grad():
        again.decoder.filters[0, 0, 0] += 1e-3
    assert known_of(again) == {}


def test_whatever_changes_the_output_changes_the_network(tiny):
    model = tiny()
    known_of(model)["remix"] = 5
    model.separator.hop_size -= 1
    assert known_of(model) == {}
    model.separator.hop_size += 1
    assert known_of(model) == {"remix": 5}
    model.train()
    assert known_of(model) == {}


def test_nothing_is_kept_for_a_network_that_may_compute_anything(tiny):
    for change in (
        lambda m: m.register_forward_hook(lambda *_: None),
        lambda m: setattr(m.separator, "forward", m.separator.forward),
    ):
        model = tiny()
        change(model)
        known_of(model)["remix"] = 5
        assert known_of(model) == {}
    assert known_of(torch.nn.Linear(2, 2)) == {}


def test_only_the_last_networks_are_kept(tiny):
    for seed in range(20):
        torch.manual_seed(seed)
        known_of(tiny())
    assert len(control._KNOWN) == control._KNOWN_NETWORKS

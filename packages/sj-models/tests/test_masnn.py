"""The network with attention over time, channels and places."""

import pytest
import torch

from sj_models.masnn import MASNN
from sj_neurons import neuron, surrogate

SMALL = {"T": 5, "channels": (8, 8), "pools": (1, 2), "input_size": (8, 8), "fc_hidden": 16}


def test_rates_of_a_sequence_and_gradients():
    net = MASNN(**SMALL, output="mean")
    rates = net((torch.rand(5, 2, 2, 8, 8) > 0.5).float())
    assert rates.shape == (2, 11)
    torch.testing.assert_close(5 * rates, (5 * rates).round())
    rates.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_neurons_of_the_paper():
    nodes = [m for m in MASNN(**SMALL).modules() if isinstance(m, neuron.LIFNode)]
    assert {(node.tau, node.v_threshold, node.decay_input) for node in nodes} == {
        (1 / 0.7, 0.3, False)
    }
    assert all(isinstance(node.surrogate_function, surrogate.Rect) for node in nodes)
    assert len(nodes) == 4
    assert MASNN(**SMALL, spiking_neuron="IF").fc_blocks[0].cell.v_threshold == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pools": (1,)}, "MASNN: pools must be 2 whole numbers"),
        ({"input_size": 32}, "input_size must be 2 whole numbers"),
        ({"input_size": (1, 8)}, "too small"),
        ({"T": 0}, "T must be"),
        ({"fc_hidden": 0}, "fc_hidden must be"),
    ],
)
def test_mistakes_are_found_at_construction(arguments, message):
    with pytest.raises(ValueError, match=message):
        MASNN(**{**SMALL, **arguments})


@pytest.mark.parametrize(
    ("shape", "message"),
    [((4, 1, 2, 8, 8), "expected T=5 time steps"), ((5, 1, 2, 8, 12), "expected images of 8 x 8")],
)
def test_another_number_of_steps_or_size_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        MASNN(**SMALL)(torch.rand(shape))

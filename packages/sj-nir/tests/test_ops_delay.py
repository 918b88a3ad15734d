from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

import sj_layers as layer
import sj_nir
from sj_nir import modules

DT = 1e-3


def delayed(x_seq: torch.Tensor, steps: np.ndarray) -> torch.Tensor:
    y = torch.zeros_like(x_seq)
    for place in np.ndindex(steps.shape):
        d = int(steps[place])
        column = (slice(None), slice(None), *place)
        y[column][d:] = x_seq[column][: len(x_seq) - d]
    return y


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("steps", [np.array([[0, 1, 3], [7, 2, 2]]), np.full((2, 3), 2)])
def test_every_element_is_delayed_on_its_own(graph_of, steps, step_mode):
    node = nir.Delay(steps * DT + 0.3 * DT * (steps > 0))
    net = sj_nir.import_from_nir(graph_of(node, 2, 3), DT, step_mode=step_mode)
    x = torch.rand(10, 4, 2, 3)
    y = net(x)[0] if step_mode == "m" else torch.stack([net(step)[0] for step in x])
    assert torch.equal(y, delayed(x, steps))
    back = sj_nir.export_to_nir(net, x if step_mode == "m" else x[0], dt=DT).nodes["n"]
    np.testing.assert_array_equal(back.delay, node.delay)


def test_one_delay_for_all_is_a_plain_layer(node_of, module_of):
    module = module_of(nir.Delay(np.full(3, 5 * DT)), 3, dt=DT)
    assert type(module) is layer.Delay and module.delay_steps == 5
    node = node_of(layer.Delay(4), 3, dt=DT)
    np.testing.assert_array_equal(node.delay, np.full(3, 4 * DT))


def test_delays_come_back(node_of, module_of):
    module = modules.Delay(torch.tensor([1, 4, 0]))
    back = module_of(node_of(module, 3, dt=DT), 3, dt=DT)
    assert torch.equal(back.delay_steps, module.delay_steps)


@pytest.mark.parametrize(
    ("delay", "message"),
    [
        ([0.0, -1e-3], "must not be negative, got -0.001"),
        ([0.0, np.nan], "1 of 2 values are NaN"),
        ([0.0, 1e7], "10000000000 steps of dt = 0.001 s, more than"),
    ],
)
def test_delays_out_of_range_are_named(module_of, delay, message):
    with pytest.raises(sj_nir.NIRGraphError, match=f"node 'n', field 'delay': .*{message}"):
        module_of(nir.Delay(np.array(delay)), 2, dt=DT)

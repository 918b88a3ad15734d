"""CUBALIFNode: two leaks in a row."""

import pytest
import torch

from sj_neurons import neuron, surrogate


@pytest.mark.parametrize("v_reset", [0.0, -0.2, None], ids=["hard", "offset", "soft"])
@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, v_reset, detach_reset):
    node = neuron.CUBALIFNode(
        0.4, 0.7, 0.6, v_reset, surrogate.ATan(), detach_reset, "m", "torch", True
    ).double()

    def step(x, v, c):
        c = 0.4 * c + x
        h = 0.7 * v + c
        s = oracle.spike(h - 0.6)
        return s, oracle.reset(h, s.detach() if detach_reset else s, 0.6, v_reset), c

    oracle.compare(node, step, [v_reset or 0.0, 0.0], oracle.x_seq(8, 2, 3))


def test_pulse_response_is_the_difference_of_two_decays():
    node = neuron.CUBALIFNode(0.5, 0.75, v_threshold=99.0, step_mode="m", store_v_seq=True)
    x = torch.zeros(6, 1, dtype=torch.float64)
    x[0] = 1.0
    node(x)
    t = torch.arange(1, 7, dtype=torch.float64).unsqueeze(1)
    torch.testing.assert_close(node.v_seq, (0.75**t - 0.5**t) / 0.25)
    assert node.c.item() == 0.5**5


def test_current_survives_the_spike_and_ends_with_reset():
    node = neuron.CUBALIFNode()
    assert node(torch.tensor([2.0])).item() == 1.0
    assert (node.v.item(), node.c.item()) == (0.0, 2.0)
    node.reset()
    assert (node.v, node.c) == (0.0, 0.0)


def test_the_default_surrogate_is_a_rectangle_of_its_own():
    first, second = neuron.CUBALIFNode(), neuron.CUBALIFNode()
    assert isinstance(first.surrogate_function, surrogate.Rect)
    assert first.surrogate_function is not second.surrogate_function
    assert first.step_mode == "s"
    assert "c_decay=0.5, v_decay=0.75" in repr(first)


def test_hooks_of_a_subclass_are_used(oracle):
    class Silent(neuron.CUBALIFNode):
        def neuronal_fire(self):
            return torch.zeros_like(self.v)

    class Same(neuron.CUBALIFNode):
        def neuronal_reset(self, spike):
            super().neuronal_reset(spike)

    x = oracle.x_seq(8, 2, 3)
    plain, same, silent = (cls(step_mode="m") for cls in (neuron.CUBALIFNode, Same, Silent))
    assert torch.equal(same(x), plain(x))
    assert torch.equal(same.v, plain.v) and torch.equal(same.c, plain.c)
    assert silent(x).sum() == 0


@pytest.mark.parametrize("name", ["c_decay", "v_decay"])
def test_bad_arguments_are_named(name):
    with pytest.raises(TypeError, match=f"CUBALIFNode: {name} must be a number"):
        neuron.CUBALIFNode(**{name: None})

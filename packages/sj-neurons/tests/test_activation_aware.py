"""ActivationAwareIFNode: one threshold and one offset per channel."""

import copy

import pytest
import torch

from sj_neurons import neuron, surrogate

THRESHOLD = torch.tensor([0.8, 1.1, 1.4], dtype=torch.float64)
OFFSET = torch.tensor([-0.1, 0.0, 0.2], dtype=torch.float64)


@pytest.mark.parametrize("v_reset", [0.0, -0.2, None], ids=["hard", "offset", "soft"])
@pytest.mark.parametrize("detach_reset", [True, False])
def test_gradient_equals_the_unrolled_equations(oracle, v_reset, detach_reset):
    node = neuron.ActivationAwareIFNode(
        THRESHOLD, OFFSET, -1, v_reset, surrogate.ATan(), detach_reset, "m", "torch", True
    )

    def step(x, v):
        h = v + x
        s = oracle.spike(h + OFFSET - THRESHOLD)
        return s, oracle.reset(h, s.detach() if detach_reset else s, THRESHOLD, v_reset)

    oracle.compare(node, step, [v_reset or 0.0], oracle.x_seq(8, 2, 3))


@pytest.mark.parametrize("channel_dim", [1, -3])
@pytest.mark.parametrize("mode", ["s", "m"])
def test_channels_lie_where_the_argument_says(oracle, channel_dim, mode):
    x = oracle.x_seq(6, 2, 3, 2, 2)
    node = neuron.ActivationAwareIFNode(THRESHOLD, OFFSET, channel_dim, step_mode=mode)
    y = node(x) if mode == "m" else torch.stack([node(x_t) for x_t in x])
    for c in range(3):
        alone = neuron.ActivationAwareIFNode(THRESHOLD[c].item(), OFFSET[c].item(), step_mode="m")
        assert torch.equal(y[:, :, c], alone(x[:, :, c]))


def test_with_plain_numbers_it_is_a_soft_if(oracle):
    x = oracle.x_seq(8, 2, 3)
    node = neuron.ActivationAwareIFNode(step_mode="m")
    plain = neuron.IFNode(v_reset=None, step_mode="m")
    assert torch.equal(node(x), plain(x)) and torch.equal(node.v, plain.v)
    assert "v_threshold=1.0, v_reset=None" in repr(node)
    assert "v_offset=0.0, channel_dim=-1" in repr(node)


def test_tensors_are_buffers_that_are_saved_and_moved():
    node = neuron.ActivationAwareIFNode(THRESHOLD, OFFSET)
    twin = neuron.ActivationAwareIFNode(torch.zeros(3), torch.zeros(3))
    twin.load_state_dict(node.state_dict())
    assert set(node.state_dict()) == {"v_threshold", "v_offset"}
    x = torch.rand(2, 3)
    assert torch.equal(node.float()(x), twin(x))
    assert copy.deepcopy(node).half().v_offset.dtype == torch.float16
    assert "v_threshold=tensor(3,)" in repr(node)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.ones(2, 2),), ValueError, r"v_threshold must be a number or a tensor \[C\]"),
        ((1.0, torch.ones(())), ValueError, r"v_offset must be a number or a tensor \[C\]"),
        (("1",), TypeError, "v_threshold must be a number"),
        ((1.0, None), TypeError, "v_offset must be a number"),
        ((1.0, 0.0, 1.5), TypeError, "channel_dim must be a whole number"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        neuron.ActivationAwareIFNode(*arguments)


@pytest.mark.parametrize(("channel_dim", "shape"), [(-1, (2, 4)), (0, (2, 3)), (2, (2, 3))])
def test_an_input_with_other_channels_is_refused(channel_dim, shape):
    node = neuron.ActivationAwareIFNode(THRESHOLD, channel_dim=channel_dim)
    with pytest.raises(ValueError, match=r"v_threshold has 3 channels along dimension .* \(2, "):
        node(torch.rand(shape))

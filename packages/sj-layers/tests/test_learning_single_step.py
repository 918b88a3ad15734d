"""STDP rules on layers: padding, kinds of layers, many steps at once."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import sj_layers as layer
from sj_layers import functional, learning

TAUS = (2.0, 4.0)
NAMED = {"tau_pre": 2.0, "tau_post": 4.0}
CONVS = [
    nn.Conv1d(2, 3, 3, padding=1),
    nn.Conv1d(2, 3, 5, padding="same"),
    nn.Conv1d(2, 3, 2, stride=2, padding="valid"),
    nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(2, 1)),
    nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", bias=False),
    nn.Conv2d(2, 3, (2, 4), padding="same", padding_mode="replicate"),
]
STEP = {
    nn.Linear: learning.stdp_linear_single_step,
    nn.Conv1d: learning.stdp_conv1d_single_step,
    nn.Conv2d: learning.stdp_conv2d_single_step,
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def spikes(*shape: int) -> torch.Tensor:
    return (torch.rand(*shape) < 0.4).double()


def sizes(conv):
    return (7, 6)[: conv.weight.dim() - 2]


@pytest.mark.parametrize("conv", CONVS, ids=str)
def test_the_kernel_moves_towards_what_it_saw(conv):
    """A convolution is the linear layer that its unfolded inputs feed."""
    conv = conv.double()
    pre = spikes(2, 2, *sizes(conv))
    post = spikes(*conv(pre).shape)
    tr_pre, tr_post, dw = STEP[type(conv)](conv, pre, post, None, None, *TAUS)
    # a first step: the traces are the spikes, and the kernel with one weight gives the output
    w = conv.weight
    (correlation,) = torch.autograd.grad((conv(pre) * post).sum(), w)
    torch.testing.assert_close(tr_post, post)
    assert tr_pre.sum() >= pre.sum()
    torch.testing.assert_close(dw, 0 * w.detach())  # both terms are equal and cancel
    _, _, dw = STEP[type(conv)](conv, pre, post, None, None, *TAUS, lambda w: 0 * w, torch.square)
    torch.testing.assert_close(dw, w.detach() ** 2 * correlation)


@pytest.mark.parametrize("synapse", [nn.Linear(4, 3), layer.Linear(4, 3), *CONVS[:1], CONVS[3]])
def test_many_steps_at_once_are_the_sum_of_single_steps(synapse):
    synapse = synapse.double()
    inner = (4,) if isinstance(synapse, nn.Linear) else (2, *sizes(synapse))
    pre = spikes(5, 2, *inner)
    post = spikes(5, *synapse(pre[0]).shape)
    kind = next(k for k in STEP if isinstance(synapse, k))
    tr_pre, tr_post, total = None, None, 0
    for s_pre, s_post in zip(pre, post, strict=True):
        tr_pre, tr_post, dw = STEP[kind](synapse, s_pre, s_post, tr_pre, tr_post, *TAUS)
        total = total + dw
    at_once = learning.stdp_multi_step(synapse, pre, post, None, None, *TAUS)
    assert torch.equal(at_once[0], tr_pre)
    assert torch.equal(at_once[1], tr_post)
    torch.testing.assert_close(at_once[2], total)


def test_numbers_start_traces_too():
    fc = nn.Linear(4, 3).double()
    tr_pre, tr_post, _ = learning.stdp_linear_single_step(
        fc, 0 * spikes(2, 4), 0 * spikes(2, 3), 1.0, 2.0, *TAUS
    )
    assert torch.equal(tr_pre, torch.full((2, 4), 0.5).double())
    assert torch.equal(tr_post, torch.full((2, 3), 1.5).double())


def test_rewarded_rules_return_traces_and_eligibility():
    fc, pre, post = nn.Linear(4, 3).double(), spikes(2, 4), spikes(2, 3)
    w = fc.weight.detach()
    expected, traces = functional.mstdp_linear_step(pre, post, (None, None), w, **NAMED)
    *traces_too, e = learning.mstdp_linear_single_step(fc, pre, post, None, None, *TAUS)
    assert torch.equal(e, expected)
    assert all(map(torch.equal, traces_too, traces))
    *_, alone = learning.mstdpet_linear_single_step(fc, pre[0], post[0], None, None, *TAUS)
    assert torch.equal(alone, expected[0])


def test_results_hang_in_no_graph():
    fc = nn.Linear(4, 3).double()
    for result in learning.stdp_linear_single_step(
        fc, spikes(2, 4), spikes(2, 3), None, None, *TAUS
    ):
        assert not result.requires_grad


@pytest.mark.parametrize(
    ("rule", "synapse", "message"),
    [
        (learning.stdp_linear_single_step, nn.Conv1d(1, 1, 1), "Linear, not for Conv1d"),
        (learning.stdp_conv1d_single_step, nn.Conv2d(1, 1, 1), "Conv1d, not for Conv2d"),
        (learning.stdp_conv2d_single_step, nn.Linear(1, 1), "Conv2d, not for Linear"),
        (learning.stdp_conv2d_single_step, nn.Conv2d(1, 1, 1, dilation=2), r"dilation=1.*\(2, 2\)"),
        (learning.stdp_conv1d_single_step, nn.Conv1d(2, 2, 1, groups=2), "groups=1, not for 2"),
        (learning.stdp_multi_step, nn.Conv3d(1, 1, 1), "Conv2d, not for Conv3d"),
        (learning.mstdp_linear_single_step, nn.Conv1d(1, 1, 1), "Linear, not for Conv1d"),
        (learning.mstdpet_linear_single_step, nn.Conv1d(1, 1, 1), "Linear, not for Conv1d"),
    ],
)
def test_other_layers_are_refused(rule, synapse, message):
    x = torch.zeros(1, 1, 1)
    with pytest.raises(NotImplementedError, match=message):
        rule(synapse, x, x, None, None, *TAUS)


def test_a_sequence_without_steps_is_refused():
    with pytest.raises(ValueError, match=r"\[T, \*\] with T > 0"):
        learning.stdp_multi_step(
            nn.Linear(4, 3), spikes(0, 2, 4), spikes(0, 2, 3), None, None, *TAUS
        )


def test_padding_modes_follow_the_layer():
    conv = nn.Conv1d(1, 1, 3, padding=1, padding_mode="reflect", bias=False).double()
    pre = spikes(1, 1, 5)
    tr_pre, _, _ = learning.stdp_conv1d_single_step(conv, pre, spikes(1, 1, 5), None, None, *TAUS)
    assert torch.equal(tr_pre, F.pad(pre, (1, 1), mode="reflect"))

"""Few-spike codes: binary expansion, tables by hand, regions and signs."""

import math

import pytest
import torch
from torch import Tensor

from sj_neurons import neuron, surrogate

ROWS = [4.0, 2.0, 1.0, 0.5]
BINARY = neuron.FewSpikeTable(ROWS, ROWS, ROWS)
COARSE = neuron.FewSpikeTable([8.0, 4.0, 2.0, 1.0], [8.0, 4.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0])
K = 4


@pytest.fixture
def x() -> Tensor:
    return 8 * torch.rand(K, 2, 3, generator=torch.Generator().manual_seed(0)).double() - 1


def test_a_binary_table_rounds_down_to_halves():
    node = neuron.FewSpikeNode(BINARY)
    x = torch.tensor([-1.0, 0.0, 0.49, 0.5, 3.7, 7.5, 100.0])
    assert node(x).tolist() == [0.0, 0.0, 0.0, 0.5, 3.5, 7.5, 7.5]


def test_sequence_holds_the_terms_of_the_code_of_its_sum(x):
    whole = neuron.FewSpikeNode(BINARY, step_mode="m")(x)
    assert whole.shape == x.shape
    assert torch.equal(whole.sum(0), neuron.FewSpikeNode(BINARY)(x.sum(0)))
    assert set(whole[1].unique().tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize("mode", ["s", "m"])
def test_gradient_equals_an_independent_reference_in_float64(mode, x):
    table = neuron.FewSpikeTable(ROWS, [3.0, 2.0, 1.5, 0.5], [4.5, 2.0, 1.0, 0.25])
    node = neuron.FewSpikeNode(table, surrogate.ATan(), mode)
    x.requires_grad_(True)
    y = node(x)
    g = torch.rand(y.shape, generator=torch.Generator().manual_seed(1)).double()
    (ours,) = torch.autograd.grad((y * g).sum(), x)
    v = x.sum(0) if mode == "m" else x
    terms = []
    for theta, h, d in zip(ROWS, [3.0, 2.0, 1.5, 0.5], [4.5, 2.0, 1.0, 0.25], strict=True):
        smooth = torch.atan(math.pi * (v - theta)) / math.pi + 0.5
        z = smooth + ((v >= theta).double() - smooth).detach()
        v = v - h * z
        terms.append(d * z)
    expected = torch.stack(terms) if mode == "m" else torch.stack(terms).sum(0)
    torch.testing.assert_close(y, expected)
    (reference,) = torch.autograd.grad((expected * g).sum(), x)
    torch.testing.assert_close(ours, reference, rtol=1e-10, atol=1e-12)


def test_outliers_have_a_table_and_the_output_the_sign_of_the_gate():
    node = neuron.OutlierAwareThresholdNode(BINARY, COARSE, split_threshold=3, clamp_value=7)
    x = torch.tensor([0.0, 1.2, -1.2, 3.0, 3.1, -3.1, 6.0, 50.0, -50.0])
    # above 3 COARSE counts the binary digits of the whole part
    expected = [0.0, 1.0, -1.0, 3.0, 2.0, -2.0, 2.0, 3.0, -3.0]
    assert node(x).tolist() == expected
    unlimited = neuron.OutlierAwareThresholdNode(BINARY, COARSE, 3)
    assert unlimited.clamp_value is None
    assert unlimited(torch.tensor([50.0])).tolist() == [4.0]


def test_hierarchical_gate_takes_the_table_of_each_interval():
    node = neuron.HGNode([BINARY, COARSE, BINARY], [1.0, 4.0])
    x = torch.tensor([-2.0, 0.7, 1.0, 1.1, 4.0, 4.6])
    assert node(x).tolist() == [0.0, 0.5, 1.0, 1.0, 1.0, 4.5]
    assert node.regions == 3
    one = neuron.HGNode([BINARY], [])
    assert torch.equal(one(x), neuron.FewSpikeNode(BINARY)(x))


@pytest.mark.parametrize(
    "build",
    [
        lambda mode: neuron.OutlierAwareThresholdNode(BINARY, COARSE, 3, step_mode=mode),
        lambda mode: neuron.HGNode([BINARY, COARSE], [3.0], step_mode=mode),
    ],
)
def test_variants_in_both_modes_and_smooth(build, x):
    single, multi = build("s").double(), build("m").double()
    torch.testing.assert_close(multi(x).sum(0), single(x.sum(0)))
    for node in (single, multi):
        node.surrogate_function.set_spiking_mode(False)
        assert torch.autograd.gradcheck(node, (x.requires_grad_(True),))


def scalar_code(gate: Tensor, table: neuron.FewSpikeTable) -> Tensor:
    """The code of one number, by the definition; gradient of the ATan primitive with alpha 2."""
    v, total = gate, gate * 0.0
    for theta, h, d in zip(table.theta, table.h, table.d, strict=True):
        u = v - theta.double()
        smooth = torch.atan(math.pi * u) / math.pi + 0.5
        z = smooth + (float(u >= 0) - smooth).detach()
        v, total = v - h.double() * z, total + d.double() * z
    return total


def outlier_reference(gate: Tensor) -> Tensor:
    cut = 7.0 if gate > 7 else -7.0 if gate < -7 else gate
    cut = torch.as_tensor(cut, dtype=torch.float64)
    magnitude = cut if cut > 0 else -cut
    code = scalar_code(magnitude, BINARY if magnitude <= 3 else COARSE)
    return code if cut > 0 else -code


def region_reference(gate: Tensor) -> Tensor:
    return scalar_code(gate, BINARY if gate <= 1 else COARSE if gate <= 4 else BINARY)


@pytest.mark.parametrize(
    ("build", "reference"),
    [
        (
            lambda: neuron.OutlierAwareThresholdNode(BINARY, COARSE, 3, 7, surrogate.ATan()),
            outlier_reference,
        ),
        (
            lambda: neuron.HGNode([BINARY, COARSE, BINARY], [1, 4], surrogate.ATan()),
            region_reference,
        ),
    ],
    ids=["outlier", "regions"],
)
def test_variants_equal_an_independent_reference_number_by_number(build, reference):
    x = torch.linspace(-9.3, 9.1, 47, dtype=torch.float64)
    ours = x.clone().requires_grad_(True)
    y = build().double()(ours)
    y.sum().backward()
    for gate, mine, slope in zip(x, y, ours.grad, strict=True):
        alone = gate.clone().requires_grad_(True)
        expected = reference(alone)
        if expected.requires_grad:  # a gate beyond the clamp is a constant
            expected.backward()
        torch.testing.assert_close(mine.detach(), expected.detach())
        grad = torch.zeros_like(gate) if alone.grad is None else alone.grad
        torch.testing.assert_close(slope, grad, rtol=1e-10, atol=1e-12)


def test_tables_are_saved_and_integers_accepted():
    node = neuron.FewSpikeNode(BINARY)
    assert set(node.state_dict()) == {"theta", "h", "d"}
    assert node(torch.tensor([3])).item() == 3.0
    BINARY_BEFORE = BINARY.theta.clone()
    node.theta.zero_()
    assert torch.equal(BINARY.theta, BINARY_BEFORE)
    assert node.supported_backends == ("torch",)
    assert "theta=[4.0, 2.0, 1.0, 0.5]" in repr(BINARY)


SHORT = neuron.FewSpikeTable([1], [1], [1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: neuron.FewSpikeTable([1, 2], [1], [1]), ValueError, r"equally long, got \(2, 1"),
        (lambda: neuron.FewSpikeTable([], [], []), ValueError, "theta must have one dimension"),
        (lambda: neuron.FewSpikeTable([[1.0]], [1], [1]), ValueError, r"got shape \(1, 1\)"),
        (lambda: neuron.FewSpikeTable([1], [math.nan], [1]), ValueError, "h must be finite"),
        (lambda: neuron.FewSpikeNode([1, 2]), TypeError, "expected a FewSpikeTable"),
        (lambda: neuron.FewSpikeNode(BINARY, 3), TypeError, "surrogate_function must be"),
        (
            lambda: neuron.FewSpikeNode(BINARY, step_mode="m")(torch.ones(3, 2)),
            ValueError,
            "K = 4 steps, the input 3 in shape",
        ),
        (
            lambda: neuron.OutlierAwareThresholdNode(BINARY, SHORT, 1),
            ValueError,
            r"the same K, got \[4, 1\]",
        ),
        (
            lambda: neuron.OutlierAwareThresholdNode(BINARY, COARSE, -1),
            ValueError,
            "split_threshold must be at least 0",
        ),
        (
            lambda: neuron.OutlierAwareThresholdNode(BINARY, COARSE, 3, 2),
            ValueError,
            "clamp_value must be positive and at least split_threshold = 3.0, got 2",
        ),
        (lambda: neuron.HGNode([], []), ValueError, "at least one FewSpikeTable"),
        (lambda: neuron.HGNode([BINARY, SHORT], [1]), ValueError, "the same K"),
        (lambda: neuron.HGNode([BINARY, COARSE], [1, 2]), ValueError, r"shape \(1,\), got \(2,\)"),
        (lambda: neuron.HGNode([BINARY] * 3, [2, 1]), ValueError, "must increase"),
    ],
)
def test_bad_arguments_and_inputs_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()

"""Losses and label helpers, against their formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sj_neurons import functional, neuron


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.rand(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("extra", [(), (2,)], ids=["flat", "pixels"])
def test_cross_entropy_is_averaged_over_time(extra):
    x = torch.randn(5, 3, 4, *extra, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 3, 1]).reshape(3, *(1 for _ in extra)).expand(3, *extra)
    loss = functional.temporal_efficient_training_cross_entropy(x, target)
    torch.testing.assert_close(
        loss, torch.stack([F.cross_entropy(x_t, target) for x_t in x]).mean()
    )


def test_logits_without_time_are_refused():
    target = torch.zeros(3, dtype=torch.long)
    for shape in [(3, 4), (0, 3, 4)]:
        with pytest.raises(ValueError, match=r"\[T, N, C, \*\] with T > 0, got shape"):
            functional.temporal_efficient_training_cross_entropy(torch.zeros(shape), target)


@pytest.mark.parametrize(
    ("kernel", "args", "formula"),
    [
        ("linear", (), lambda a, b: a @ b),
        ("polynomial", (3.0,), lambda a, b: (a @ b) ** 3),
        ("sigmoid", (0.5,), lambda a, b: 1 / (1 + math.exp(-0.5 * (a @ b)))),
        ("gaussian", (2.0,), lambda a, b: math.exp(-((a - b) @ (a - b)) / 8)),
    ],
)
def test_kernels_compare_all_rows(rows, kernel, args, formula):
    other = rows[:2] + 0.5
    product = functional.kernel_dot_product(rows, other, kernel, *args)
    expected = torch.tensor([[formula(a, b) for b in other] for a in rows], dtype=torch.float64)
    torch.testing.assert_close(product, expected)


def test_bad_kernels_are_named(rows):
    with pytest.raises(ValueError, match=r"unknown kernel 'cubic'.*gaussian"):
        functional.kernel_dot_product(rows, rows, "cubic")
    with pytest.raises(ValueError, match=r"'linear' takes 0 number\(s\), got 1"):
        functional.kernel_dot_product(rows, rows, "linear", 1.0)
    for sigma in (0.0, -1.0):
        with pytest.raises(ValueError, match="sigma > 0"):
            functional.kernel_dot_product(rows, rows, "gaussian", sigma)


@pytest.mark.parametrize("loss_type", ["mse", "l1", "bce"])
def test_equal_spikes_of_equal_labels_cost_nothing(loss_type):
    labels = F.one_hot(torch.tensor([0, 1, 1]), 2)
    spikes = labels.repeat_interleave(7, 1).float().unflatten(1, (2, 7)).requires_grad_()
    loss = functional.spike_similar_loss(spikes, labels, "linear", loss_type)
    torch.testing.assert_close(loss, torch.tensor(0.0))
    different = functional.spike_similar_loss(1 - spikes, labels.flip(0), "linear", loss_type)
    assert different > 0.1
    different.backward()
    assert spikes.grad is not None and spikes.grad.isfinite().all()


def test_similarity_is_that_of_the_kernel(rows):
    labels = torch.eye(4)
    similarity = functional.kernel_dot_product(rows, rows, "gaussian", 0.5)
    loss = functional.spike_similar_loss(rows, labels, "gaussian", "mse", 0.5)
    torch.testing.assert_close(loss, (similarity - labels).square().mean())


def test_shared_labels_count_once():
    labels = torch.tensor([[1, 1, 0], [1, 1, 0]])
    spikes = torch.ones(2, 4)
    assert functional.spike_similar_loss(spikes, labels) < 1e-12


def test_bad_similarity_arguments_are_named(rows):
    with pytest.raises(ValueError, match=r"unknown loss 'kl'.*bce"):
        functional.spike_similar_loss(rows, rows, "linear", "kl")
    with pytest.raises(ValueError, match=r"labels \[N, C\].*\(3, 3\) and \(4, 3\)"):
        functional.spike_similar_loss(rows, rows[:3])


def test_each_class_is_repeated():
    labels = functional.redundant_one_hot(torch.tensor([2, 0]), 3, 2)
    assert labels.tolist() == [[0, 0, 0, 0, 1, 1], [1, 1, 0, 0, 0, 0]]
    assert labels.dtype == torch.float32
    with pytest.raises(ValueError, match="n must be 1 or more"):
        functional.redundant_one_hot(torch.tensor([0]), 3, 0)


def test_only_the_first_spike_is_marked():
    spikes = torch.rand(5, 4, 9, generator=torch.Generator().manual_seed(0)) < 0.3
    mask = functional.first_spike_index(spikes.float())
    assert mask.dtype == torch.bool
    for train, marks in zip(spikes.flatten(0, 1), mask.flatten(0, 1), strict=True):
        times = train.nonzero().flatten().tolist()
        assert marks.nonzero().flatten().tolist() == times[:1]


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64])
def test_the_right_class_fires_later_in_training(dtype):
    node = neuron.IFNode()
    labels = F.one_hot(torch.tensor([1, 0]), 3).to(dtype)
    functional.set_threshold_margin(node, labels, 1.0, 0.5, 2.0)
    assert node.v_threshold.tolist() == [[0.5, 2.0, 0.5], [2.0, 0.5, 0.5]]
    assert node.v_threshold.dtype == (dtype if dtype.is_floating_point else torch.float32)
    assert node(torch.ones(2, 3)).tolist() == [[1, 0, 1], [0, 1, 1]]
    functional.set_threshold_margin(node.eval(), labels, eval_threshold=1.5)
    assert node.v_threshold == 1.5


def test_a_module_without_threshold_is_refused():
    with pytest.raises(TypeError, match="v_threshold, got Linear"):
        functional.set_threshold_margin(nn.Linear(1, 1), torch.zeros(1, 1))

"""What users do with neurons in their own programs: subclassing and training."""

import copy
import io
import math
import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sj_neurons import base, functional, neuron, surrogate

T, N = 6, 4


def two_layers(step_mode: str = "s", **options: Any) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(3, 5),
        neuron.LIFNode(v_threshold=0.3, **options),
        nn.Linear(5, 2),
        neuron.ParametricLIFNode(v_threshold=0.3, **options),
    )
    functional.set_step_mode(net, step_mode)
    return net


@pytest.fixture
def x_seq() -> Tensor:
    return 2 * torch.rand(T, N, 3, generator=torch.Generator().manual_seed(0))


# subclasses


class NoisyThresholdLIF(neuron.LIFNode):
    """A LIF in the imperative style: its own charge, fire and reset on `self.v`."""

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = 0.5 * self.v + x

    def neuronal_fire(self) -> Tensor:
        self.threshold_now = 1.0 + 0.1 * float(self.training)
        return self.surrogate_function(self.v - self.threshold_now)

    def neuronal_reset(self, spike: Tensor) -> None:
        self.v = self.v - spike * self.threshold_now


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mode", ["s", "m"])
def test_a_subclass_with_hooks_is_heard_in_every_mode(mode, training):
    node = NoisyThresholdLIF(step_mode=mode).train(training)
    x = torch.full((T, 1), 0.7, requires_grad=True)
    spikes = node(x) if mode == "m" else torch.stack([node(x_t) for x_t in x])
    v, expected = 0.0, []
    for _ in range(T):
        v = 0.5 * v + 0.7
        expected.append(float(v >= 1.0 + 0.1 * training))
        v -= expected[-1] * (1.0 + 0.1 * training)
    assert 0 < sum(expected) < T
    assert spikes.flatten().tolist() == expected
    assert math.isclose(node.v.item(), v, rel_tol=1e-5)
    spikes.sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


class GainIF(neuron.IFNode):
    """An IF neuron with a learnable gain, in the pure style."""

    def __init__(self, gain: float, step_mode: str = "s") -> None:
        super().__init__(step_mode=step_mode)
        self.gain = nn.Parameter(torch.tensor(gain))

    def charge(self, x: Any, v: Any) -> Any:
        return v + self.gain * x


def test_a_subclass_with_its_own_charge_learns_its_parameter(x_seq):
    node = GainIF(0.5, step_mode="m")
    assert torch.equal(node(x_seq), neuron.IFNode(step_mode="m")(0.5 * x_seq))
    functional.reset_net(node)
    before = node.gain.item()
    optimizer = torch.optim.SGD(node.parameters(), lr=0.1)
    node(x_seq).mean().backward()
    optimizer.step()
    assert node.gain.item() < before


def test_a_threshold_per_channel(x_seq):
    thresholds = [0.5, 1.0, 2.0]
    node = neuron.LIFNode(v_threshold=torch.tensor(thresholds), v_reset=None, step_mode="m")
    spikes = node(x_seq)
    for c, threshold in enumerate(thresholds):
        alone = neuron.LIFNode(v_threshold=threshold, v_reset=None, step_mode="m")
        assert torch.equal(spikes[..., c], alone(x_seq[..., c]))
    assert node.double().v_threshold.dtype == torch.float64


class Triangle(surrogate.SurrogateFunction):
    """A surrogate with a triangular derivative: max(0, 1 - |x| / width)."""

    parameter_names = ("width",)

    def __init__(self, width: float = 1.0, spiking: bool = True) -> None:
        super().__init__(spiking)
        self.width = width

    @staticmethod
    def derivative(x: Any, width: float) -> Any:
        return torch.relu(1.0 - x.abs() / width)


@pytest.mark.parametrize(
    "spike_function",
    [Triangle(0.5), lambda u: (u >= 0).to(u) + (F.softsign(u) - F.softsign(u).detach())],
    ids=["class", "function"],
)
def test_a_surrogate_of_ones_own(spike_function):
    x = torch.tensor([0.75, 1.0, 1.25], requires_grad=True)
    spikes = neuron.IFNode(surrogate_function=spike_function)(x)
    assert spikes.tolist() == [0, 1, 1]
    spikes.sum().backward()
    if isinstance(spike_function, Triangle):
        expected = torch.tensor([0.5, 1.0, 0.5])
    else:
        expected = 1 / (1 + (x.detach() - 1).abs()) ** 2
    torch.testing.assert_close(x.grad, expected)


# training


def test_truncated_bptt(x_seq):
    """The gradient of each chunk is that of a run from a constant state."""
    net = two_layers("m")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for chunk in x_seq.split(2):
        state = base.extract_memories(net)
        twin = copy.deepcopy(net)
        optimizer.zero_grad()
        (net(chunk).mean() - 1).square().backward()
        base.load_memories(twin, state)
        (twin(chunk).mean() - 1).square().backward()
        for w, expected in zip(net.parameters(), twin.parameters(), strict=True):
            assert w.grad is not None and torch.equal(w.grad, expected.grad)
        optimizer.step()
        functional.detach_net(net)
    functional.reset_net(net)
    assert base.extract_memories(net) == [0.0, 0.0]


def test_forgetting_to_reset_is_impossible_in_a_sequence_block(x_seq):
    net = two_layers("m")
    for batch_size in (4, 2, 3):  # a stale state would not even fit
        with functional.sequence(net):
            net(x_seq[:, :batch_size]).mean().backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_training_step(x_seq, dtype):
    net = two_layers("m")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = [w.detach().clone() for w in net.parameters()]
    with torch.autocast("cpu", dtype):
        spikes = net(x_seq)
        loss = F.mse_loss(spikes.mean(0).float(), torch.ones(N, 2))
    assert spikes.dtype == net[1].v.dtype == dtype
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    loss.backward()
    optimizer.step()
    for w, old in zip(net.parameters(), before, strict=True):
        assert w.dtype == torch.float32
        assert w.isfinite().all() and not torch.equal(w, old)


def test_double_precision_from_one_call(x_seq):
    net = two_layers("m").double()
    spikes = net(x_seq.double())
    assert {spikes.dtype, *(v.dtype for v in base.memories(net))} == {torch.float64}
    spikes.sum().backward()
    assert all(w.grad is not None and w.grad.dtype == torch.float64 for w in net.parameters())


def test_training_resumes_from_weights_and_live_state(x_seq):
    net = two_layers("m")
    net(x_seq[:3])
    file = io.BytesIO()
    states = [v.detach() for v in base.extract_memories(net)]
    torch.save({"weights": net.state_dict(), "states": states}, file)
    expected = net(x_seq[3:])

    file.seek(0)
    checkpoint = torch.load(file, weights_only=True)
    resumed = two_layers("m")
    nn.init.zeros_(resumed[0].weight)
    resumed.load_state_dict(checkpoint["weights"])
    base.load_memories(resumed, checkpoint["states"])
    assert torch.equal(resumed(x_seq[3:]), expected)


# several devices


def test_replicas_of_data_parallel_keep_states_apart(x_seq):
    """What `nn.DataParallel` does to modules, which needs CUDA devices to run as a whole."""
    node = neuron.LIFNode(step_mode="m", store_v_seq=True)
    replicas = [node._replicate_for_data_parallel() for _ in range(2)]
    halves = x_seq.split([1, 3], dim=1)
    spikes = torch.cat(
        [replica(half) for replica, half in zip(replicas, halves, strict=True)], dim=1
    )
    assert [replica.v.shape for replica in replicas] == [(1, 3), (3, 3)]
    assert node.v == 0.0
    assert torch.equal(spikes, neuron.LIFNode(step_mode="m")(x_seq))
    replicas[0].reset()
    assert replicas[0].v == 0.0
    assert replicas[1].v.shape == (3, 3)


DDP_PROGRAM = """
import sys
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from sj_neurons import functional, neuron

rank, store, result = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 5), neuron.LIFNode(v_threshold=0.3), nn.Linear(5, 2))
functional.set_step_mode(net, "m")
model = DistributedDataParallel(net)
x_seq = 2 * torch.rand(6, 4, 3, generator=torch.Generator().manual_seed(0))
mine = x_seq[:, 2 * rank : 2 * rank + 2]
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(2):
    with functional.sequence(net):
        optimizer.zero_grad()
        model(mine).square().mean().backward()
        optimizer.step()
torch.save(net.state_dict(), f"{result}.{rank}")
dist.barrier()  # a rank that leaves while the other still talks to it can abort it
del model
dist.destroy_process_group()
"""


def test_distributed_training_equals_training_on_the_whole_batch(tmp_path, x_seq):
    script = tmp_path / "train.py"
    script.write_text(DDP_PROGRAM)
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(tmp_path / "store"), str(tmp_path / "w")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 5), neuron.LIFNode(v_threshold=0.3), nn.Linear(5, 2))
    functional.set_step_mode(net, "m")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        with functional.sequence(net):
            optimizer.zero_grad()
            net(x_seq).square().mean().backward()
            optimizer.step()
    for rank in range(2):
        weights = torch.load(f"{tmp_path / 'w'}.{rank}", weights_only=True)
        torch.testing.assert_close(weights, dict(net.state_dict()))

"""Each mistake is found, named and explained; a sound net gives no findings."""

import torch
from torch import nn

import sj_layers as layer
from sj_layers.check import check
from sj_neurons import functional, neuron

X = torch.full((4, 2, 3), 2.0)


def sound() -> nn.Sequential:
    made = nn.Sequential(
        layer.Linear(3, 4, bias=False), neuron.IFNode(), layer.Linear(4, 2), neuron.LIFNode()
    )
    nn.init.ones_(made[0].weight)
    nn.init.ones_(made[2].weight)
    functional.set_step_mode(made, "m")
    functional.set_backend(made, "auto")
    return made


def test_a_sound_net_gives_no_findings():
    findings = check(sound(), X)
    assert findings == []
    assert str(findings) == "nothing found"


def test_mixed_step_modes():
    net = sound()
    net[1].step_mode = "s"
    (finding,) = [f for f in check(net, X) if "step mode" in f.problem]
    assert "'s' in 1 modules (1), 'm' in" in finding.problem
    assert "set_step_mode" in finding.advice


def test_containers_may_decide_on_their_children():
    net = nn.Sequential(layer.SeqToANNContainer(layer.Linear(3, 4)), *sound()[1:])
    assert not [f for f in check(net, X) if "step mode" in f.problem]


def test_a_forgotten_reset():
    net = sound()
    net(X)
    v = net[1].v
    paths = {f.path for f in check(net, X) if "earlier sequence" in f.problem}
    assert paths == {"1", "3"}
    assert net[1].v is v
    functional.reset_net(net)
    assert check(net, X) == []


def test_an_input_that_does_not_fit_names_the_layer():
    (finding,) = check(sound(), X[..., :2])
    assert finding.path == "0"
    assert "raises RuntimeError" in finding.problem
    images = nn.Sequential(layer.Conv2d(1, 2, 3, step_mode="m"))
    (finding,) = check(images, torch.rand(2, 1, 8, 8))
    assert "expected x with shape [T, N, C, H, W]" in finding.problem


def test_neurons_that_never_fire():
    (first, second) = check(sound(), -X)
    assert (first.path, second.path) == ("1", "3")
    assert "none of its neurons fired" in first.problem


def test_values_that_are_no_spikes_behind_a_neuron():
    net = sound()
    mixed = nn.Sequential(*net[:2], nn.Sigmoid(), *net[2:])
    (finding, *_) = check(mixed, torch.rand(4, 2, 3) * 4)
    assert finding.path == "3"
    assert "no spikes" in finding.problem


def test_a_slow_backend():
    net = sound()
    functional.set_backend(net, "torch")
    findings = check(net, X)
    assert [f.path for f in findings] == ["1", "3"]
    assert str(findings).count("set_backend(net, 'auto')") == 2


def test_a_backend_that_falls_back_to_torch():
    class Sorting(neuron.IFNode):
        def charge(self, x, v):
            return v + x.sort(-1).values  # no scalar recurrence

    node = Sorting(step_mode="m", backend="auto")
    (finding,) = [f for f in check(nn.Sequential(node), X) if "backend" in f.problem]
    assert finding.problem == "is set to backend 'auto', but runs on 'torch'"


def test_modes_and_hooks_are_left_as_they_were():
    net = sound()
    net[2].eval()
    check(net, X[..., :2])
    assert [m.training for m in net] == [True, True, False, True]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())

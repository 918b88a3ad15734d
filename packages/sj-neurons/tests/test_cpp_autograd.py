"""Backend 'cpp' as an operation of autograd, and as a part of modules that live on."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import pytest
import torch
from torch import Tensor, nn

from sj_neurons import functional, neuron, surrogate

T, N, C = 6, 3, 43


def values(*shape: int) -> Tensor:
    return 3.0 * torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) - 1.0


def plif(backend: str, **options: object) -> neuron.ParametricLIFNode:
    return neuron.ParametricLIFNode(
        3.0, surrogate_function=surrogate.ATan(), step_mode="m", backend=backend, **options
    )


BOTH = ("torch", "cpp")


def close(found: list[Tensor], wanted: list[Tensor]) -> None:
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=5e-6)


def test_backward_twice_needs_retain_graph():
    node, x = plif("cpp"), values(T, N, C).requires_grad_(True)
    loss = node(x).sum()
    first = torch.autograd.grad(loss, (x, node.w), retain_graph=True)
    second = torch.autograd.grad(loss, (x, node.w))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_gradients_add_up():
    node, x = plif("cpp"), values(T, N, C).requires_grad_(True)
    node(x).sum().backward()
    once = x.grad.clone()
    node.reset()
    node(x).sum().backward()
    assert torch.equal(x.grad, 2 * once)


def test_an_input_changed_in_place_is_noticed():
    node, x = plif("cpp"), values(T, N, C)
    y = node(x)
    x.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_second_and_third_derivatives(dtype):
    found = []
    for backend in BOTH:
        node = plif(backend, store_v_seq=True).to(dtype)
        node.v = v = values(N, C).to(dtype).requires_grad_(True)
        x = values(T, N, C).to(dtype).requires_grad_(True)
        leaves = (x, v, node.w)
        y = node(x)
        loss = (y * values(T, N, C)).sum() + (node.v_seq**2).sum() + (node.v**3).sum()
        results = []
        for _ in range(3):
            gradients = torch.autograd.grad(loss, leaves, create_graph=True)
            results += gradients
            loss = sum((g**2).sum() for g in gradients) * 1e-3
        found.append(results)
    for a, b in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_one_tensor_in_two_places_is_differentiated_twice():
    def step(x, v, a, b):
        h = v * a + x * b
        s = (h >= 1.0) * 1.0
        return s, h - s.detach() * h

    Twice = neuron.from_step(step, states={"v": 0.0}, params={"a": None, "b": None}, name="Twice")
    found = []
    for backend in BOTH:
        node = Twice(step_mode="m", store_v_seq=True)
        node.a = node.b = shared = nn.Parameter(torch.tensor(0.6))
        node.backend = backend
        node(values(T, N, C))
        (first,) = torch.autograd.grad((node.v_seq**2).sum(), shared, create_graph=True)
        found.append([first, *torch.autograd.grad(first, shared)])
    close(found[1], found[0])


def test_a_batch_of_gradients():
    found = []
    for backend in BOTH:
        node, x = plif(backend), values(T, N).requires_grad_(True)
        many = torch.eye(T * N).view(T * N, T, N)
        found.append(torch.autograd.grad(node(x), (x, node.w), many, is_grads_batched=True))
    close(found[1], found[0])


@pytest.mark.parametrize(
    "wanted",
    [("x",), ("v",), ("w",), ("x", "v"), ("v", "w"), ("x", "v", "w")],
    ids=lambda names: "+".join(names),
)
@pytest.mark.parametrize("loss_of", ["output", "v_seq", "v", "all"])
def test_gradients_of_some_inputs_from_some_outputs(wanted, loss_of):
    found = []
    for backend in BOTH:
        node = plif(backend, store_v_seq=True)
        leaves = {"x": values(T, N, C), "v": values(N, C), "w": node.w}
        for name, leaf in leaves.items():
            leaf.requires_grad_(name in wanted)
        node.v = leaves["v"]
        output = node(leaves["x"])
        parts = {"output": output, "v_seq": node.v_seq, "v": node.v}
        chosen = parts.values() if loss_of == "all" else [parts[loss_of]]
        loss = sum((part * values(*part.shape)).sum() for part in chosen)
        found.append(torch.autograd.grad(loss, [leaves[name] for name in wanted]))
    close(found[1], found[0])


def test_nothing_is_recorded_where_nothing_is_learned():
    node = plif("cpp")
    with torch.no_grad():
        assert not node(values(T, N, C)).requires_grad
    frozen = neuron.LIFNode(step_mode="m", backend="cpp")
    assert frozen(values(T, N, C)).grad_fn is None
    node.reset()
    assert node.requires_grad_(False)(values(T, N, C)).grad_fn is None


def test_inference_mode_and_training_take_turns():
    node, twin = plif("cpp"), plif("torch")
    x = values(T, N, C)
    for n in (node, twin):
        with torch.inference_mode():
            assert n(x).is_inference()
    twin.v = twin.v.clone()  # torch cannot save it for the backward pass otherwise
    y, reference = node(x), twin(x)
    assert torch.equal(y, reference)
    y.sum().backward()
    reference.sum().backward()
    torch.testing.assert_close(node.w.grad, twin.w.grad)


def test_memory_is_kept_for_the_input_alone():
    node = neuron.LIFNode(step_mode="m", backend="cpp")
    x = values(T, N, C).requires_grad_(True)
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = node(x)
    assert [tensor.data_ptr() for tensor in kept] == [x.data_ptr()]
    gone = weakref.ref(y)
    del y
    kept.clear()
    node.reset()
    gc.collect()
    assert gone() is None


# state


def test_single_steps_and_sequences_go_on_from_each_other():
    results = []
    for backends in (["torch"], ["cpp"], ["cpp", "torch", "auto"]):
        node = plif("torch")
        x = values(3 * T, N, C).requires_grad_(True)
        outputs = []
        for turn, part in enumerate(x.split(T)):
            backend = backends[turn % len(backends)]
            # in any order
            if turn % 2:
                node.step_mode, node.backend = "s", backend
            else:
                node.backend, node.step_mode = backend, "m"
            y = node(part) if node.step_mode == "m" else torch.stack([node(p) for p in part])
            outputs.append(y)
        y = torch.cat(outputs)
        (y * values(3 * T, N, C)).sum().backward()
        results.append((y, node.v, x.grad, node.w.grad))
    for other in results[1:]:
        assert torch.equal(other[0], results[0][0])
        assert torch.equal(other[1], results[0][1])
        close(other[2:], results[0][2:])


def test_states_stay_in_float32_beside_half_precision():
    node, reference = plif("cpp"), plif("torch")
    x = values(2 * T, N, C).to(torch.bfloat16)
    for part in x.split(T):
        assert torch.equal(node(part), reference(part.float()).to(torch.bfloat16))
    assert node.v.dtype == torch.float32
    assert torch.equal(node.v, reference.v)
    node.backend = "torch"
    assert node(x).dtype == torch.bfloat16


@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_copies_go_on_from_the_live_state(how):
    net = nn.Sequential(nn.Linear(C, C), plif("cpp"))
    x = values(T, N, C)
    net(x)
    twin = copy.deepcopy(net) if how == "deepcopy" else pickle.loads(pickle.dumps(net))
    assert twin[1].backend == "cpp"
    with torch.no_grad():
        twin[1].w.add_(1.0)  # its own
        twin(x), net(x)
        assert not torch.equal(twin[1].v, net[1].v)
        net[1].w.add_(1.0)
        assert twin[1].v.shape == net[1].v.shape
    functional.reset_net(net)
    functional.reset_net(twin)
    assert torch.equal(twin(x), net(x))


def test_detach_cuts_the_past():
    node = plif("cpp")
    early, late = (values(T, N, C).requires_grad_(True) for _ in range(2))
    node(early)
    node.detach()
    node(late).sum().backward()
    assert early.grad is None


def test_checkpointing_and_hooks_see_the_neuron():
    node = plif("cpp")
    x = values(T, N, C).requires_grad_(True)
    plain = torch.autograd.grad(node(x).sum(), x)[0]
    node.reset()

    def run(x: Tensor) -> Tensor:
        functional.reset_net(node)
        return node(x)

    y = torch.utils.checkpoint.checkpoint(run, x, use_reentrant=False)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], plain)


# what is changed between calls


def test_attributes_may_change_between_calls():
    node, reference = (neuron.LIFNode(2.0, step_mode="m", backend=b) for b in ("cpp", "torch"))
    x = values(T, N, C).requires_grad_(True)

    def same() -> None:
        results = []
        for n in (node, reference):
            n.reset()
            y = n(x)
            results.append((y, *torch.autograd.grad(y.sum(), x)))
        assert torch.equal(results[0][0], results[1][0])
        torch.testing.assert_close(results[0][1], results[1][1])

    same()
    changes = [
        ("tau", 5.0), ("v_threshold", 0.4), ("v_threshold", torch.linspace(0.1, 1.0, C)),
        ("v_reset", -0.3), ("v_reset", None), ("decay_input", False), ("detach_reset", True),
        ("surrogate_function", surrogate.ATan()), ("v_threshold", 1.0),
    ]  # fmt: skip
    for name, value in changes:
        for n in (node, reference):
            setattr(n, name, value)
        same()
    for n in (node, reference):
        n.surrogate_function.alpha = 7.0
    same()
    for n in (node, reference):
        n.surrogate_function.set_spiking_mode(False)
    with pytest.raises(AssertionError):
        same()  # the smooth curve takes atan: equal to the last bits only
    torch.testing.assert_close(node.v, reference.v)


# threads


def gradients(backend: str, threads: int) -> list[Tensor]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        node = plif(backend, store_v_seq=True)
        threshold = torch.linspace(0.5, 2.0, 300)
        del node.v_threshold
        node.v_threshold = nn.Parameter(threshold)
        x = values(8, 100, 300).requires_grad_(True)
        y = node(x)
        (y * values(8, 100, 300)).sum().backward()
        return [y, node.v, x.grad, node.w.grad, node.v_threshold.grad]
    finally:
        torch.set_num_threads(before)


def test_any_number_of_threads_gives_the_same_bits():
    once, twice, four = (gradients("cpp", threads) for threads in (1, 2, 4))
    for a, b, c in zip(once, twice, four, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_threads_may_call_at_once():
    wanted = gradients("cpp", 1)
    results: list[list[Tensor]] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        results.extend(gradients("cpp", 1) for _ in range(3))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 12
    for result in results:
        assert all(torch.equal(a, b) for a, b in zip(result, wanted, strict=True))


# transforms of torch.func, forward mode, and input that no kernel takes


@pytest.mark.parametrize(
    "transform",
    [
        lambda f, x: torch.func.grad(lambda x: f(x).sum())(x),
        lambda f, x: torch.vmap(f)(x.unsqueeze(0)),
        lambda f, x: torch.func.jacrev(f)(x),
        lambda f, x: torch.func.vjp(f, x)[0],
    ],
    ids=["grad", "vmap", "jacrev", "vjp"],
)
def test_transforms_are_refused_and_auto_leaves_them_to_torch(transform):
    x = values(T, N)
    with pytest.raises(NotImplementedError, match=r"ParametricLIFNode: .*'cpp'.*torch\.func.*auto"):
        transform(plif("cpp"), x)
    found, wanted = (transform(plif(backend), x) for backend in ("auto", "torch"))
    torch.testing.assert_close(found, wanted)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*deprecated:DeprecationWarning")
def test_forward_mode_is_refused():
    with (
        torch.autograd.forward_ad.dual_level(),
        pytest.raises(NotImplementedError, match="forward mode"),
    ):
        dual = torch.autograd.forward_ad.make_dual(values(T, N), values(T, N))
        plif("cpp")(dual)


@pytest.mark.parametrize("mode", ["s", "m"])
def test_numbers_without_a_batch_are_refused(mode):
    node = neuron.LIFNode(step_mode=mode, backend="cpp")
    with pytest.raises(ValueError, match=r"LIFNode: expected an input \[N, \*\]"):
        node(torch.ones(T) if mode == "m" else torch.tensor(1.0))
    node.step_mode = "m"
    with pytest.raises(ValueError, match="T > 0"):
        node(torch.ones(0, N))


def test_a_state_that_does_not_fit_is_refused():
    node = plif("cpp")
    node(values(T, N, C))
    with pytest.raises(ValueError, match=r"state \(3, 43\).*reset\(\)"):
        node(values(T, N, C + 1))


def test_a_threshold_that_does_not_broadcast_is_refused():
    node = neuron.LIFNode(v_threshold=torch.ones(4), step_mode="m", backend="cpp")
    with pytest.raises(ValueError, match=r"LIFNode: .*\(4,\).*step \(3, 43\)"):
        node(values(T, N, C))
    with pytest.raises(ValueError, match="no dimension 5"):
        neuron.ActivationAwareIFNode(torch.ones(4), channel_dim=5, step_mode="m", backend="cpp")(
            values(T, N, C)
        )


def test_whole_numbers_and_complex_ones():
    x = torch.randint(0, 3, (T, N, C), generator=torch.Generator().manual_seed(0))
    assert torch.equal(plif("cpp")(x), plif("torch")(x))
    with pytest.raises(NotImplementedError, match="complex64"):
        plif("cpp")(values(T, N).to(torch.complex64))

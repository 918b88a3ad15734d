"""What is likely to be wrong with a net, found by running it once.

Each finding names the module by its path and says what to do. The mistakes looked for are those
that raise no error: forgotten resets, step modes that do not fit together, layers that see no
spikes, neurons that never fire, slow backends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sj_neurons.base import MemoryModule, StepModule, extract_memories, load_memories
from sj_neurons.functional import reset_net
from sj_neurons.neuron import BaseNode

__all__ = ["Finding", "Findings", "check"]


@dataclass(frozen=True)
class Finding:
    """One thing to look at: where, what, and what to do."""

    path: str
    problem: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path or 'the net'}: {self.problem}; {self.advice}"


class Findings(list[Finding]):
    """A list of findings; `str` gives one line each."""

    def __str__(self) -> str:
        return "\n".join(map(str, self)) if self else "nothing found"


def check(net: nn.Module, example: Tensor) -> Findings:
    """Run `net` once on `example` and report what is likely to be wrong.

    The net runs from its reset state in evaluation mode and without gradient; afterwards its states
    and modes are what they were.

    Args:
        net: any net of torch and step-mode layers.
        example: an input as in training, `[T, N, *]` in step mode `'m'`.

    Returns:
        The findings, none of which is certain to be a mistake; an empty list if there are none.

    Example:
        >>> import torch, sj_layers as layer
        >>> from sj_neurons import neuron
        >>> net = torch.nn.Sequential(layer.Linear(4, 2, bias=False), neuron.IFNode())
        >>> print(check(net, torch.zeros(1, 4)))
        1: none of its neurons fired; raise its input, or lower v_threshold
    """
    findings = Findings(_static(net))
    modes = {module: module.training for module in net.modules()}
    states = extract_memories(net)
    watch = _Watch(net)
    try:
        net.eval()
        reset_net(net)
        with torch.no_grad():
            net(example)
    except Exception as error:
        path = watch.running[-1] if watch.running else ""
        findings.append(
            Finding(path, f"raises {type(error).__name__}: {error}", "mend this and check again")
        )
    finally:
        watch.remove()
        load_memories(net, states)
        for module, training in modes.items():
            module.training = training
    findings.extend(watch.findings())
    return findings


def _static(net: nn.Module) -> Iterator[Finding]:
    yield from _mixed_modes(net)
    for path, module in net.named_modules():
        if not isinstance(module, MemoryModule):
            continue
        live = [
            name
            for name, value in module.named_memories()
            if isinstance(value, Tensor) and not isinstance(module.get_reset_value(name), Tensor)
        ]
        if live:
            yield Finding(
                path,
                f"holds {', '.join(live)} of an earlier sequence",
                "call functional.reset_net(net) between sequences",
            )
        if isinstance(module, BaseNode) and module.backend == "torch":
            yield from _slow_backend(path, module)


def _mixed_modes(net: nn.Module) -> Iterator[Finding]:
    found: dict[str, list[str]] = {}

    def visit(path: str, module: nn.Module) -> None:
        if isinstance(module, StepModule):
            if len(module.supported_step_mode()) > 1:
                found.setdefault(module.step_mode, []).append(path)
            if module.owns_children_step_mode:
                return
        for name, child in module.named_children():
            visit(f"{path}.{name}" if path else name, child)

    visit("", net)
    if len(found) > 1:
        few = {mode: ", ".join(paths[:3]) for mode, paths in found.items()}
        yield Finding(
            "",
            f"step modes are mixed: 's' in {len(found['s'])} modules ({few['s']}), 'm' in "
            f"{len(found['m'])} ({few['m']})",
            "call functional.set_step_mode(net, 'm') or 's'",
        )


def _slow_backend(path: str, node: BaseNode) -> Iterator[Finding]:
    if "cpp" in node.supported_backends and node.step_mode == "m":
        yield Finding(
            path,
            "runs step by step on the backend 'torch'",
            "call functional.set_backend(net, 'auto') for fused kernels",
        )


def _runs_on_torch_instead(node: BaseNode, output: Tensor) -> bool:
    if node.backend == "torch" or "cpp" not in node.supported_backends:
        return False
    from sj_neurons.kernels import select

    return select.call_of(node, output.device.type, output.dtype) is None


class _Watch:
    """Hooks on every module that note what goes through it."""

    def __init__(self, net: nn.Module) -> None:
        self.running: list[str] = []
        self.spikes: Counter[str] = Counter()
        self.nodes: dict[str, BaseNode] = {}
        self.seen_spikes = False
        self.analog: list[str] = []
        self.downgraded: dict[str, str] = {}
        self.handles = []
        for path, module in net.named_modules():
            self.handles.append(module.register_forward_pre_hook(self._before(path, module)))
            self.handles.append(module.register_forward_hook(self._after(path, module)))

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def _before(self, path: str, module: nn.Module) -> Any:
        has_weights = isinstance(module, nn.Linear | nn.modules.conv._ConvNd)

        def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
            self.running.append(path)
            x = args[0] if args else None
            # before the first neuron everything is analog; behind it spikes are expected
            if not (has_weights and self.seen_spikes and isinstance(x, Tensor)):
                return
            if not bool((x == x.round()).all()):
                self.analog.append(path)

        return hook

    def _after(self, path: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            self.running.pop()
            if isinstance(module, BaseNode) and isinstance(output, Tensor):
                self.seen_spikes = True
                if _runs_on_torch_instead(module, output):
                    self.downgraded[path] = module.backend
                self.nodes[path] = module
                self.spikes[path] += int((output != 0).sum())

        return hook

    def findings(self) -> Iterator[Finding]:
        for path in self.analog:
            yield Finding(
                path,
                "receives values that are no spikes, although neurons come before it",
                "put a neuron in front, or accept multiplications here",
            )
        for path, asked in self.downgraded.items():
            yield Finding(
                path,
                f"is set to backend {asked!r}, but runs on 'torch'",
                "see sj_neurons.backends(), and set 'cpp' or 'cupy' to be told why",
            )
        for path in self.nodes:
            if not self.spikes[path]:
                yield Finding(
                    path, "none of its neurons fired", "raise its input, or lower v_threshold"
                )

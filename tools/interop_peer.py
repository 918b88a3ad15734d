"""What another framework makes of our NIR files, and what it writes; runs where that one is.

    python tools/interop_peer.py FRAMEWORK FOLDER

Reads `FOLDER/ours/*.nir` with their inputs and writes what comes out to `FOLDER/FRAMEWORK/`; then
writes networks of the framework to `FOLDER/FRAMEWORK/exports/`. Each attempt is a process of its
own with a time limit, as some never end. Imports none of our packages.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

SECONDS = 20  # of computing, not of waiting
Run = Callable[[Tensor], Any]  # [T, B, *] -> [T, B, *], or a tuple of them
# what exports, what runs, its input, and what our import must be told that the file does not say
Export = tuple[Callable[[], Any], Run, Tensor, dict[str, Any]]


def step_by_step(net: nn.Module, with_state: bool = True) -> Run:
    """Feed one step after another; `with_state` where the network hands out its memories."""

    def run(x: Tensor) -> Any:
        state, steps = None, []
        for x_t in x:
            if with_state:
                out, state = net(x_t) if state is None else net(x_t, state)
            else:
                out = net(x_t)
                out = out[0] if isinstance(out, tuple) and len(out) == 2 else out
            steps.append(out)
        if isinstance(steps[0], tuple):
            return tuple(torch.stack(column) for column in zip(*steps, strict=True))
        return torch.stack(steps)

    return run


def whole(net: nn.Module) -> Run:
    """Feed samples and steps in one axis, samples first, as sinabs wants them."""

    def run(x: Tensor) -> Tensor:
        steps, samples = x.shape[:2]
        out = net(x.transpose(0, 1).flatten(0, 1))
        out = out[0] if isinstance(out, tuple) else out
        return out.unflatten(0, (samples, steps)).transpose(0, 1)

    return run


def read_norse(path: Path, dt: float, x: Tensor) -> Run:
    import norse.torch as norse

    return step_by_step(norse.from_nir(nir.read(path), dt=dt))


def read_snntorch(path: Path, dt: float, x: Tensor) -> Run:
    from snntorch.import_nir import import_from_nir

    if dt != 1e-4:
        raise ValueError("snntorch has a fixed dt of 1e-4")
    return step_by_step(import_from_nir(nir.read(path)))


def read_spikingjelly(path: Path, dt: float, x: Tensor) -> Run:
    from spikingjelly.activation_based import nir_exchange

    return step_by_step(nir_exchange.import_from_nir(nir.read(path), dt=dt))


def read_sinabs(path: Path, dt: float, x: Tensor) -> Run:
    from sinabs.nir import from_nir

    return whole(from_nir(nir.read(path), batch_size=x.shape[1]))


READERS = {
    "norse": read_norse,
    "snntorch": read_snntorch,
    "spikingjelly": read_spikingjelly,
    "sinabs": read_sinabs,
}


def export_norse() -> dict[str, Export]:
    import norse.torch as norse

    def make(cell: nn.Module, *front: nn.Module) -> Export:
        net = norse.SequentialState(*front, cell)
        x = torch.rand(20, 2, 6)
        return lambda: norse.to_nir(net, x[0], dt=1e-3), step_by_step(net), x, {"dt": 1e-3}

    return {
        "Affine, LIF": make(norse.LIFBoxCell(), nn.Linear(6, 6)),
        "LI": make(norse.LIBoxCell(), nn.Linear(6, 6)),
        "IF": make(norse.IAFCell(), nn.Linear(6, 6)),
        "CubaLIF": make(norse.LIFCell(), nn.Linear(6, 6)),
    }


def export_snntorch() -> dict[str, Export]:
    import snntorch
    from snntorch.export_nir import export_to_nir

    def make(net: nn.Module, shape: tuple[int, ...], reset: str = "hard") -> Export:
        x = torch.rand(20, 1, *shape)  # more, and its soft reset leaves potentials above threshold
        run = step_by_step(net, with_state=False)
        told = {"dt": 1e-4, "reset": reset}
        return lambda: export_to_nir(net, x[0], ignore_dims=[0]), run, x, told

    def leaky(count: int, **options: Any) -> nn.Module:
        """One decay, threshold per neuron: only then can the file be read."""
        vector = {"beta": torch.full((count,), 0.9), "threshold": torch.ones(count)}
        return snntorch.Leaky(**vector, init_hidden=True, reset_delay=False, **options)

    def synaptic() -> nn.Module:
        return snntorch.Synaptic(
            torch.full((6,), 0.8), torch.full((6,), 0.9), threshold=torch.ones(6),
            init_hidden=True, reset_delay=False, reset_mechanism="zero",
        )  # fmt: skip

    hard = {"reset_mechanism": "zero"}
    return {
        "Affine, LIF": make(nn.Sequential(nn.Linear(6, 6), leaky(6, **hard)), (6,)),
        "LIF, soft reset": make(nn.Sequential(nn.Linear(6, 6), leaky(6)), (6,), "soft"),
        "CubaLIF": make(nn.Sequential(nn.Linear(6, 6), synaptic()), (6,)),
        "Conv2d": make(
            nn.Sequential(nn.Conv2d(2, 3, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(27, 6),
                          leaky(6, **hard)), (2, 8, 8),
        ),
    }  # fmt: skip


def export_spikingjelly() -> dict[str, Export]:
    from spikingjelly.activation_based import layer, neuron, nir_exchange

    def make(net: nn.Module, shape: tuple[int, ...]) -> Export:
        x = 2.0 * torch.rand(20, 2, *shape)
        run = step_by_step(net, with_state=False)
        told = {"dt": 1e-4, "threshold": ">="}
        return lambda: nir_exchange.export_to_nir(net, x[0], dt=1e-4), run, x, told

    def line(cell: nn.Module) -> Export:
        return make(nn.Sequential(nn.Linear(6, 6), cell), (6,))

    return {
        "Affine, LIF": line(neuron.LIFNode(2.0, v_threshold=0.4)),
        "LIF, r = tau / dt": line(neuron.LIFNode(2.0, decay_input=False)),
        "LIF, v_reset": line(neuron.LIFNode(2.0, v_threshold=0.4, v_reset=-0.2)),
        "LIF, soft reset": line(neuron.LIFNode(2.0, v_reset=None)),
        "IF": line(neuron.IFNode()),
        "CubaLIF": line(neuron.CUBALIFNode(0.5, 0.6)),
        "Conv2d": make(
            nn.Sequential(layer.Conv2d(2, 3, 3), neuron.IFNode(), layer.AvgPool2d(2),
                          layer.Flatten(), layer.Linear(27, 6), neuron.IFNode()), (2, 8, 8),
        ),
    }  # fmt: skip


def export_sinabs() -> dict[str, Export]:
    import sinabs.layers as sl
    from sinabs.nir import to_nir

    def make(cell: nn.Module) -> Export:
        net, x = nn.Sequential(nn.Linear(6, 6), cell), 2.0 * torch.rand(20, 1, 6)
        told = {"dt": 1.0, "threshold": ">=", "reset": "soft"}  # its time constants are in steps
        return lambda: to_nir(net, x[:, 0]), whole(net), x, told

    return {
        "IF": make(sl.IAFSqueeze(batch_size=1)),
        "Affine, LIF": make(sl.LIFSqueeze(tau_mem=10.0, batch_size=1)),
        "LI": make(sl.ExpLeakSqueeze(tau_mem=10.0, batch_size=1)),
    }


EXPORTERS = {
    "norse": export_norse,
    "snntorch": export_snntorch,
    "spikingjelly": export_spikingjelly,
    "sinabs": export_sinabs,
}


def attempt(work: Callable[[], None], note: Path) -> None:
    """Do `work` in a child; `note` (JSON) says how it ended."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
        status = {"error": ""}
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                work()
        except BaseException as error:  # whatever it is, it is the answer
            text = "".join(traceback.format_exception_only(error)).strip().splitlines()
            status["error"] = text[-1][:200] if text else type(error).__name__
        note.write_text(json.dumps(status), encoding="utf-8")
        os._exit(0)
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        signaled = os.WTERMSIG(ended)
        reason = f"no end in {SECONDS} s" if signaled == signal.SIGXCPU else f"signal {signaled}"
        note.write_text(json.dumps({"error": reason}), encoding="utf-8")


def read_ours(framework: str, source: Path, target: Path) -> None:
    with np.load(source.with_suffix(".npz")) as saved:
        x, dt = torch.from_numpy(saved["x"]), float(saved["dt"])
    out = READERS[framework](source, dt, x)(x)
    outs = out if isinstance(out, tuple) else (out,)
    np.savez(target, **{f"y{i}": value.numpy() for i, value in enumerate(outs)})  # pyright: ignore[reportArgumentType]


def write_theirs(entry: Export, stem: Path) -> None:
    export, run, x, _ = entry
    y = run(x)  # first, as some exports run the network and leave its memories filled
    nir.write(stem.with_suffix(".nir"), export())
    nir.read(stem.with_suffix(".nir"))  # what it cannot read back is no export
    np.savez(stem.with_suffix(".npz"), x=x.numpy(), y=y.detach().numpy())


def main(framework: str, folder: Path) -> None:
    results, exports = folder / framework, folder / framework / "exports"
    exports.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # threads do not survive a fork
    for source in sorted((folder / "ours").glob("*.nir")):
        target = results / f"{source.stem}.npz"
        attempt(lambda s=source, t=target: read_ours(framework, s, t), target.with_suffix(".json"))
    torch.manual_seed(0)
    for number, (name, entry) in enumerate(EXPORTERS[framework]().items()):
        stem = exports / str(number)
        attempt(lambda e=entry, s=stem: write_theirs(e, s), stem.with_suffix(".json"))
        note = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
        note |= {"name": name, "told": entry[3]}
        stem.with_suffix(".json").write_text(json.dumps(note), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

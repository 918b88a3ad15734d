"""A network through a NIR file and back, checked node by node.

python docs/examples/nir_round_trip.py             writes to a temporary folder
python docs/examples/nir_round_trip.py net.nir     keeps the file
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

import sj_layers as layer
import sj_nir
from sj_neurons import functional, neuron

T, N = 16, 4


def network() -> nn.Module:
    """A convolution, a loop, and a readout with a soft reset."""
    torch.manual_seed(0)
    return nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1),
        neuron.IFNode(),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(64, 32),
        layer.LinearRecurrentContainer(neuron.LIFNode(tau=4.0, v_threshold=0.2), 32, 32),
        layer.Linear(32, 10),
        neuron.LIFNode(tau=2.0, v_threshold=0.1, v_reset=None),
    )


def round_trip(path: Path) -> None:
    """Write the network, read it back, and say what is the same."""
    net = network()
    functional.set_step_mode(net, "m")
    x_seq = 4 * torch.rand(T, N, 2, 8, 8)
    with torch.no_grad():
        graph = sj_nir.export_to_nir(net, x_seq, path, dt=1e-4)
        back = sj_nir.import_from_nir(path, dt=1e-4, step_mode="m")
        spikes, twins = net(x_seq), back(x_seq)[0]
    kinds = [type(node).__name__ for node in graph.nodes.values()]
    print(f"nodes   {', '.join(kinds)}")
    print(f"spikes  {int(spikes.sum())}, {int((spikes != twins).sum())} differ after the file")
    print(f"graph   {sj_nir.verify(net, path, x_seq)}")
    print(f"import  {sj_nir.verify(back, path, x_seq)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("path", nargs="?", type=Path, help="file to write")
    args = parser.parse_args()
    if args.path is not None and not args.path.parent.is_dir():
        parser.error(f"no folder {args.path.parent}")
    with tempfile.TemporaryDirectory() as folder:
        round_trip(args.path or Path(folder) / "net.nir")
    return 0


if __name__ == "__main__":
    sys.exit(main())

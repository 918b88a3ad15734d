"""The targets that public documents describe; each limit names the document that states it."""

from __future__ import annotations

import difflib

from . import rules
from .target import Limit, Target

__all__ = ["get", "names"]

_SINABS = "https://github.com/synsense/sinabs/blob"
_OVERVIEW = (
    "Sinabs documentation, Speck, Overview, "
    f"{_SINABS}/13ad316c0485de6a46d611781567e159f26f127b/docs/speck/overview.md"
)
_OPERATIONS = (
    "Sinabs documentation, Speck, Available Operations, "
    f"{_SINABS}/19f952226d064bd61ca16f706a3c2dff00fbb472"
    "/docs/speck/faqs/available_algorithmic_operation.md"
)
_ARCHITECTURE = (
    "Sinabs documentation, Speck, Available Network Architecture, "
    f"{_SINABS}/13ad316c0485de6a46d611781567e159f26f127b"
    "/docs/speck/faqs/available_network_arch.md"
)
_SINABS_CONFIG = (
    "Sinabs source, configuration of DYNAP-CNN chips, "
    f"{_SINABS}/05546a41748d603ae615683676447f3f884428bc"
    "/sinabs/backend/dynapcnn/chips/dynapcnn.py"
)
_NIR_SUPPORT = (
    "NIR documentation, Supported Primitives, "
    "https://github.com/neuromorphs/NIR/blob/5468ef848426bc853d87c2fe497e8447693c83be"
    "/docs/source/supported_primitives.md"
)
_XYLO = (
    "Rockpool documentation, Overview of the Xylo family, "
    "https://rockpool.ai/devices/xylo-overview.html"
)
_LAVA_WEIGHTS = (
    "Lava-DL documentation, netx utils, optimize_weight_bits, "
    "https://lava-nc.org/lava-lib-dl/netx/utils.html"
)
_LOIHI2 = (
    "Open Neuromorphic, Loihi 2 - Intel, "
    "https://open-neuromorphic.org/neuromorphic-computing/hardware/loihi-2-intel/"
)
_BSS2 = (
    "Heidelberg University, BrainScaleS-2 hardware, "
    "https://www.kip.uni-heidelberg.de/vision/research/hardware"
)
_BSS2_SYNAPSES = (
    "Open Neuromorphic, BrainScaleS-2, https://open-neuromorphic.org"
    "/neuromorphic-computing/hardware/brainscales-2-universitat-heidelberg"
)
_BSS2_WEIGHTS = (
    "BrainScaleS-2 demos, Learning with the SuperSpike rule, "
    "https://github.com/electronicvisions/brainscales2-demos/blob"
    "/e9641e8d98b0993ca64d77322e454007d370b28d/_sources/demos/spiking/superspike.rst.txt"
)

_KI = 1024
_SPECK_CORES = (  # entries for kernels, entries for neurons
    *((16 * _KI, 64 * _KI),) * 3,
    *((32 * _KI, 32 * _KI),) * 2,
    *((64 * _KI, 16 * _KI),) * 2,
    *((16 * _KI, 16 * _KI),) * 2,
)


def _speck(name: str, title: str) -> Target:
    limits = (
        Limit("weights", 8, "bits", _OVERVIEW, rules.weight_bits),
        Limit("input map", 128, "pixels per axis", _OVERVIEW, rules.input_size),
        Limit("output map", 64, "pixels per axis", _OVERVIEW, rules.output_size),
        Limit("channels", 1024, "", _OVERVIEW, rules.channels),
        Limit("kernel", 16, "pixels per axis", _OVERVIEW, rules.kernel_size),
        Limit("kernel", "square", "", _SINABS_CONFIG, rules.square_kernel),
        Limit("stride", (1, 2, 4, 8), "", _OVERVIEW, rules.stride),
        Limit("padding", 7, "pixels", _OVERVIEW, rules.padding),
        Limit("pooling window", (1, 2, 4), "pixels per axis", _OVERVIEW, rules.pooling),
        Limit("layers", 9, "", _OVERVIEW, rules.cores),
        Limit("destinations", 2, "layers", _ARCHITECTURE, rules.destinations),
        Limit("order", "weights, IF, pooling", "", _ARCHITECTURE, rules.core_order),
        Limit(
            "memory",
            _SPECK_CORES,
            "kernel/neuron entries of the cores",
            _SINABS_CONFIG,
            rules.core_memory,
        ),
    )
    nodes = ("Conv2d", "Affine", "Linear", "AvgPool2d", "SumPool2d", "Flatten", "IF")
    return Target(name, title, nodes, _OPERATIONS, limits)


def _xylo(name: str, title: str, hidden: int, output: int, fan_out: int) -> Target:
    limits = (
        Limit("weights", 8, "bits", _XYLO, rules.weight_bits),
        Limit("input channels", 16, "", _XYLO, rules.input_channels),
        Limit("hidden neurons", hidden, "", _XYLO, rules.hidden_neurons),
        Limit("output neurons", output, "", _XYLO, rules.output_neurons),
        Limit("fan-out", fan_out, "neurons", _XYLO, rules.fan_out),
        Limit("reset", "soft", "", _XYLO, rules.reset),
    )
    nodes = ("Affine", "Linear", "CubaLIF", "LIF")
    return Target(name, title, nodes, f"{_NIR_SUPPORT} (rockpool); {_XYLO}", limits)


_TARGETS = {
    target.name: target
    for target in (
        _speck("speck2e", "SynSense Speck 2e through Sinabs"),
        _speck("speck2f", "SynSense Speck 2f through Sinabs"),
        _xylo("xylo_audio2", "SynSense Xylo Audio 2 through Rockpool", 1000, 8, 64),
        _xylo("xylo_audio3", "SynSense Xylo Audio 3 through Rockpool", 1000, 8, 64),
        _xylo("xylo_imu", "SynSense Xylo IMU through Rockpool", 496, 16, 512),
        Target(
            "loihi2",
            "one Intel Loihi 2 chip through Lava",
            ("Conv2d", "Affine", "Linear", "Flatten", "SumPool2d", "IF", "LIF", "CubaLIF"),
            f"{_NIR_SUPPORT} (Lava)",
            (
                Limit("weights", 8, "bits", _LAVA_WEIGHTS, rules.weight_bits),
                Limit("neurons", 1_000_000, "per chip", _LOIHI2, rules.neurons),
            ),
        ),
        Target(
            "spinnaker2",
            "SpiNNaker2 through py-spinnaker2; only the types of nodes are known",
            (
                "Conv1d",
                "Conv2d",
                "Affine",
                "Linear",
                "Flatten",
                "SumPool2d",
                "IF",
                "LIF",
                "CubaLIF",
            ),
            f"{_NIR_SUPPORT} (SpiNNaker2)",
            (),
        ),
        Target(
            "brainscales2",
            "one BrainScaleS-2 chip through hxtorch",
            ("Linear", "CubaLI", "CubaLIF"),
            f"{_NIR_SUPPORT} (hxtorch)",
            (
                Limit("weights", 63, "steps", _BSS2_WEIGHTS, rules.weight_steps),
                Limit("neurons", 512, "per chip", _BSS2, rules.neurons),
                Limit("synapses", 131_072, "per chip", _BSS2_SYNAPSES, rules.synapses),
            ),
        ),
    )
}


def names() -> tuple[str, ...]:
    """The names of the targets that come with the package."""
    return tuple(_TARGETS)


def get(name: str) -> Target:
    """A target that comes with the package.

    Raises:
        ValueError: there is none of this name; the text lists those there are.
    """
    if name not in _TARGETS:
        close = difflib.get_close_matches(name, _TARGETS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no target {name!r}{hint} The targets are {', '.join(_TARGETS)}")
    return _TARGETS[name]

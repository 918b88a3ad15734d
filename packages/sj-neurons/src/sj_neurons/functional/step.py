"""Neurons as pure functions of one time step, made from their classes.

    (x, v, ...) -> (spike, new v, ...)        all [N, *]

A function reads nothing but its arguments: it can be differentiated by `torch.func`, mapped by
`vmap` and compiled. Hyper-parameters have the names, order and defaults of the class, which checks
them; here they are taken as they are.
"""

from __future__ import annotations

import torch

from ..neuron import (
    CUBALIFNode,
    EIFNode,
    GatedLIFNode,
    IFNode,
    ILIFNode,
    IzhikevichNode,
    KLIFNode,
    LIAFNode,
    LIFNode,
    MaskedPSN,
    ParametricLIFNode,
    QIFNode,
    SlidingPSN,
)
from ._pure import pure_function

__all__ = [
    "cuba_lif_step",
    "eif_step",
    "gated_lif_step",
    "if_step",
    "ilif_step",
    "izhikevich_step",
    "klif_step",
    "liaf_step",
    "lif_charge",
    "lif_step",
    "masked_psn_step",
    "plif_step",
    "qif_step",
    "sliding_psn_step",
    "voltage_reset",
]

if_step = pure_function("if_step", IFNode())
lif_step = pure_function("lif_step", LIFNode())
plif_step = pure_function("plif_step", ParametricLIFNode())
klif_step = pure_function("klif_step", KLIFNode())
liaf_step = pure_function("liaf_step", LIAFNode(torch.relu, True))
ilif_step = pure_function("ilif_step", ILIFNode())
cuba_lif_step = pure_function("cuba_lif_step", CUBALIFNode())
qif_step = pure_function("qif_step", QIFNode())
eif_step = pure_function("eif_step", EIFNode())
izhikevich_step = pure_function("izhikevich_step", IzhikevichNode(), without=("w_rest",))
gated_lif_step = pure_function(
    "gated_lif_step",
    GatedLIFNode(T=1),
    without=("T", "beta", "conduct"),
    note="\n`x` is the input behind the conductance, i[t] of the class's module.\n",
)
sliding_psn_step = pure_function("sliding_psn_step", SlidingPSN(k=1))
masked_psn_step = pure_function("masked_psn_step", MaskedPSN(k=1, T=1, lambda_init=1.0))

lif_charge = pure_function(
    "lif_charge", LIFNode(), "charge", hyper_parameters=("tau", "decay_input", "v_reset")
)
voltage_reset = pure_function(
    "voltage_reset",
    IFNode(),
    "voltage_reset",
    inputs=("h", "spike"),
    hyper_parameters=("v_threshold", "v_reset", "detach_reset"),
)

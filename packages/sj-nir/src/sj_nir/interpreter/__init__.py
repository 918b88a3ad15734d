"""NIR graphs computed with numpy alone, to check networks and other software against.

Nothing here is shared with the import into torch but the files and the errors. The rule of one step
of length dt, forward Euler, x the sum of the incoming edges:

    I        v <- v + dt r x                               IF the same, then fires
    LI, LIF  v <- v + (dt / tau) ((v_leak - v) + r x)      LIF then fires
    Cuba*    i <- i + (dt / tau_syn) (-i + w_in x)
             v <- v + (dt / tau_mem) ((v_leak - v) + r i)
    fire     z = [v > v_threshold];  hard: v <- v_reset where z
             soft: v <- v - (v_threshold - v_reset) where z
    Delay    y[t] = x[t - round(delay / dt)], zeros before
"""

from .fields import SingleNumberError
from .flat import FlatGraph, flatten
from .outputs import Outputs
from .program import Program, compile_graph, interpret
from .rule import Rule

__all__ = [
    "FlatGraph",
    "Outputs",
    "Program",
    "Rule",
    "SingleNumberError",
    "compile_graph",
    "flatten",
    "interpret",
]

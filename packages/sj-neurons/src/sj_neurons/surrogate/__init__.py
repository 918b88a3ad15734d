"""Surrogate gradients: a step function forwards, a smooth derivative backwards.

    forward    s = 1 where u >= 0, else 0          (u = h - v_threshold; NaN gives 0)
    backward   ds/du = g'(u), g a smooth stand-in for the step

With `spiking=False` the module returns the smooth primitive g(u) itself, which autograd can check.
Beside each class stands its autograd function in lower case: `atan.apply(u, alpha)` is the spike of
`ATan(alpha)`; parameters come by position, in the order of the constructor.

Source: Neftci, Mostafa, Zenke, "Surrogate gradient learning in spiking neural networks" (2019).
"""

from .base import SurrogateFunction, heaviside, spike_function
from .check import check_manual_grad
from .counting import (
    DeterministicPass,
    MultiLevelSpikeCount,
    PoissonPass,
    deterministic_pass,
    multi_level_spike_count,
    poisson_pass,
)
from .derivative_only import (
    FakeNumericalGradient,
    SuperSpike,
    fake_numerical_gradient,
    super_spike,
)
from .fourier import SquarewaveFourierSeries, squarewave_fourier_series
from .logarithmic import (
    S2NN,
    LogTailedReLU,
    NonzeroSignLogAbs,
    log_tailed_relu,
    nonzero_sign_log_abs,
    s2nn,
)
from .piecewise import (
    LeakyKReLU,
    PiecewiseLeakyReLU,
    PiecewiseQuadratic,
    Rect,
    leaky_k_relu,
    piecewise_leaky_relu,
    piecewise_quadratic,
    rect,
)
from .plot import plot_surrogate_function
from .sigmoidal import (
    ATan,
    Erf,
    PiecewiseExp,
    QPseudoSpike,
    Sigmoid,
    SoftSign,
    atan,
    erf,
    piecewise_exp,
    q_pseudo_spike,
    sigmoid,
    soft_sign,
)

__all__ = [
    "S2NN",
    "ATan",
    "DeterministicPass",
    "Erf",
    "FakeNumericalGradient",
    "LeakyKReLU",
    "LogTailedReLU",
    "MultiLevelSpikeCount",
    "NonzeroSignLogAbs",
    "PiecewiseExp",
    "PiecewiseLeakyReLU",
    "PiecewiseQuadratic",
    "PoissonPass",
    "QPseudoSpike",
    "Rect",
    "Sigmoid",
    "SoftSign",
    "SquarewaveFourierSeries",
    "SuperSpike",
    "SurrogateFunction",
    "atan",
    "check_manual_grad",
    "deterministic_pass",
    "erf",
    "fake_numerical_gradient",
    "heaviside",
    "leaky_k_relu",
    "log_tailed_relu",
    "multi_level_spike_count",
    "nonzero_sign_log_abs",
    "piecewise_exp",
    "piecewise_leaky_relu",
    "piecewise_quadratic",
    "plot_surrogate_function",
    "poisson_pass",
    "q_pseudo_spike",
    "rect",
    "s2nn",
    "sigmoid",
    "soft_sign",
    "spike_function",
    "squarewave_fourier_series",
    "super_spike",
]

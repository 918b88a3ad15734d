"""Laws of the surrogate functions, and their closed forms in float64."""

import copy
import inspect
import math
import pickle
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_neurons import neuron, ops, surrogate

where, exp, log, pi = torch.where, torch.exp, torch.log, math.pi
above_zero = st.floats(0.3, 6.0)
any_slope = st.floats(-1.0, 2.0)

# Every surrogate: how its parameters are drawn, its primitive and its derivative, as published.
CLOSED_FORMS = {
    "PiecewiseQuadratic": (
        [above_zero],
        lambda x, a: where(
            x.abs() <= 1 / a, -(a**2) / 2 * x.abs() * x + a * x + 0.5, (x > 0).double()
        ),
        lambda x, a: (a - a**2 * x.abs()).clamp(min=0),
    ),
    "PiecewiseExp": (
        [above_zero],
        lambda x, a: where(x < 0, exp(a * x) / 2, 1 - exp(-a * x) / 2),
        lambda x, a: a / 2 * exp(-a * x.abs()),
    ),
    "Sigmoid": (
        [above_zero],
        lambda x, a: 1 / (1 + exp(-a * x)),
        lambda x, a: a * exp(-a * x) / (1 + exp(-a * x)) ** 2,
    ),
    "SoftSign": (
        [above_zero],
        lambda x, a: (1 + a * x / (1 + (a * x).abs())) / 2,
        lambda x, a: 1 / (2 * a * (1 / a + x.abs()) ** 2),
    ),
    "SuperSpike": ([above_zero], None, lambda x, a: a / (1 + x.abs()) ** 2),
    "ATan": (
        [above_zero],
        lambda x, a: torch.atan(pi / 2 * a * x) / pi + 0.5,
        lambda x, a: a / 2 / (1 + (pi / 2 * a * x) ** 2),
    ),
    "NonzeroSignLogAbs": (
        [above_zero],
        lambda x, a: where(x >= 0, 1.0, -1.0) * log(1 + a * x.abs()),
        lambda x, a: 1 / (1 / a + x.abs()),
    ),
    "Erf": (
        [above_zero],
        lambda x, a: torch.erfc(-a * x) / 2,
        lambda x, a: a / math.sqrt(pi) * exp(-(a**2) * x**2),
    ),
    "PiecewiseLeakyReLU": (
        [above_zero, any_slope],
        lambda x, w, c: where(
            x.abs() <= w,
            x / (2 * w) + 0.5,
            where(x < 0, c * x + c * w, c * x - c * w + 1),
        ),
        lambda x, w, c: where(x.abs() < w, 1 / (2 * w), c),
    ),
    "SquarewaveFourierSeries": (
        [st.integers(2, 6), st.floats(1.0, 9.0)],
        lambda x, n, period: (
            0.5
            + 2 / pi * sum(torch.sin(k * 2 * pi / period * x) / k for k in range(1, 2 * n - 1, 2))
        ),
        lambda x, n, period: (
            4 / period * sum(torch.cos(k * 2 * pi / period * x) for k in range(1, 2 * n - 1, 2))
        ),
    ),
    "S2NN": (
        [above_zero, above_zero],
        lambda x, a, b: where(x < 0, torch.sigmoid(a * x), b * log((x + 1).abs() + 1e-5) + 0.5),
        lambda x, a, b: where(
            x < 0, a * torch.sigmoid(a * x) * (1 - torch.sigmoid(a * x)), b / (x + 1)
        ),
    ),
    "QPseudoSpike": (
        [st.floats(1.2, 6.0)],
        lambda x, a: where(
            x < 0,
            (1 + 2 * x.abs() / (a - 1)) ** (1 - a) / 2,
            1 - (1 + 2 * x.abs() / (a - 1)) ** (1 - a) / 2,
        ),
        lambda x, a: (1 + 2 * x.abs() / (a - 1)) ** -a,
    ),
    "LeakyKReLU": (
        [any_slope, any_slope],
        lambda x, leak, k: where(x < 0, leak * x, k * x),
        lambda x, leak, k: where(x < 0, leak, k),
    ),
    "FakeNumericalGradient": (
        [above_zero],
        None,
        lambda x, a: (1 / x.abs()).clamp(max=a),
    ),
    "LogTailedReLU": (
        [any_slope],
        lambda x, a: where(x > 1, log(x.clamp(min=1)) + 1, where(x > 0, x, a * x)),
        lambda x, a: where(x > 1, 1 / x, where(x > 0, 1.0, a)),
    ),
    "Rect": (
        [above_zero],
        lambda x, a: (a * x + 0.5).clamp(0, 1),
        lambda x, a: where(x.abs() < 1 / (2 * a), a, 0.0),
    ),
    "DeterministicPass": ([], lambda x: x, torch.ones_like),
    "PoissonPass": ([], lambda x: x, torch.ones_like),
    "MultiLevelSpikeCount": (
        [st.integers(1, 5)],
        lambda x, m: x.clamp(0, m),
        lambda x, m: where((x >= 0) & (x <= m), 1.0, 0.0),
    ),
}
NAMES = list(CLOSED_FORMS)
WITH_PRIMITIVE = [name for name in NAMES if CLOSED_FORMS[name][1] is not None]
STEPS = [name for name in NAMES if name not in ("MultiLevelSpikeCount", "PoissonPass")]
SMOOTH = ["Sigmoid", "ATan", "Erf", "SquarewaveFourierSeries"]
EVERY_MODE = pytest.mark.parametrize(
    ("name", "spiking"),
    [(name, True) for name in NAMES] + [(name, False) for name in WITH_PRIMITIVE],
)
EVERY = pytest.mark.parametrize("name", NAMES)
# raised inside torch's own tracer, for every autograd function
TRACED_BY_TORCH = pytest.mark.filterwarnings(
    "ignore:.*should not be instantiated:DeprecationWarning"
)


def make(name: str, *parameters: float, spiking: bool = True) -> surrogate.SurrogateFunction:
    """A surrogate with the given parameters, or else its defaults (`max_spike_count=3`)."""
    if name == "MultiLevelSpikeCount" and not parameters:
        parameters = (3,)
    made = getattr(surrogate, name)(*parameters)
    made.set_spiking_mode(spiking)
    return made


def twin(name: str) -> type[torch.autograd.Function]:
    """The autograd function of the same name in lower case."""
    words = name.replace("ReLU", "Relu").replace("ATan", "Atan")
    snake = re.sub("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", words).lower()
    return getattr(surrogate, snake)


def grid() -> torch.Tensor:
    return torch.linspace(-3, 3, 61, dtype=torch.float64, requires_grad=True)


def gradient(y: torch.Tensor, x: torch.Tensor, create_graph: bool = False) -> torch.Tensor:
    (grad,) = torch.autograd.grad(y.sum(), x, create_graph=create_graph)
    return grad


def test_every_surrogate_is_tested():
    public = [getattr(surrogate, name) for name in surrogate.__all__]
    classes = {
        c.__name__
        for c in public
        if inspect.isclass(c) and issubclass(c, surrogate.SurrogateFunction)
    }
    assert classes - {"SurrogateFunction"} == set(NAMES)


@pytest.mark.parametrize("name", WITH_PRIMITIVE)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_primitive_has_its_closed_form(name, data):
    strategies, primitive, _ = CLOSED_FORMS[name]
    parameters = data.draw(st.tuples(*strategies))
    x = grid().detach()
    got = make(name, *parameters, spiking=False)(x)
    torch.testing.assert_close(got, primitive(x, *parameters), rtol=1e-12, atol=1e-14)


@EVERY
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_backward_of_the_spike_has_its_closed_form(name, data):
    strategies, _, derivative = CLOSED_FORMS[name]
    parameters = data.draw(st.tuples(*strategies))
    x = grid()
    expected = derivative(x.detach(), *parameters).double()
    torch.testing.assert_close(
        gradient(make(name, *parameters)(x), x), expected, rtol=1e-7, atol=1e-12
    )


@pytest.mark.parametrize("name", WITH_PRIMITIVE)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_backward_of_the_spike_is_the_gradient_of_the_primitive(name, data):
    parameters = data.draw(st.tuples(*CLOSED_FORMS[name][0]))
    x = grid()
    of_spike = gradient(make(name, *parameters)(x), x)
    of_primitive = gradient(make(name, *parameters, spiking=False)(x), x)
    rtol = 2e-5 if name == "S2NN" else 1e-7  # its published primitive holds an epsilon of 1e-5
    torch.testing.assert_close(of_spike, of_primitive, rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("name", WITH_PRIMITIVE)
def test_primitive_passes_gradcheck(name):
    x = torch.linspace(-2.93, 2.89, 24, dtype=torch.float64, requires_grad=True)  # off the kinks
    assert torch.autograd.gradcheck(make(name, spiking=False), (x,))


@EVERY
def test_second_derivatives_exist_and_are_finite(name):
    x = grid()
    first = gradient(make(name)(x), x, create_graph=True)
    assert gradient(first, x).isfinite().all()


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_are_those_of_the_primitive(name):
    x = grid()
    of_spike = gradient(gradient(make(name)(x), x, create_graph=True), x)
    primitive = make(name, spiking=False)
    of_primitive = gradient(gradient(primitive(x), x, create_graph=True), x)
    torch.testing.assert_close(of_spike, of_primitive)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_fires_at_equality_and_never_on_nan(name, dtype):
    u = torch.tensor([-1.0, -0.0, 0.0, 1.0, math.nan, math.inf, -math.inf], dtype=dtype)
    assert make(name)(u).tolist() == [0, 1, 1, 1, 0, 1, 0]


@EVERY_MODE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_is_kept(name, spiking, dtype):
    x = torch.linspace(-2, 2, 9, dtype=dtype, requires_grad=True)
    module = make(name, spiking=spiking)
    assert module(x).dtype == dtype
    assert type(module).derivative(x, *module.parameter_values).dtype == dtype


@EVERY
def test_half_precision_gradient_is_finite_far_from_the_threshold(name):
    x = torch.tensor([-6e4, -300.0, 300.0, 6e4], dtype=torch.float16, requires_grad=True)
    assert gradient(make(name)(x), x).isfinite().all()


@EVERY
def test_spellings_agree(name):
    cls, module, x = getattr(surrogate, name), make(name), grid()
    values = module.parameter_values
    expected = gradient(module(x), x)
    torch.testing.assert_close(gradient(twin(name).apply(x, *values), x), expected)
    torch.testing.assert_close(gradient(cls.spiking_function(x, *values), x), expected)
    torch.testing.assert_close(cls.backward(torch.ones_like(x), x, *values), expected)
    if name in WITH_PRIMITIVE:
        module.set_spiking_mode(False)
        torch.testing.assert_close(cls.primitive_function(x, *values), module(x))


DEFAULTS = {
    "PiecewiseQuadratic": "alpha=1.0, spiking=True",
    "PiecewiseExp": "alpha=1.0, spiking=True",
    "Sigmoid": "alpha=4.0, spiking=True",
    "SoftSign": "alpha=2.0, spiking=True",
    "SuperSpike": "alpha=1.0, spiking=True",
    "ATan": "alpha=2.0, spiking=True",
    "NonzeroSignLogAbs": "alpha=1.0, spiking=True",
    "Erf": "alpha=2.0, spiking=True",
    "PiecewiseLeakyReLU": "w=1.0, c=0.01, spiking=True",
    "SquarewaveFourierSeries": "n=2, T_period=8.0, spiking=True",
    "S2NN": "alpha=4.0, beta=1.0, spiking=True",
    "QPseudoSpike": "alpha=2.0, spiking=True",
    "LeakyKReLU": "leak=0.0, k=1.0, spiking=True",
    "FakeNumericalGradient": "alpha=0.3",
    "LogTailedReLU": "alpha=0.0, spiking=True",
    "Rect": "alpha=1.0, spiking=True",
    "DeterministicPass": "spiking=True",
    "PoissonPass": "spiking=True",
    "MultiLevelSpikeCount": "max_spike_count=3, spiking=True, grad_window=None",
}


@EVERY
def test_repr_shows_the_defaults_and_rebuilds_the_module(name):
    module = make(name)
    assert repr(module) == f"{name}({DEFAULTS[name]})"
    rebuilt = eval(repr(module), vars(surrogate))
    assert rebuilt.parameter_values == module.parameter_values


@EVERY
def test_spiking_is_the_last_constructor_argument(name):
    arguments = list(inspect.signature(getattr(surrogate, name)).parameters)
    if name == "FakeNumericalGradient":
        assert arguments == ["alpha"]
    elif name == "MultiLevelSpikeCount":
        assert arguments == ["max_spike_count", "spiking", "grad_window"]
    else:
        assert arguments[-1] == "spiking"


@EVERY
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_equal_and_independent(name, clone):
    module = make(name)
    copied = clone(module)
    assert repr(copied) == repr(module)
    copied.set_spiking_mode(False)
    assert module.spiking


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(WITH_PRIMITIVE)))
def test_no_primitive_is_said_clearly(name):
    module, x = make(name), torch.zeros(2)
    with pytest.raises(NotImplementedError, match=f"{name} has no primitive"):
        getattr(surrogate, name).primitive_function(x, 1.0)
    module.set_spiking_mode(False)
    with pytest.raises(NotImplementedError, match="spiking=True"):
        module(x)


def test_derivative_of_the_numerical_gradient_is_bounded_at_zero():
    zeros = torch.tensor([0.0, -0.0], requires_grad=True)
    assert gradient(make("FakeNumericalGradient", 0.5)(zeros), zeros).tolist() == [0.5, 0.5]


@EVERY
def test_function_transforms(name):
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    module = make(name)
    per_row = torch.func.vmap(
        torch.func.grad(lambda row: module(row).sum()), randomness="different"
    )(x)
    expected = type(module).derivative(x, *module.parameter_values)
    torch.testing.assert_close(per_row, expected)


@EVERY_MODE
@TRACED_BY_TORCH
def test_compiles_as_one_graph(name, spiking):
    module = make(name, spiking=spiking)
    x = torch.tensor([-1.5, -0.2, 0.0, 0.3, 1.7], requires_grad=True)
    if name == "PoissonPass":
        x = x.detach().sign().requires_grad_(True)  # nothing is left to chance
    torch.compiler.reset()  # all surrogates share one `forward`, which has a limit of versions
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    y = compiled(x)
    torch.testing.assert_close(y, module(x))
    torch.testing.assert_close(gradient(y, x), gradient(module(x), x))
    torch.testing.assert_close(compiled(x.detach()), module(x.detach()))


# a user's own surrogate


class Triangle(surrogate.SurrogateFunction):
    parameter_names = ("width",)

    def __init__(self, width=1.0, spiking=True):
        super().__init__(spiking)
        self.width = width

    @staticmethod
    def primitive_function(x, width):
        z = ops.clamp(x / width, -1.0, 1.0)
        return 0.5 + z - 0.5 * z * ops.abs(z)

    @staticmethod
    def derivative(x, width):
        return (1.0 - ops.abs(ops.clamp(x / width, -1.0, 1.0))) / width


def test_a_surrogate_of_ones_own_needs_two_formulas():
    x = grid()
    expected = gradient(surrogate.PiecewiseQuadratic(0.5)(x), x)
    torch.testing.assert_close(gradient(Triangle(2.0)(x), x), expected)
    assert repr(Triangle()) == "Triangle(width=1.0, spiking=True)"
    node = neuron.LIFNode(surrogate_function=Triangle(2.0), step_mode="m")
    assert node(torch.ones(3, 1)).shape == (3, 1)

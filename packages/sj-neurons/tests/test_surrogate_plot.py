"""Pictures of surrogates: what is drawn, not how it looks."""

import sys

import matplotlib
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from sj_neurons import surrogate


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_spike_primitive_and_derivative_are_drawn():
    f = surrogate.ATan(alpha=3.0, spiking=False)
    fig, ax = surrogate.plot_surrogate_function(f, limits=(-1.0, 1.0))
    assert ax.figure is fig
    assert [line.get_label().split()[0] for line in ax.lines] == [
        "spike",
        "primitive",
        "derivative",
    ]
    spike, primitive, derivative = ax.lines
    assert spike.get_xdata()[0] == -1 and spike.get_xdata()[-1] == 1
    assert set(spike.get_ydata()) == {0.0, 1.0}
    assert max(derivative.get_ydata()) == pytest.approx(1.5)
    assert primitive.get_ydata()[500] == pytest.approx(0.5)
    assert "ATan(alpha=3.0)" in ax.get_title()
    assert not f.spiking


def test_a_surrogate_without_primitive_shows_two_curves():
    _, ax = surrogate.plot_surrogate_function(surrogate.SuperSpike())
    assert [line.get_label().split()[0] for line in ax.lines] == ["spike", "derivative"]


def test_anything_else_is_refused():
    with pytest.raises(TypeError, match="expected a SurrogateFunction"):
        surrogate.plot_surrogate_function(abs)  # pyright: ignore


def test_a_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'sj-neurons\[plot\]'"):
        surrogate.plot_surrogate_function(surrogate.ATan())

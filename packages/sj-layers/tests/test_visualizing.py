"""Pictures: what is drawn, not how it looks."""

import subprocess
import sys

import matplotlib
import pytest
import torch

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from sj_layers import visualizing


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_feature_maps_become_one_grid_with_gaps():
    maps = torch.arange(6.0).view(6, 1, 1).expand(6, 4, 5)
    fig, ax = visualizing.plot_2d_feature_map(maps, 2, 3, 1, "$S[0]$")
    grid = ax.images[0].get_array()
    assert grid.shape == (2 * 5 - 1, 3 * 6 - 1)
    assert np.ma.getmaskarray(np.ma.masked_invalid(grid))[4].all()
    assert grid[5, 12] == 1.0 and grid[0, 0] == 0.0
    assert ax.get_title() == "$S[0]$"
    assert plt.gcf() is fig


def test_equal_maps_are_drawn():
    _, ax = visualizing.plot_2d_feature_map(torch.zeros(2, 3, 3), 1, 2, 0, "silent")
    assert np.isfinite(ax.images[0].get_array()).all()


def test_raster_marks_each_spike_once(tmp_path):
    spikes = torch.tensor([[1, 0], [0, 1], [1, 1]])
    fig, ax = visualizing.plot_1d_spikes(spikes, "raster")
    segments = ax.collections[0].get_segments()
    drawn = {(round(s[0][0]), round(s[:, 1].mean())) for s in segments}
    assert drawn == {(0, 0), (1, 1), (2, 0), (2, 1)}
    rates = fig.axes[1].images[0].get_array()
    assert rates.ravel().tolist() == pytest.approx([2 / 3, 2 / 3])
    fig.savefig(tmp_path / "raster.png")


def test_raster_without_rates_has_one_axis():
    fig, _ = visualizing.plot_1d_spikes(torch.zeros(4, 3), "raster", plot_firing_rate=False)
    assert len(fig.axes) == 1


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\[T, N\], got \(3,\)"):
        visualizing.plot_1d_spikes(torch.zeros(3), "raster")
    with pytest.raises(ValueError, match=r"\[C, H, W\], got \(2, 3\)"):
        visualizing.plot_2d_feature_map(torch.zeros(2, 3), 1, 2, 0, "maps")
    with pytest.raises(ValueError, match="2 x 2 grid does not hold 3 maps"):
        visualizing.plot_2d_feature_map(torch.zeros(3, 2, 2), 2, 2, 0, "maps")


def test_missing_matplotlib_names_the_extra():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import torch, sj_layers\n"
        "from sj_layers import visualizing\n"
        "try:\n    visualizing.plot_1d_spikes(torch.zeros(2, 2), 'x')\n"
        "except ImportError as error:\n    print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'sj-layers[plot]'" in shown.stdout

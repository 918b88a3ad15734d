"""Pictures: what is drawn, not how it looks."""

import subprocess
import sys

import matplotlib
import pytest
import torch

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

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
    rates = ax.child_axes[0].images[0].get_array()
    assert rates.ravel().tolist() == pytest.approx([2 / 3, 2 / 3])
    fig.savefig(tmp_path / "raster.png")


def test_raster_without_rates_has_one_axis():
    fig, _ = visualizing.plot_1d_spikes(torch.zeros(4, 3), "raster", plot_firing_rate=False)
    assert len(fig.axes) == 1


def test_a_heat_map_shows_time_to_the_right():
    values = torch.arange(6.0).view(3, 2)  # T=3, N=2
    fig, ax = visualizing.plot_2d_heatmap(values, "v", colorbar_y_label="mV")
    assert ax.images[0].get_array().tolist() == [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]
    assert ax.get_xlim() == (-0.5, 2.5) and ax.get_ylim() == (1.5, -0.5)
    assert fig.axes[1].get_ylabel() == "mV"
    _, ax = visualizing.plot_2d_heatmap(values, "v", plot_colorbar=False, x_max=20.0)
    assert ax.get_xlim() == (-5.0, 25.0)


def test_bars_stand_for_the_numbers_of_a_table():
    _, ax = visualizing.plot_2d_bar_in_3d([[1.0, 2.0], [3.0, 0.5]], "t", "x", "y", "z")
    assert len(ax.patches) == 4
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()) == ("x", "y", "z")


def test_one_neuron_with_threshold_and_reset():
    v, s = torch.tensor([0.2, 0.9, 0.0, 0.5]), torch.tensor([0, 0, 1, 0])
    _, ax0, ax1 = visualizing.plot_one_neuron_v_s(v, s, v_threshold=1.5, v_reset=-0.5)
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in ax0.lines}
    assert lines["$V[t]$"].tolist() == pytest.approx(v.tolist())
    assert set(lines["$V_{threshold}$"]) == {1.5} and set(lines["$V_{reset}$"]) == {-0.5}
    assert [segment[0][0] for segment in ax1.collections[0].get_segments()] == [2]
    _, ax0, _ = visualizing.plot_one_neuron_v_s(v, s, v_reset=None)
    assert len(ax0.lines) == 2
    with pytest.raises(ValueError, match="v has 4 steps, s has 3"):
        visualizing.plot_one_neuron_v_s(v, s[:3])


def test_a_gif_has_a_picture_per_step(tmp_path):
    path = tmp_path / "spikes.gif"
    spikes = (torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    visualizing.save_spikes_to_gif(spikes, path)
    with Image.open(path) as image:
        assert (image.format, image.n_frames) == ("GIF", 3)
    with pytest.raises(ValueError, match="T = 0"):
        visualizing.save_spikes_to_gif(spikes[:0], path)


def test_pictures_are_drawn_on_given_axes():
    fig, axes = plt.subplots(1, 3)
    drawn = [
        visualizing.plot_1d_spikes(torch.eye(3), "a", ax=axes[0]),
        visualizing.plot_2d_heatmap(torch.eye(3), "b", ax=axes[1]),
        visualizing.plot_2d_feature_map(torch.zeros(2, 3, 3), 1, 2, 1, "c", ax=axes[2]),
    ]
    assert [ax for _, ax in drawn] == list(axes)
    assert all(f is fig for f, _ in drawn)
    assert len(plt.get_fignums()) == 1
    v = torch.zeros(3)
    assert visualizing.plot_one_neuron_v_s(v, v, ax=axes[:2])[1:] == tuple(axes[:2])


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

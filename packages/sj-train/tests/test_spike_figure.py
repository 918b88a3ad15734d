from __future__ import annotations

import torch

from sj_train.spike_figure import draw_spikes


def test_a_panel_per_layer_with_its_rate():
    spikes = {f"layer{i}": torch.eye(4)[:, :3] for i in range(14)}
    figure = draw_spikes(spikes, {"layer0": 0.25}, "epoch 3")
    assert len(figure.axes) == 12
    assert figure.get_suptitle() == "epoch 3, layers 1 to 12 of 14"
    assert figure.axes[0].get_title() == "layer0: 0.250 spikes per step"
    assert figure.axes[0].images[0].get_array().shape == (3, 4)  # neurons down, time right


def test_a_net_without_neurons():
    assert draw_spikes({}, {}, "epoch 0").axes == []

"""MobileNetV2 backbones."""

import pytest
import torch

from sj_models.backbones.mobilenet_v2 import MobileNetV2, make_divisible

X = 2 * torch.rand(3, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_widths_are_multiples_of_8_and_not_much_smaller():
    assert [make_divisible(v) for v in (1, 11, 12, 20, 33, 100)] == [8, 16, 16, 24, 32, 104]
    assert all(make_divisible(v) >= 0.9 * v for v in range(1, 200))


def test_spiking_twin_has_the_keys_of_the_ann():
    with torch.device("meta"):
        ann, twin = MobileNetV2(), MobileNetV2(neuron="IF")
    assert list(ann.state_dict()) == list(twin.state_dict())


def test_weights_of_an_ann_miss_only_what_neurons_have():
    ann, twin = MobileNetV2(0.1), MobileNetV2(0.1, neuron="PLIF")
    missing, unexpected = twin.load_state_dict(ann.state_dict(), strict=False)
    assert unexpected == []
    sites = ["conv1.sn.w", "conv2.sn.w", "layer1.0.conv.0.sn.w"]
    for stage, blocks in enumerate((2, 3, 4, 3, 3, 1), start=2):
        sites += [f"layer{stage}.{b}.conv.{c}.sn.w" for b in range(blocks) for c in (0, 1)]
    assert sorted(missing) == sorted(sites)


def test_bottlenecks_are_currents_and_neurons_end_the_rest():
    net = MobileNetV2(0.1, out_indices=(0, 7), neuron="LIF").train()
    currents, spikes = net(X)
    assert len(currents.unique()) > 2
    assert set(spikes.unique().tolist()) == {0.0, 1.0}


def test_layers_behind_the_last_output_do_not_run():
    net = MobileNetV2(0.1, out_indices=(2, 1)).eval()
    net.layer4 = None
    y = net(X[0])
    assert [feature.shape[-1] for feature in y] == [8, 4]
    assert net.strides == (4, 8)


def test_event_input_wide_nets_and_errors():
    assert MobileNetV2(0.1, in_channels=2, neuron="IF")(X[:, :, :2])[0].shape[2] == 1280
    with torch.device("meta"):
        assert MobileNetV2(1.4).out_channels == (1792,)
    for arguments, message in (
        ({"widen_factor": 0}, "widen_factor > 0"),
        ({"frozen_stages": 8}, "frozen_stages <= 7"),
        ({"out_indices": 8}, "from -8 to 7"),
    ):
        with pytest.raises(ValueError, match=message):
            MobileNetV2(**arguments)


def test_threshold_dependent_norms_start_at_their_scale():
    net = MobileNetV2(0.1, norm_cfg={"type": "tdBN", "v_th": 0.5}, neuron="IF")
    net.init_weights()
    assert (net.conv1.bn.weight == 0.5).all()

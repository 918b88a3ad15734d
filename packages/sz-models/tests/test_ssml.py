from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from sz_models import build_model_name
from sz_models.archs.ssml import DoubleNet
from sz_models.archs.ssml.blindspot import EdgeConv, EdgePool, shift_down
from sz_models.archs.ssml.motion import inverse_interval
from sz_models.archs.ssml.network import _BLIND_REACH, _REACH
from sz_models.archs.ssml.unet import UNet
from sz_models.models import SSML, SSMLConfig


@pytest.fixture(scope="module")
def net() -> DoubleNet:
    torch.manual_seed(0)
    return DoubleNet().eval()


@pytest.fixture
def model() -> SSML:
    torch.manual_seed(0)
    return SSML(SSMLConfig()).build_network("train")


def spikes(height: int, width: int, frames: int = 41, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(batch, frames, height, width, generator=generator) < 0.3).float()


def batch(model: SSML, height: int = 6, width: int = 8) -> dict[str, torch.Tensor]:
    spike = spikes(height, width, frames=45)
    rate, truth = torch.tensor([0.5, 0.25]), torch.zeros(2, 1, height, width)
    return model.feed_to_device({"spike": spike, "rate": rate, "gt_img": truth})


def rows_read(layer: nn.Module, channels: int, size: int = 9) -> torch.Tensor:
    """Whether output row i depends on input row j, as a matrix over (i, j)."""
    x = torch.rand(1, channels, size, 5, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    out = layer(x)
    rows = []
    for i in range(out.shape[2]):
        (gradient,) = torch.autograd.grad(out[:, :, i].sum(), x, retain_graph=True)
        rows.append(gradient.abs().sum((0, 1, 3)) > 0)
    return torch.stack(rows)


def test_networks_have_the_published_size(net):
    assert sum(value.numel() for value in net.parameters()) == 2_384_574


def test_blind_layers_see_no_row_below():
    allowed = torch.ones(9, 9).tril().bool()
    assert not rows_read(EdgeConv(2, 3, blind=True), 2)[~allowed].any()
    assert not rows_read(UNet(2, blind=True), 2, size=9)[~allowed].any()
    assert rows_read(EdgeConv(2, 3, blind=False), 2)[~allowed].any()


def test_a_blind_convolution_is_that_of_the_image_below_a_zero_row():
    layer = EdgeConv(2, 3, blind=True)
    x = torch.rand(1, 2, 6, 5, generator=torch.Generator().manual_seed(0))
    padded = functional.pad(functional.pad(x, (0, 0, 1, 0)), (1, 1, 1, 1), mode="replicate")
    expected = functional.leaky_relu(layer.conv(padded), 0.1)[:, :, :-1]
    torch.testing.assert_close(layer(x), expected)


def test_blind_pooling_shifts_first():
    x = torch.arange(1.0, 21.0).view(1, 1, 5, 4)
    assert shift_down(x)[0, 0, :, 0].tolist() == [0, 1, 5, 9, 13]
    assert EdgePool(blind=True)(x)[0, 0].tolist() == [[2, 4], [10, 12]]
    assert EdgePool(blind=False)(x)[0, 0].tolist() == [[6, 8], [14, 16]]


@pytest.mark.parametrize(
    ("frames", "interval"),
    [
        ([], 24),
        ([20], 12),
        ([21], 13),
        ([20, 21], 1),
        ([19, 20, 23, 30], 3),
        ([9, 32], 23),
        ([8, 33], 24),
        ([0, 40], 24),
    ],
)
def test_interval_around_the_central_frame(frames, interval):
    spike = torch.zeros(1, 41, 1, 1)
    spike[:, frames] = 1
    assert inverse_interval(spike).item() == pytest.approx(1 / interval)


def test_the_blind_image_does_not_see_its_own_pixel(net):
    x = spikes(8, 8, batch=1).requires_grad_()
    net.bsn(x)[0, 0, 3, 5].backward()
    assert x.grad is not None
    seen = x.grad.abs().sum((0, 1)) > 0
    assert not seen[3, 5]
    assert seen[2, 5] and seen[4, 5] and seen[3, 4] and seen[3, 6]


def test_training_returns_both_images(net):
    x = spikes(6, 7)
    image = net(x)
    both = net.train()(x)
    net.eval()
    assert isinstance(both, tuple)
    torch.testing.assert_close(both[1], image)
    assert both[0].shape == (2, 1, 6, 7)
    assert not torch.equal(both[0], image)


@pytest.mark.parametrize("size", [(4, 4), (5, 9), (9, 5), (1, 30), (12, 2)])
def test_any_size_and_gradients_or_none(net, size):
    x = spikes(*size)
    image = net(x)
    assert image.shape == (2, 1, *size)
    with torch.no_grad():
        torch.testing.assert_close(net(x), image, rtol=1e-4, atol=1e-6)


def test_rows_at_a_time_do_not_matter(net, monkeypatch):
    x = spikes(10, 7)
    with torch.no_grad():
        expected = net(x)
        monkeypatch.setattr("sz_models.archs.ssml.network._PIXELS", 45)
        torch.testing.assert_close(net(x), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("height", "width", "blind"), [(5, 123, False), (124, 4, False), (3, 203, True)]
)
def test_borders_beyond_reach_do_not_matter(net, monkeypatch, height, width, blind):
    half = net.bsn if blind else net.nbsn
    x = spikes(height, width, batch=1)
    with torch.no_grad():
        image = half(x)
        for reach in ("_REACH", "_BLIND_REACH"):
            monkeypatch.setattr(f"sz_models.archs.ssml.network.{reach}", 1000)
        torch.testing.assert_close(half(x), image, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("blind", "reach"), [(False, _REACH), (True, _BLIND_REACH)])
def test_reach_of_the_unet(blind, reach):
    torch.manual_seed(0)
    net = UNet(2, blind=blind)
    x = torch.rand(1, 2, 2 * reach + 8, 4).requires_grad_()
    row = reach + 4
    net(x)[:, :, row].square().sum().backward()
    assert x.grad is not None
    seen = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    # one more row where a blind view is shifted
    assert row - seen.min() + blind <= reach
    assert seen.max() - row <= (0 if blind else reach)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 40, 8, 8), "takes 41 frames, got 40"), ((1, 41, 3, 2), "at least 4 pixels.*got 3 x 2")],
)
def test_input_that_does_not_fit_is_refused(net, shape, message):
    with pytest.raises(ValueError, match=message):
        net(torch.zeros(shape))


def test_bfloat16_stays_close_to_float32():
    torch.manual_seed(0)
    net = DoubleNet().eval()
    x = spikes(6, 8)
    expected = net(x)
    image = net.bfloat16()(x.bfloat16())
    assert image.dtype is torch.bfloat16
    assert (image.float() - expected).abs().max() < 0.1 * expected.abs().max()


def test_wrapper_returns_the_students_image_in_both_modes(model):
    spike = spikes(6, 8, frames=45).to(model.device)
    image = model(spike)
    model.net.eval()
    torch.testing.assert_close(model(spike), image)
    torch.testing.assert_close(model(spike.bool()), image)
    assert isinstance(build_model_name("SSML"), SSML)


def test_training_outputs_are_divided_by_the_rate(model):
    given = batch(model)
    outputs = model.get_outputs_dict(given)
    assert list(outputs) == ["recon_img", "bsn_pred", "tfp_label"]
    blind, student = model.net(given["spike"][:, 2:43])
    rate = given["rate"].view(-1, 1, 1, 1)
    torch.testing.assert_close(outputs["recon_img"], student / rate)
    torch.testing.assert_close(outputs["bsn_pred"], blind / rate)
    # frame 22 of 45 is the centre, 11 frames around it
    label = given["spike"][:, 17:28].mean(1, keepdim=True) / rate
    torch.testing.assert_close(outputs["tfp_label"], label)
    assert set(model.get_visual_dict(given, outputs)) == {*outputs, "gt_img"}


def test_losses_need_no_truth_and_train_both_networks(model):
    given = batch(model)
    outputs = model.get_outputs_dict(given)
    losses, values = model.get_loss_dict(outputs, given, {"l2": 2.0, "l1": 1.0})
    blind, student, label = (outputs[k] for k in ("bsn_pred", "recon_img", "tfp_label"))
    torch.testing.assert_close(losses["bsn_loss_l2"], 2 * functional.mse_loss(blind, label))
    mutual = 0.02 * functional.mse_loss(student, blind)
    torch.testing.assert_close(losses["mutual_loss_l2"], mutual)
    assert set(values) == {"bsn_loss_l2", "mutual_loss_l2", "bsn_loss_l1", "mutual_loss_l1"}
    losses["mutual_loss_l2"].backward()
    for name in ("bsn", "nbsn"):
        gradient = model.net.get_parameter(f"{name}.nin_C.weight").grad
        assert gradient is not None and gradient.abs().sum() > 0


def test_outputs_in_evaluation_mode_have_no_losses(model):
    model.net.eval()
    given = batch(model)
    outputs = model.get_outputs_dict(given)
    assert list(outputs) == ["recon_img"]
    assert set(model.get_visual_dict(given, outputs)) == {"recon_img", "gt_img"}
    with pytest.raises(ValueError, match=r"training mode: net\.train\(\)"):
        model.get_loss_dict(outputs, given, {"l2": 1.0})


@pytest.mark.parametrize(("length", "frames"), [(1, 1), (7, 7), (10, 11), (41, 41)])
def test_label_length(length, frames):
    model = SSML(SSMLConfig(tfp_label_length=length)).build_network("train")
    given = batch(model)
    start = 22 - frames // 2
    expected = given["spike"][:, start : start + frames].mean(1, keepdim=True)
    label = model.get_outputs_dict(given)["tfp_label"] * given["rate"].view(-1, 1, 1, 1)
    torch.testing.assert_close(label, expected)


@pytest.mark.parametrize("length", [-3, 0, 42, 60])
def test_label_longer_than_the_window_is_refused(length):
    model = SSML(SSMLConfig(tfp_label_length=length)).build_network("train")
    with pytest.raises(ValueError, match=f"1 to 41 frames, got {length}"):
        model.get_outputs_dict(batch(model))

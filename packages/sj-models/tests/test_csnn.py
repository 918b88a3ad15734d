"""The small convolutional SNN."""

import pytest
import torch

from sj_models import CSNN
from sj_neurons import functional


def test_firing_rates_of_repeated_images():
    torch.manual_seed(0)
    net = CSNN(T=5, channels=4, image_size=8)
    rates = net(torch.rand(3, 1, 8, 8))
    assert rates.shape == (3, 10)
    torch.testing.assert_close(rates * 5, (rates * 5).round())


def test_layers_of_the_notes():
    net = CSNN(4, 8)
    kinds = [type(m).__name__ for m in net.conv_fc]
    block = ["Conv2d", "BatchNorm2d", "IFNode", "MaxPool2d"]
    assert kinds == [*block, *block, "Flatten", "Linear", "IFNode", "Linear", "IFNode"]
    assert [tuple(p.shape) for n, p in net.named_parameters() if "conv_fc.9" in n] == [
        (8 * 16, 8 * 49)
    ]
    assert all(m.bias is None for m in net.conv_fc if type(m).__name__ in ("Conv2d", "Linear"))


def test_encoder_gives_the_spikes_of_the_first_neurons():
    net = CSNN(4, 8, image_size=8).eval()
    x_seq = torch.rand(4, 2, 1, 8, 8)
    spikes = net.spiking_encoder()(x_seq)
    assert spikes.shape == (4, 2, 8, 8, 8)
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}


def test_outputs():
    x = torch.rand(2, 3, 8, 8)
    for output, shape in {"mean": (2, 7), "last": (2, 7), "steps": (4, 2, 7)}.items():
        net = CSNN(4, 4, in_channels=3, image_size=8, num_classes=7, output=output)
        assert net(x).shape == shape


def test_gradient_reaches_every_parameter():
    torch.manual_seed(0)
    net = CSNN(4, 8, image_size=8)
    net(torch.rand(4, 1, 8, 8)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    functional.reset_net(net)


@pytest.mark.parametrize(
    "arguments",
    [{"T": 0}, {"T": 2.5}, {"channels": 0}, {"image_size": 3}, {"num_classes": 0},
     {"in_channels": "3"}],
)  # fmt: skip
def test_sizes_out_of_range_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"CSNN: {name} must be"):
        CSNN(**{"T": 4, "channels": 8, **arguments})


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 1, 9, 8), (2, 3, 8, 8)])
def test_inputs_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected images .* got shape \("):
        CSNN(2, 2, image_size=8)(torch.rand(shape))


def test_single_steps_are_refused():
    with pytest.raises(ValueError, match="step_mode can only be"):
        functional.set_step_mode(CSNN(2, 2, image_size=8), "s")


def test_a_backend_that_is_not_there_is_an_error():
    if torch.cuda.is_available():
        pytest.skip("the backend 'cupy' may be there, beside a GPU")
    with pytest.raises(ImportError, match="'cupy' cannot run here"):
        CSNN(4, 8, use_cupy=True)

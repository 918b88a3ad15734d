from __future__ import annotations

import torch

from sz_models.layout import cpu_layout


def test_without_gradients_channels_come_last_in_memory():
    x = torch.rand(2, 3, 4, 5)
    with torch.no_grad():
        y = cpu_layout(x)
    torch.testing.assert_close(y, x)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_gradients_and_other_devices_keep_their_layout():
    x = torch.rand(2, 3, 4, 5)
    assert cpu_layout(x) is x
    on_meta = x.to("meta")
    with torch.no_grad():
        assert cpu_layout(on_meta) is on_meta

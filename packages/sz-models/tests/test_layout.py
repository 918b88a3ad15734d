from __future__ import annotations

import torch

from sz_models.layout import cpu_layout


def test_values_stay_and_channels_come_last_in_memory():
    x = torch.rand(2, 3, 4, 5)
    y = cpu_layout(x)
    torch.testing.assert_close(y, x)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_other_devices_keep_their_layout():
    x = torch.empty(2, 3, 4, 5, device="meta")
    assert cpu_layout(x) is x

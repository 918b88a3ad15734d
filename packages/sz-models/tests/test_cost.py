from __future__ import annotations

import pytest
import torch

import sz_models as sz
from sz_models.cost import measure_cost


def test_operations_of_the_base_network_are_its_weights_times_the_pixels():
    model = sz.BaseModel(sz.BaseModelConfig()).build_network("debug")
    cost = measure_cost(model, (1, 60, 8, 12), calls=2, warmup=1)
    weights = sum(p.numel() for p in model.net.parameters() if p.ndim == 4)
    assert cost.params_m == pytest.approx(180705e-6)
    assert cost.macs_g == pytest.approx(weights * 8 * 12 / 1e9)
    assert cost.flops_g == 2 * cost.macs_g
    assert cost.latency_ms > 0


def test_averaging_has_no_parameters():
    cost = measure_cost(sz.build_model_name("tfp").build_network("debug"), (1, 60, 8, 12), calls=1)
    assert (cost.params_m, cost.flops_g) == (0, 0)


class Counted(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, spike: torch.Tensor) -> torch.Tensor:
        assert not torch.is_grad_enabled()
        self.calls += 1
        return spike.mean(1, keepdim=True)


def counted(**options: float) -> int:
    cfg = sz.BaseModelConfig(arch_cls_local=Counted)
    model = sz.BaseModel(cfg).build_network("debug")
    measure_cost(model, (1, 41, 4, 4), **options)  # pyright: ignore[reportArgumentType]
    assert torch.is_grad_enabled()
    return model.net.calls


def test_calls_are_counted_warmed_up_and_limited_in_time():
    assert counted(calls=12, warmup=2) == 1 + 2 + 12
    assert counted(calls=10**6, warmup=0, max_seconds=1e-9) == 2
    assert counted(calls=10**6, warmup=10**6, max_seconds=1e-9) == 3


@pytest.mark.parametrize(
    "options", [{"calls": 0}, {"warmup": -1}, {"max_seconds": 0.0}, {"shape": (1, 60, 0, 4)}]
)
def test_bad_counts_are_refused(options):
    model = sz.build_model_name("tfp").build_network("debug")
    with pytest.raises(ValueError, match="must be positive"):
        measure_cost(model, **{"shape": (1, 60, 4, 4), **options})


def test_too_few_frames_are_told():
    model = sz.BaseModel(sz.BaseModelConfig()).build_network("debug")
    with pytest.raises(ValueError, match="takes 41 frames"):
        measure_cost(model, (1, 10, 4, 4), calls=1)

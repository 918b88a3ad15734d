from __future__ import annotations

import nir
import numpy as np
import pytest
import torch

import sj_nir

FIELDS = ("tau", "r", "v_leak", "v_threshold", "v_reset")


def foreign(hetero: bool, dtype=np.float64) -> nir.LIF:
    r = [1.1, 1.3, 0.7] if hetero else [1.0] * 3
    return nir.LIF(
        tau=np.full(3, 2.5e-3 / 3, dtype),
        r=np.array(r, dtype),
        v_leak=np.zeros(3, dtype),
        v_threshold=np.full(3, 0.1, dtype),
    )


@pytest.mark.parametrize("hetero", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_graph_passes_through_unchanged(graph_of, hetero, dtype):
    node = foreign(hetero, dtype)
    net = sj_nir.import_from_nir(graph_of(node, 3))
    back = sj_nir.export_to_nir(net, torch.rand(1, 3)).nodes["n"]
    for field in FIELDS:
        assert getattr(back, field).dtype == dtype
        np.testing.assert_array_equal(getattr(back, field), getattr(node, field))


def test_what_changed_is_written_anew(graph_of):
    node = foreign(True)
    net = sj_nir.import_from_nir(graph_of(node, 3))
    with torch.no_grad():
        net.get_submodule("n").r[1] = 0.1
    back = sj_nir.export_to_nir(net, torch.rand(1, 3)).nodes["n"]
    np.testing.assert_array_equal(back.r, [1.1, np.float64(np.float32(0.1)), 0.7])
    np.testing.assert_array_equal(back.tau, node.tau)


def test_another_dt_gives_other_time_constants(graph_of):
    node = foreign(True)
    net = sj_nir.import_from_nir(graph_of(node, 3))
    back = sj_nir.export_to_nir(net, torch.rand(1, 3), dt=1e-3).nodes["n"]
    np.testing.assert_allclose(back.tau, 10 * node.tau, rtol=1e-6)
    np.testing.assert_array_equal(back.r, node.r)

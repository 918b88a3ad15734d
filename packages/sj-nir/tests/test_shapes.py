from __future__ import annotations

import itertools

import nir
import numpy as np
import pytest

import sj_nir
from sj_nir.shapes import infer_shapes
from sj_nir.topology import analyse


def chain(shape, *nodes: nir.NIRNode, output=None) -> nir.NIRGraph:
    named = {f"n{i}": node for i, node in enumerate(nodes)}
    names = ["i", *named, "o"]
    return nir.NIRGraph(
        {"i": nir.Input({"input": shape}), **named, "o": nir.Output({"output": output})},
        list(itertools.pairwise(names)),
        type_check=False,
    )


def shape_after(shape, *nodes: nir.NIRNode, output=None) -> tuple[int, ...]:
    graph = chain(np.array(shape), *nodes, output=output)
    return infer_shapes(graph, analyse(graph))["o"]


def conv(weight, padding=0, stride=1, dilation=1, groups=1, size=None) -> nir.Conv2d:
    return nir.Conv2d(
        size, np.zeros(weight), stride, padding, dilation, groups, np.zeros(weight[0])
    )


@pytest.mark.parametrize(
    ("node", "before", "after"),
    [
        (conv((4, 2, 3, 5), padding=(1, 2)), (2, 8, 10), (4, 8, 10)),
        (conv((4, 1, 3, 3), groups=2, stride=(2, 1)), (2, 8, 8), (4, 3, 6)),
        (conv((1, 1, 3, 3), dilation=2), (1, 9, 9), (1, 5, 5)),
        (conv((1, 1, 4, 4), padding="same"), (1, 9, 7), (1, 9, 7)),
        (conv((1, 1, 4, 4), padding="valid"), (1, 9, 7), (1, 6, 4)),
        (nir.AvgPool2d(np.array([2, 3]), np.array([2, 1]), 1), (5, 8, 8), (5, 5, 8)),
        (nir.Flatten(None, 1, -1), (2, 3, 4), (2, 12)),
        (nir.Flatten(None, -3, 1), (2, 3, 4), (6, 4)),
        (nir.Linear(weight=np.zeros((3, 2))), (2,), (3,)),
    ],
)
def test_shape_rules(node, before, after):
    assert shape_after(before, node) == after


@pytest.mark.parametrize(
    ("shape", "node", "message"),
    [
        ((3, 8, 8), conv((4, 2, 3, 3)), r"node 'n0', field 'weight': takes \(2, H, W\)"),
        ((2, 8), conv((4, 2, 3, 3)), r"but gets \(2, 8\)"),
        ((2, 2, 2), conv((4, 2, 3, 3)), "kernel is larger"),
        ((2, 8, 8), conv((4, 2, 3, 3), size=(7, 8)), r"field 'input_shape': says \(7, 8\)"),
        ((2, 8, 8), conv((4, 2, 3, 3), stride=0), "field 'stride': must be at least 1"),
        ((2, 8, 8), conv((4, 2, 3, 3), padding=-1), "field 'padding': must be at least 0"),
        ((2, 8, 8), conv((3, 2, 3, 3), groups=2), "2 does not divide the 3 output channels"),
        ((2, 8, 8), conv((3, 2, 3)), r"expected \[Co, Ci/groups, Kh, Kw\]"),
        ((2, 8, 8), conv((3, 2, 3, 3), stride=(1, 1, 1)), "expected one or two integers"),
        ((2, 8, 8), conv((3, 2, 3, 3), groups=(1, 1)), "expected one integer"),
        ((2, 8, 8), conv((3, 2, 3, 3), stride=(1.5, 1.5)), "field 'stride': expected integers"),
        ((8, 8), nir.AvgPool2d(2, 2, 0), r"takes \(C, H, W\)"),
        ((1, 2, 2), nir.AvgPool2d(3, 1, 0), "kernel is larger"),
        ((2, 3), nir.Flatten(None, 0, 2), r"start_dim=0, end_dim=2 do not fit shape \(2, 3\)"),
        ((2, 3), nir.Flatten(None, 1, 0), "do not fit"),
        ((2, 3), nir.Flatten(np.array([3, 2]), 0, 1), r"says \(3, 2\), but gets \(2, 3\)"),
        ((4,), nir.Linear(weight=np.zeros((3, 2))), r"has 2 columns and takes shape \(2,\)"),
        ((4,), nir.IF(np.ones(3), np.ones(3)), r"parameters of shape \(3,\), but gets \(4,\)"),
    ],
)
def test_misfits_name_node_and_field(shape, node, message):
    with pytest.raises(sj_nir.NIRGraphError, match=message):
        shape_after(shape, node)


def test_fields_of_a_neuron_must_agree():
    node = nir.IF(np.ones(3), np.ones(3))
    node.r = np.ones(1)
    with pytest.raises(sj_nir.NIRGraphError, match=r"field 'r': shape \(1,\) differs"):
        shape_after((3,), node)


def test_stated_shapes_are_checked():
    with pytest.raises(sj_nir.NIRGraphError, match=r"node 'o', field 'shape': says \(2,\)"):
        shape_after((2, 1), nir.Flatten(None, 0, 0), output=np.array([2]))
    graph = chain(None, nir.Flatten(None, 0, 0))
    with pytest.raises(sj_nir.NIRGraphError, match="node 'i', field 'shape': is missing"):
        infer_shapes(graph, analyse(graph))
    graph = chain(["wide"], nir.Flatten(None, 0, 0))
    with pytest.raises(sj_nir.NIRGraphError, match="expected integers"):
        infer_shapes(graph, analyse(graph))


def test_sums_need_equal_shapes():
    graph = chain(np.array([2]), nir.Linear(weight=np.zeros((3, 2))))
    graph.edges.append(("i", "o"))
    with pytest.raises(sj_nir.NIRGraphError, match=r"\(3,\) from 'n0', \(2,\) from 'i'"):
        infer_shapes(graph, analyse(graph))


def test_a_node_without_row_is_named():
    class Custom(nir.Scale):
        pass

    with pytest.raises(sj_nir.NotSupportedError, match="node 'n0': Custom is not supported yet"):
        shape_after((2,), Custom(np.ones(2)))

"""Recorded metrics.

| informative row                       | recorded           | ours                              |
| ------------------------------------- | ------------------ | --------------------------------- |
| accuracy_rawlogits, threshold 0       | 22.5               | equal when threshold=0 is given;  |
|                                       |                    | the default has none (22.5, too)  |
| accuracy, thresholds 0 and 0.4        | 30 and 27.5        | equal when they are given         |
"""

from __future__ import annotations

import torch

from sj_models.metrics import accuracy, confusion_matrix, precision_recall_f1
from sj_models.ranking_metrics import average_precision, hit_rate, retrieval_average_precision


def test_accuracy(component_golden):
    for case in ("accuracy", "accuracy_rawlogits"):
        golden = component_golden("metrics.npz", case)
        topk, thresholds = (golden.row["params"][name] for name in ("topk", "thrs"))
        pred, target = golden.given["pred"], golden.given["target"]
        tables = [accuracy(pred, target, topk, threshold) for threshold in thresholds]
        found = torch.stack([torch.stack([table[k] for table in tables]) for k in topk])
        golden.check("acc(topk,thr)", found)
        # the default is the row without a threshold
        assert accuracy(pred, target)[1] == tables[thresholds.index(None)][1]


def test_precision_recall_f1(component_golden):
    for case in ("prf_macro", "prf_micro", "prf_None"):
        golden = component_golden("metrics.npz", case)
        (threshold,) = golden.row["params"]["thrs"]
        for limit in (threshold, None):  # the recorded scores are probabilities
            found = precision_recall_f1(
                golden.given["pred"],
                golden.given["target"],
                golden.row["params"]["average"],
                threshold=limit,
            )
            for name, value in found._asdict().items():
                golden.check(name, value)


def test_confusion(component_golden):
    golden = component_golden("metrics.npz", "confusion")
    classes = golden.row["params"]["num_classes"]
    golden.check("cm", confusion_matrix(**golden.given, num_classes=classes))


def test_average_precision_of_several_labels(component_golden):
    golden = component_golden("metrics.npz", "multilabel_ap")
    scores, target = golden.given["pred"], golden.given["target"]
    golden.check("ap_percent", average_precision(scores, target, average=None))
    golden.check("map_percent", average_precision(scores, target))


def test_hit_rate(component_golden):
    golden = component_golden("metrics.npz", "retrieval_recall")
    scores, relevant = golden.given["pred"], golden.given["target"]
    found = hit_rate(scores, relevant, golden.row["params"]["topk"])
    golden.check("recall_percent", torch.stack(list(found.values())))


def test_retrieval_average_precision(component_golden):
    for mode in ("IR", "integrate"):
        for topk in (5, 12):
            golden = component_golden("metrics.npz", f"retrieval_ap_{mode}_{topk}")
            scores, relevant = golden.given["pred"], golden.given["target"]
            found = retrieval_average_precision(scores, relevant, **golden.row["params"])
            golden.check("map_percent", found)

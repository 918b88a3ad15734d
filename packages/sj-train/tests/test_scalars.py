from __future__ import annotations

import json
import math

from sj_train.scalars import ScalarLog, read_rows


def test_rows_of_a_repeated_epoch_are_replaced(tmp_path):
    with ScalarLog(tmp_path) as log:
        for epoch in range(3):
            log.write(epoch, {"loss": 1.0 + epoch})
    with (tmp_path / "scalars.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')  # killed while writing
    with ScalarLog(tmp_path, first_epoch=2) as log:
        log.write(2, {"loss": 9.0, "lr": 0.1})
    rows = read_rows(tmp_path / "scalars.jsonl")
    assert [row["loss"] for row in rows] == [1.0, 2.0, 9.0]
    lines = (tmp_path / "scalars.csv").read_text().splitlines()
    assert lines == ["epoch,loss,lr", "0,1.0,", "1,2.0,", "2,9.0,0.1"]


def test_a_new_run_starts_a_new_log(tmp_path):
    for loss in (1.0, 2.0):
        with ScalarLog(tmp_path) as log:
            log.write(0, {"loss": loss})
    assert read_rows(tmp_path / "scalars.jsonl") == [{"epoch": 0, "loss": 2.0}]


def test_values_that_are_not_finite_are_null(tmp_path):
    with ScalarLog(tmp_path) as log:
        log.write(0, {"loss": math.nan})
    assert json.loads((tmp_path / "scalars.jsonl").read_text()) == {"epoch": 0, "loss": None}


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ScalarLog(None) as log:
        log.write(0, {"loss": 1.0})
        log.write_figure(0, "spikes", None)
    assert list(tmp_path.iterdir()) == []

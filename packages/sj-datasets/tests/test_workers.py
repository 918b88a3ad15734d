from __future__ import annotations

import builtins
import io
import logging
import math
import operator
import os
import pickle
import subprocess
import sys
import textwrap
import time
import types

import pytest

from sj_datasets import workers
from sj_datasets.cache import load_array
from sj_datasets.errors import FormatError
from sj_datasets.workers import run_parallel

TASKS = list(range(40))


def quiet(function, tasks, **options):
    return run_parallel(function, tasks, progress=False, **options)


def test_results_keep_the_order_of_the_tasks():
    assert quiet(operator.neg, TASKS, workers=2) == [-task for task in TASKS]
    assert quiet(operator.neg, TASKS) == [-task for task in TASKS]


@pytest.mark.parametrize("workers", [None, 0, 1])
def test_small_jobs_run_in_this_process(workers):
    assert set(quiet(lambda _: os.getpid(), [1, 2, 3], workers=workers)) == {os.getpid()}


def test_no_tasks_give_no_results():
    assert quiet(operator.neg, [], workers=4) == []


def test_what_others_cannot_import_runs_in_this_process(monkeypatch, caplog):
    seen = []
    assert quiet(lambda task: seen.append(task) or task, TASKS, workers=2) == TASKS
    assert seen == TASKS
    module = types.ModuleType("only_in_this_process")
    exec("def double(x): return 2 * x", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with caplog.at_level(logging.INFO):
        assert quiet(module.double, TASKS, workers=2) == [2 * task for task in TASKS]
    assert "working in this one" in caplog.text
    monkeypatch.setattr(sys.modules["__main__"], "double", module.double, raising=False)
    monkeypatch.setattr(module.double, "__module__", "__main__")
    assert quiet(module.double, TASKS, workers=2)[-1] == 78


@pytest.mark.parametrize("executable", ["/bin/false", "/no/such/python"])
def test_where_no_process_starts_this_one_works(monkeypatch, caplog, executable):
    monkeypatch.setattr(sys, "executable", executable)
    assert quiet(operator.neg, TASKS, workers=2) == [-task for task in TASKS]
    assert "start" in caplog.text


def test_a_frozen_application_starts_no_copies_of_itself(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(workers, "_start", None)
    assert quiet(operator.neg, TASKS, workers=2)[1] == -1


def test_errors_come_back_as_they_were_raised(tmp_path):
    with pytest.raises(ValueError, match="'x'") as caught:
        quiet(int, ["1", "x", *map(str, TASKS)], workers=2)
    assert any("'x'" in note and "in a worker" in note for note in caught.value.__notes__)
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"nothing")
    with pytest.raises(FormatError, match="npy") as caught:
        quiet(load_array, [bad] * 3, workers=2)
    assert caught.value.path == str(bad)


def test_tasks_that_cannot_be_sent_are_told():
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        quiet(id, [lambda: 0, *TASKS], workers=2)


def test_a_dead_process_names_its_task():
    with pytest.raises(RuntimeError, match=r"died \(status 7\) at 7"):
        quiet(os._exit, [7] * 3, workers=2)


def test_prints_of_a_task_disturb_nothing():
    assert quiet(builtins.print, ["hello"] * 3, workers=2) == [None] * 3


def test_an_interrupt_ends_the_processes(monkeypatch):
    started = []
    start = workers._start
    monkeypatch.setattr(workers, "_start", lambda: started.append(start()) or started[-1])

    def interrupted(*_):
        time.sleep(0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr(workers._Pool, "_watch", interrupted)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        quiet(time.sleep, [30.0] * 4, workers=2)
    assert time.monotonic() - begin < 10
    assert all(process.returncode is not None for process in started)


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import operator
            from sj_datasets.workers import run_parallel
            def triple(x):
                return 3 * x
            print(sum(run_parallel(operator.neg, range(40), workers=2)))
            print(sum(run_parallel(triple, range(40), workers=2)))
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["-780", "2340"]


def test_the_serving_loop_answers_until_its_input_ends():
    into, out = io.BytesIO(), io.BytesIO()
    for message in (math.sqrt, 4.0, -1.0):
        pickle.dump(pickle.dumps(message), into)
    into.seek(0)
    workers._serve(into, out)
    out.seek(0)
    assert pickle.load(out) is True
    assert pickle.load(out) == (True, 2.0, "")
    done, error, trace = pickle.load(out)
    assert not done and isinstance(error, ValueError) and "sqrt" not in trace
    into, out = io.BytesIO(), io.BytesIO()
    pickle.dump(b"no pickle", into)
    into.seek(0)
    workers._serve(into, out)
    assert pickle.loads(out.getvalue()) is False


class Stubborn(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


def test_errors_and_results_that_cannot_travel_become_text():
    def refuse(_):
        raise Stubborn("not", "portable")

    _, error, _ = workers._attempt(refuse, pickle.dumps(0))
    assert type(error) is RuntimeError and str(error) == "Stubborn: not portable"
    done, error, _ = workers._attempt(lambda _: lambda: 0, pickle.dumps(0))
    assert not done and isinstance(error, Exception)


def test_cores_are_counted_on_every_system(monkeypatch):
    assert workers._cores() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert workers._cores() >= 1

"""Many small jobs on all cores, in processes that can be started from anywhere.

Processes are started afresh and talk over pipes.  The usual ways do not serve here: a forked
process inherits the threads' locks of whatever the caller has loaded, and a spawned one runs the
caller's script again, which scripts without ``if __name__ == "__main__"`` do not survive.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import IO, Any, TypeVar

__all__ = ["run_parallel"]

_log = logging.getLogger(__name__)

_FEW = 32  # starting processes takes longer than so few jobs
_MOST = 16
_START = "from sj_datasets.workers import _main; _main()"

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_parallel(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int | None = None,
    progress: bool = True,
    description: str = "",
) -> list[Result]:
    """``[function(task) for task in tasks]``, in several processes where that pays.

    Functions that another process cannot import (lambdas, functions of a script) and small
    numbers of tasks run in this process.

    Args:
        function: what to do; picklable to run elsewhere.
        tasks: one argument each.
        workers: processes; 0 or 1 runs here, ``None`` takes the cores this process may use.
        progress: show a bar on a terminal.
        description: text beside the bar.

    Raises:
        Exception: the first error of a task, as it was raised there.
        RuntimeError: a process died; the message names its task.
    """
    tasks = list(tasks)
    if workers is None:
        workers = 1 if len(tasks) < _FEW else min(_cores(), _MOST)
    workers = min(workers, len(tasks))
    payload = _importable(function) if workers > 1 and _can_start() else None
    with _bar(len(tasks), description, progress) as bar:
        if payload is not None:
            pool = _Pool(payload, tasks, workers, bar.update)
            if pool.run():
                return pool.results
            bar.reset()
            _log.info("other processes cannot run %r; working in this one", function)
        return [_count(function(task), bar.update) for task in tasks]


def _count(result: Result, update: Callable[[], object]) -> Result:
    update()
    return result


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _can_start() -> bool:
    # in a frozen application the executable is the application, not an interpreter
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def _bar(total: int, description: str, progress: bool) -> Any:
    from tqdm import tqdm

    # disable=None: no bar where stderr is not a terminal
    return tqdm(total=total, desc=description, disable=None if progress else True)


def _importable(function: object) -> bytes | None:
    """The function as bytes, or ``None`` where another process could not make it again."""
    try:
        payload = pickle.dumps(function)
    except Exception:  # whatever a reduce method raises
        return None
    return None if b"__main__" in payload else payload


class _Pool:
    """Worker processes, each with a thread that feeds it."""

    def __init__(
        self, payload: bytes, tasks: list[Any], workers: int, update: Callable[[], object]
    ) -> None:
        self._payload = payload
        self._tasks = tasks
        self._update = update
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(tasks)):
            self._waiting.put(index)
        self._reports: queue.SimpleQueue[BaseException | int | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._workers = workers
        self._ready = True
        self.results: list[Any] = [None] * len(tasks)

    def run(self) -> bool:
        """Do all tasks; ``False``: the processes cannot import the function, nothing was done."""
        try:
            processes = [_start() for _ in range(self._workers)]
        except OSError as error:
            _log.warning("worker processes cannot be started: %s", error)
            return False
        threads = [
            threading.Thread(target=self._feed, args=(process,), daemon=True)
            for process in processes
        ]
        for thread in threads:
            thread.start()
        try:
            error = self._watch(len(threads))
        finally:
            self._stop.set()
            if sys.exc_info()[0] is not None:  # interrupted: do not wait for running tasks
                for process in processes:
                    process.kill()
            for thread in threads:
                thread.join()
            for process in processes:
                process.wait()
        if error is not None:
            raise error
        return self._ready

    def _watch(self, running: int) -> BaseException | None:
        error = None
        while running:
            report = self._reports.get()
            if report is None:
                running -= 1
            elif isinstance(report, int):
                self._update()
            elif error is None:
                error = report
                self._stop.set()
        return error

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        index = None
        try:
            assert process.stdin is not None and process.stdout is not None
            with process.stdin as into, process.stdout as out:
                _send(into, self._payload)
                if not pickle.load(out):
                    self._ready = False
                    self._stop.set()
                while not self._stop.is_set():
                    try:
                        index = self._waiting.get_nowait()
                    except queue.Empty:
                        break
                    # a pickle within a pickle: read whole before anything in it is imported
                    _send(into, pickle.dumps(self._tasks[index]))
                    self._take(index, pickle.load(out))
        except (EOFError, OSError, pickle.UnpicklingError) as cause:
            code = process.wait()
            if index is None:  # it could not even begin: the tasks are done in this process
                _log.warning("a worker process could not start (status %s)", code)
                self._ready = False
                self._stop.set()
            else:
                error = RuntimeError(
                    f"a worker process died (status {code}) at {self._tasks[index]!r:.300}"
                )
                error.__cause__ = cause
                self._reports.put(error)
        except BaseException as error:  # a task that cannot be pickled
            self._reports.put(error)
        finally:
            self._reports.put(None)

    def _take(self, index: int, answer: tuple[bool, Any, str]) -> None:
        done, value, trace = answer
        if done:
            self.results[index] = value
            self._reports.put(index)
        else:
            value.add_note(f"in a worker process, at {self._tasks[index]!r:.300}\n{trace}")
            self._reports.put(value)


def _start() -> subprocess.Popen[bytes]:
    paths = [os.path.abspath(path or os.curdir) for path in sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", _START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def _send(pipe: IO[bytes], message: object) -> None:
    pickle.dump(message, pipe)
    pipe.flush()


def _main() -> None:  # pragma: no cover  (runs in worker processes)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too and decides
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a function prints is no answer
    try:
        _serve(sys.stdin.buffer, out)
    except BrokenPipeError:  # the parent is gone
        os._exit(1)


def _serve(into: IO[bytes], out: IO[bytes]) -> None:
    """What a worker process does until its input ends: a function first, then tasks for it."""
    try:
        function = pickle.loads(pickle.load(into))
    except Exception:  # it was importable there and is not here
        function = None
    _send(out, function is not None)
    while True:
        try:
            message = pickle.load(into)
        except EOFError:
            return
        _send(out, _attempt(function, message))


def _attempt(function: Any, message: bytes) -> tuple[bool, Any, str]:
    try:
        answer = True, function(pickle.loads(message)), ""
        pickle.dumps(answer)
        return answer
    except Exception as error:
        trace = traceback.format_exc()
        return False, _portable(error), trace


def _portable(error: Exception) -> Exception:
    """``error`` if it survives pickling, else its text."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:  # whatever its reduce or init raises
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sj_datasets.download import Attempts, Resource, fetch
from sj_datasets.errors import ChecksumError, DownloadError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
OTHER = CONTENT[::-1]


@dataclasses.dataclass
class Answer:
    """One answer of the test server; the default serves the file as a good host does."""

    status: int = 200
    send: int | None = None  # bytes after which the connection breaks
    stall: bool = False  # ... or after which nothing more comes
    ranges: bool = True
    content: bytes | None = None
    etag: str | None = None
    length: bool = True
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


class Site:
    """A host on the loopback that follows a script, then behaves well."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag: str | None = '"one"'
        self.date: str | None = None
        self.script: list[Answer] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.release = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append((self.path, dict(self.headers)))
                answer = site.script.pop(0) if site.script else Answer()
                with contextlib.suppress(ConnectionError):
                    site.serve(self, answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def serve(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        content = self.content if answer.content is None else answer.content
        etag = answer.etag or self.etag
        status, body = answer.status, content
        headers = dict(answer.headers)
        asked = handler.headers.get("Range")
        condition = handler.headers.get("If-Range")
        if asked and answer.ranges and status == 200 and condition in (None, etag, self.date):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                status, body = 416, b""
                headers["Content-Range"] = f"bytes */{len(content)}"
            else:
                status, body = 206, content[start:]
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if status >= 400:
            body = b"no"
        headers.setdefault("Content-Type", "application/octet-stream")
        if etag:
            headers["ETag"] = etag
        if self.date:
            headers["Last-Modified"] = self.date
        if answer.length:
            headers["Content-Length"] = str(len(body))
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body if answer.send is None else body[: answer.send])
        handler.wfile.flush()
        if answer.stall:
            self.release.wait(5)

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.release.set()
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture(autouse=True)
def no_mirror_no_proxy(monkeypatch):
    monkeypatch.delenv("SJ_DATASETS_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def resource(*urls: str, name: str = "a.bin", content: bytes | None = CONTENT) -> Resource:
    return Resource(name, None if content is None else md5(content), urls)


def quick(waits: list[float] | None = None, count: int = 3) -> Attempts:
    sleep = (lambda _: None) if waits is None else waits.append
    return Attempts(count=count, wait=1.0, read_timeout=0.3, connect_timeout=5, sleep=sleep)


def get(folder: Path, file: Resource, attempts: Attempts | None = None) -> Path:
    return fetch(file, folder, dataset="Toy", progress=False, attempts=attempts or quick())


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder)) - {".lock", ".checksums.json"}


def leave_a_part(site: Site, folder: Path) -> None:
    site.script = [Answer(send=300_000)]
    with pytest.raises(DownloadError):
        get(folder, resource(site.url), quick(count=1))


def test_a_file_is_fetched_once(site, tmp_path):
    file = resource(site.url)
    path = get(tmp_path, file)
    assert path == tmp_path / "a.bin"
    assert path.read_bytes() == CONTENT
    get(tmp_path, file)
    assert names(tmp_path) == {"a.bin"}
    assert len(site.requests) == 1
    assert "sj-datasets" in site.requests[0][1]["User-Agent"]


@pytest.mark.parametrize("stall", [False, True])
def test_a_broken_download_goes_on_where_it_stopped(site, tmp_path, stall):
    site.script = [Answer(send=300_000, stall=stall)]
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT
    assert site.ranges[0] is None
    assert 0 < int(str(site.ranges[1])[6:-1]) <= 300_000
    assert site.requests[1][1]["If-Range"] == '"one"'


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_passing_refusals_are_waited_out_ever_longer(site, tmp_path, status):
    waits: list[float] = []
    site.script = [Answer(status), Answer(status)]
    assert get(tmp_path, resource(site.url), quick(waits)).read_bytes() == CONTENT
    assert waits == [1.0, 2.0]


def test_a_server_that_asks_for_patience_gets_it(site, tmp_path):
    waits: list[float] = []
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    site.script = [
        Answer(429, headers={"Retry-After": "7"}),
        Answer(503, headers={"Retry-After": later}),
        Answer(503, headers={"Retry-After": "soon"}),
    ]
    get(tmp_path, resource(site.url), quick(waits, count=4))
    assert waits[0] == 7
    assert 20 < waits[1] <= 31
    assert waits[2] == 4


def test_too_much_patience_is_not_spent(site, tmp_path):
    site.script = [Answer(429, headers={"Retry-After": "3600"})]
    with pytest.raises(DownloadError, match="429"):
        get(tmp_path, resource(site.url))
    assert len(site.requests) == 1
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


def test_a_refusal_that_stays_is_an_error_and_the_next_run_completes(site, tmp_path):
    site.script = [Answer(500)] * 3
    with pytest.raises(DownloadError, match=rf"a\.bin of Toy(?s:.*){site.url}.*500"):
        get(tmp_path, resource(site.url))
    assert names(tmp_path) == set()
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


def test_a_missing_page_is_not_asked_twice(site, tmp_path):
    site.script = [Answer(404)]
    good = f"{site.url}/good"
    assert get(tmp_path, resource(f"{site.url}/dead", good)).read_bytes() == CONTENT
    assert [path for path, _ in site.requests] == ["/dead", "/good"]


def test_a_server_that_ignores_ranges_sends_all_again(site, tmp_path):
    site.script = [Answer(send=300_000), Answer(ranges=False)]
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


def test_a_server_that_always_breaks_at_the_same_byte_is_given_up(site, tmp_path):
    site.script = [Answer(send=300_000, ranges=False)] * 9
    with pytest.raises(DownloadError, match=r"connection failed|bytes arrived"):
        get(tmp_path, resource(site.url))
    assert len(site.requests) == 3
    site.script = []
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


def test_slow_progress_is_never_given_up(site, tmp_path):
    site.script = [Answer(send=70_000)] * 10
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT
    assert len(site.requests) == 11


@pytest.mark.parametrize("etag", ['"one"', 'W/"one"', None])
def test_content_that_changes_between_attempts_is_fetched_anew(site, tmp_path, etag):
    """With a validator the mixture is never made; without one the checksum uncovers it."""
    site.etag = etag
    site.content = OTHER
    leave_a_part(site, tmp_path)
    assert "a.bin.part" in names(tmp_path)
    site.content = CONTENT
    site.etag = None if etag is None else etag.replace("one", "two")
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT
    assert names(tmp_path) == {"a.bin"}


def test_a_date_serves_as_validator(site, tmp_path):
    site.etag, site.date = None, "Sat, 21 Nov 2020 10:00:00 GMT"
    site.script = [Answer(send=300_000)]
    assert get(tmp_path, resource(site.url, content=None)).read_bytes() == CONTENT
    assert site.requests[1][1]["If-Range"] == site.date


def test_a_file_that_shrank_on_the_server_is_fetched_anew(site, tmp_path):
    leave_a_part(site, tmp_path)
    site.content = CONTENT[:1000]
    assert get(tmp_path, resource(site.url, content=CONTENT[:1000])).read_bytes() == CONTENT[:1000]


def test_a_part_that_is_complete_only_takes_its_name(site, tmp_path):
    leave_a_part(site, tmp_path)
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT
    assert len(site.requests) == 2


def test_a_part_with_a_damaged_beginning_is_noticed(site, tmp_path):
    leave_a_part(site, tmp_path)
    (tmp_path / "a.bin.part").write_bytes(bytes(200_000))
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


def test_a_part_of_unknown_origin_is_not_trusted(site, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    (tmp_path / "a.bin.part.json").write_text("[]")
    assert get(tmp_path, resource(site.url, content=None)).read_bytes() == CONTENT
    assert site.ranges == [None]


@pytest.mark.parametrize(
    "answer", [Answer(length=False), Answer(headers={"Content-Encoding": "gzip"})]
)
def test_bytes_are_taken_as_they_come(site, tmp_path, answer):
    site.script = [answer]
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


def test_a_web_page_is_not_taken_for_the_file(site, tmp_path):
    page = b"<!DOCTYPE html><html>gone</html>"
    site.script = [
        Answer(content=page, headers={"Content-Type": "text/html; charset=utf-8"}),
        Answer(content=page),
    ]
    urls = [f"{site.url}/declared", f"{site.url}/undeclared"]
    with pytest.raises(ChecksumError) as caught:
        get(tmp_path, resource(*urls))
    assert all(url in str(caught.value) for url in urls)
    assert str(caught.value).count("web page") == 2
    assert names(tmp_path) == set()
    assert get(tmp_path, resource(*urls)).read_bytes() == CONTENT


def test_wrong_content_everywhere_is_a_checksum_error(site, tmp_path):
    site.script = [Answer(content=OTHER)] * 2
    urls = [f"{site.url}/1", f"{site.url}/2"]
    with pytest.raises(ChecksumError, match=md5(OTHER)) as caught:
        get(tmp_path, resource(*urls))
    assert md5(CONTENT) in str(caught.value)
    assert all(url in str(caught.value) for url in urls)
    assert names(tmp_path) == set()
    assert get(tmp_path, resource(*urls)).read_bytes() == CONTENT


def test_a_corrupt_file_is_replaced_when_the_right_one_is_there(site, tmp_path):
    (tmp_path / "a.bin").write_bytes(OTHER)
    site.script = [Answer(404)]
    with pytest.raises(DownloadError):
        get(tmp_path, resource(site.url))
    assert (tmp_path / "a.bin").read_bytes() == OTHER
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


def test_too_small_a_disk_is_noticed_before(site, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 0, 1000))
        with pytest.raises(DownloadError, match=f"needs {len(CONTENT)} bytes.* 1000 bytes"):
            get(tmp_path, resource(site.url, f"{site.url}/2"))
    assert len(site.requests) == 1
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_full_disk_keeps_what_has_arrived(site, tmp_path, monkeypatch):
    import resource as limits

    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python would cut it short
    before = limits.getrlimit(limits.RLIMIT_FSIZE)
    limits.setrlimit(limits.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(DownloadError, match=f"needs {len(CONTENT) - 300_000} bytes more"):
            get(tmp_path, resource(site.url))
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, before)
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=300000-"]


SCRIPT = """
import sys
from sj_datasets.download import Attempts, Resource, fetch
fetch(Resource("a.bin", sys.argv[2], (sys.argv[1],)), sys.argv[3], dataset="Toy", progress=False,
      attempts=Attempts(read_timeout=30))
"""


def start(site: Site, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SCRIPT, site.url, md5(CONTENT), str(folder)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def wait_until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_process_is_continued_by_the_next(site, tmp_path):
    site.script = [Answer(send=300_000, stall=True)]
    process = start(site, tmp_path)
    part = tmp_path / "a.bin.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 200_000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    site.release.set()
    arrived = part.stat().st_size
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT
    assert site.ranges[-1] == f"bytes={arrived}-"


def test_two_processes_fetch_once(site, tmp_path):
    site.script = [Answer(send=300_000, stall=True)]
    first = start(site, tmp_path)
    wait_until(lambda: site.requests)
    second = start(site, tmp_path)
    assert second.stderr is not None
    assert b"waiting for another process" in second.stderr.readline()
    site.release.set()  # the connection of the first breaks; it goes on by itself
    assert first.wait(30) == 0
    assert second.wait(30) == 0
    _ = first.communicate(), second.communicate()
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert len(site.requests) == 2


def test_a_bar_is_shown_on_request(site, tmp_path, capfd):
    fetch(resource(site.url), tmp_path, dataset="Toy", attempts=quick())
    out, err = capfd.readouterr()
    assert out == ""
    assert "a.bin" in err

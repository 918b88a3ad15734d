from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import importlib
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

from sj_datasets.download import Attempts, Resource, ResourceSet, fetch, fetch_all, verify
from sj_datasets.errors import ChecksumError, DownloadError, ManualDownloadError

_http = importlib.import_module("sj_datasets.download._http")

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
def no_mirror(monkeypatch):
    monkeypatch.delenv("SJ_DATASETS_MIRROR", raising=False)


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


def test_a_file_is_fetched_once(site, tmp_path):
    file = resource(site.url)
    path = get(tmp_path, file)
    assert path == tmp_path / "a.bin"
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == {"a.bin"}
    get(tmp_path, file)
    assert len(site.requests) == 1
    assert "sj-datasets" in site.requests[0][1]["User-Agent"]


@pytest.mark.parametrize("answer", [Answer(send=300_000), Answer(send=300_000, stall=True)])
def test_a_broken_download_goes_on_where_it_stopped(site, tmp_path, answer):
    site.script = [answer]
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT
    first, second = site.ranges
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 300_000
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
    with pytest.raises(DownloadError, match="connection failed|bytes arrived"):
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
    site.script = [Answer(send=300_000)]
    with pytest.raises(DownloadError):
        get(tmp_path, resource(site.url), quick(count=1))
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
    site.script = [Answer(send=300_000)]
    with pytest.raises(DownloadError):
        get(tmp_path, resource(site.url), quick(count=1))
    site.content = CONTENT[:1000]
    assert get(tmp_path, resource(site.url, content=CONTENT[:1000])).read_bytes() == CONTENT[:1000]


def test_a_part_that_is_complete_only_takes_its_name(site, tmp_path):
    site.script = [Answer(send=300_000)]
    with pytest.raises(DownloadError):
        get(tmp_path, resource(site.url), quick(count=1))
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT
    assert len(site.requests) == 2


def test_a_part_with_a_damaged_beginning_is_noticed(site, tmp_path):
    site.script = [Answer(send=300_000)]
    with pytest.raises(DownloadError):
        get(tmp_path, resource(site.url), quick(count=1))
    (tmp_path / "a.bin.part").write_bytes(bytes(200_000))
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


def test_a_part_of_unknown_origin_is_not_trusted(site, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    (tmp_path / "a.bin.part.json").write_text("[]")
    assert get(tmp_path, resource(site.url, content=None)).read_bytes() == CONTENT
    assert site.ranges == [None]


def test_lengths_may_be_unknown(site, tmp_path):
    site.script = [Answer(length=False)]
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


def test_bytes_are_kept_as_stored_whatever_the_server_calls_them(site, tmp_path):
    site.script = [Answer(headers={"Content-Encoding": "gzip"})]
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


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a", "http:///a"])
def test_dead_hosts_and_broken_addresses(tmp_path, url):
    with pytest.raises(DownloadError, match="connection failed|not an address"):
        get(tmp_path, resource(url))


def test_mirrors_come_first(site, tmp_path, monkeypatch):
    mirror, folder = tmp_path / "mirror", tmp_path / "data"
    (mirror / "Toy").mkdir(parents=True)
    folder.mkdir()
    monkeypatch.setenv("SJ_DATASETS_MIRROR", f"{mirror}, {site.url}/base/,")
    name = "Read Me(1).txt"
    get(folder, resource(f"{site.url}/published", name=name))
    assert [path for path, _ in site.requests] == ["/base/Toy/Read%20Me%281%29.txt"]
    (folder / name).unlink()
    (mirror / "Toy" / name).write_bytes(CONTENT)
    get(folder, resource(name=name))
    assert len(site.requests) == 1
    (folder / name).unlink()
    (mirror / "Toy" / name).write_bytes(OTHER)
    get(folder, resource(f"{site.url}/published", name=name))
    assert (folder / name).read_bytes() == CONTENT


def test_without_any_address_the_error_says_so(tmp_path):
    with pytest.raises(DownloadError, match="SJ_DATASETS_MIRROR"):
        get(tmp_path, resource())


def test_folders_must_exist_and_be_writable(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="create it first"):
        get(tmp_path / "no", resource())
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        get(tmp_path / "file", resource())

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match="not writable"):
        get(tmp_path, resource())


def test_too_small_a_disk_is_noticed_before(site, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 0, 1000))
        with pytest.raises(DownloadError, match=f"needs {len(CONTENT)} bytes.* 1000 bytes"):
            get(tmp_path, resource(site.url, f"{site.url}/2"))
    assert len(site.requests) == 1
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT


def test_a_full_disk_keeps_what_has_arrived(site, tmp_path, monkeypatch):
    real = _http._write
    left = [300_000]

    def write(write, chunk, part, total):
        def once(data):
            if left[0] <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            done = write(data[: left[0]])
            left[0] -= done
            return done

        real(once, chunk, part, total)

    with monkeypatch.context() as patch:
        patch.setattr(_http, "_write", write)
        with pytest.raises(DownloadError, match=f"needs {len(CONTENT) - 300_000} bytes more"):
            get(tmp_path, resource(site.url))
    assert (tmp_path / "a.bin.part").stat().st_size == 300_000
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=300000-"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_mirror_folder_that_cannot_be_copied(tmp_path, monkeypatch, code):
    (tmp_path / "Toy").mkdir()
    (tmp_path / "Toy/a.bin").write_bytes(CONTENT)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("SJ_DATASETS_MIRROR", str(tmp_path))

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", fail)
        with pytest.raises(DownloadError, match="no room" if code == errno.ENOSPC else "I/O|rror"):
            get(tmp_path / "data", resource())
    assert get(tmp_path / "data", resource()).read_bytes() == CONTENT


SCRIPT = """
import sys
from sj_datasets.download import Attempts, Resource, fetch
fetch(Resource("a.bin", sys.argv[2], (sys.argv[1],)), sys.argv[3], dataset="Toy", progress=False,
      attempts=Attempts(read_timeout=30))
"""


def start(site: Site, folder: Path, prelude: str = "") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", prelude + SCRIPT, site.url, md5(CONTENT), str(folder)]
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


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_file_size_limit_is_a_full_disk(site, tmp_path):
    prelude = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))\n"
    process = start(site, tmp_path, prelude)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"bytes more" in stderr
    assert get(tmp_path, resource(site.url)).read_bytes() == CONTENT
    assert site.ranges[-1] == "bytes=300000-"


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
    for process in (first, second):
        process.communicate()
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert len(site.requests) == 2


@pytest.fixture
def toy(site) -> ResourceSet:
    files = tuple(
        Resource(name, md5(name.encode()), (f"{site.url}/{name}",), required=name != "notes.txt")
        for name in ("x.zip", "y.zip", "notes.txt")
    )
    return ResourceSet("Toy", "http://page", downloadable=True, files=files, note="Mind the gap.")


def get_all(toy: ResourceSet, folder: Path, *, direct: bool = False) -> list[str]:
    paths = fetch_all(toy, folder, progress=False, direct=direct, attempts=quick(count=1))
    assert all(path.is_file() for path in paths)
    return [path.name for path in paths]


def test_all_that_is_missing_is_fetched(site, toy, tmp_path):
    (tmp_path / "y.zip").write_bytes(b"y.zip")
    site.script = [Answer(content=b"x.zip"), Answer(404)]
    assert verify(toy, tmp_path) == {"x.zip": "missing", "y.zip": "ok", "notes.txt": "missing"}
    assert get_all(toy, tmp_path) == ["x.zip", "y.zip"]
    site.script = [Answer(content=b"notes.txt")]
    assert get_all(toy, tmp_path) == ["x.zip", "y.zip", "notes.txt"]
    assert get_all(toy, tmp_path) == ["x.zip", "y.zip", "notes.txt"]
    assert len(site.requests) == 3
    assert set(verify(toy, tmp_path).values()) == {"ok"}


def test_a_failed_download_ends_with_advice(site, toy, tmp_path):
    site.script = [Answer(404)]
    with pytest.raises(DownloadError) as caught:
        get_all(toy, tmp_path)
    for part in ("404", "by hand", "y.zip", md5(b"y.zip"), str(tmp_path), "Mind the gap"):
        assert part in str(caught.value)


def test_a_full_disk_ends_the_run(site, toy, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(DownloadError, match="no room"):
        get_all(toy, tmp_path)
    assert len(site.requests) == 1


def test_files_for_people_only_are_asked_for(site, toy, tmp_path):
    toy = dataclasses.replace(toy, downloadable=False)
    (tmp_path / "y.zip").write_bytes(b"damaged")
    with pytest.raises(ManualDownloadError) as caught:
        get_all(toy, tmp_path)
    assert isinstance(caught.value, NotImplementedError)
    text = str(caught.value)
    for file in toy.files:
        assert f"{file.name}\n" in text or f"{file.name} (not required)\n" in text
        assert f"from {file.urls[0]}" in text
        assert f"md5  {file.md5}" in text
    for part in ("http://page", str(tmp_path), "any name", "SJ_DATASETS_MIRROR", md5(b"damaged")):
        assert part in text
    assert not site.requests
    (tmp_path / "download (3)").write_bytes(b"x.zip")
    (tmp_path / "y-again.zip").write_bytes(b"y.zip")
    assert get_all(toy, tmp_path) == ["x.zip", "y.zip"]
    assert names(tmp_path) == {"x.zip", "y.zip"}


def test_direct_addresses_serve_on_request(site, toy, tmp_path):
    toy = dataclasses.replace(toy, downloadable=False)
    site.script = [Answer(content=name.encode()) for name in ("x.zip", "y.zip", "notes.txt")]
    assert get_all(toy, tmp_path, direct=True) == ["x.zip", "y.zip", "notes.txt"]


def test_a_mirror_serves_what_is_for_people_only(toy, tmp_path, monkeypatch):
    toy = dataclasses.replace(toy, downloadable=False)
    (tmp_path / "Toy").mkdir()
    (tmp_path / "data").mkdir()
    for name in ("x.zip", "y.zip"):
        (tmp_path / "Toy" / name).write_text(name)
    monkeypatch.setenv("SJ_DATASETS_MIRROR", str(tmp_path))
    assert get_all(toy, tmp_path / "data") == ["x.zip", "y.zip"]


def test_verify_tells_every_state(toy, tmp_path):
    files = (*toy.files, Resource("w.zip", None, ()))
    toy = dataclasses.replace(toy, files=files)
    for name, content in (("x.zip", "x.zip"), ("y.zip", "wrong"), ("w.zip", "any")):
        (tmp_path / name).write_text(content)
    assert verify(toy, tmp_path) == {
        "x.zip": "ok",
        "y.zip": "corrupt",
        "notes.txt": "missing",
        "w.zip": "unchecked",
    }


def test_a_bar_is_shown_on_request(site, tmp_path, capfd):
    fetch(resource(site.url), tmp_path, dataset="Toy", attempts=quick())
    out, err = capfd.readouterr()
    assert out == ""
    assert "a.bin" in err

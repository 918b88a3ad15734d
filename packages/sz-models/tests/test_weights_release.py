"""Released weights from a host on the loopback."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

import sz_models as sz
from sj_datasets.errors import ChecksumError, DownloadError
from sz_models.archs.ssml import DoubleNet
from sz_models.pipeline import Pipeline, PipelineConfig
from sz_models.weights import load_weights, released_weights

PATH = "/v0.2.3/base.pth"


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


ONE = saved({"weight": torch.arange(60000.0)})
TWO = saved({"weight": torch.arange(60000.0) + 1})


class Site:
    """Serves ``files``; the first ``broken`` answers stop after half of what they announce."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.broken = 0
        self.asked: list[tuple[str, str | None]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers.get("Range")))
                with contextlib.suppress(ConnectionError):
                    site.serve(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        content = self.files.get(handler.path)
        asked = handler.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        handler.send_response(404 if content is None else 206 if start else 200)
        body = b"" if content is None else content[start:]
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", '"one"')
        if start and content is not None:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        if self.broken:
            self.broken -= 1
            body = body[: len(body) // 2]
        handler.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.files[PATH] = ONE
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def cfg(site: Site) -> sz.BaseModelConfig:
    return sz.BaseModelConfig(base_url=f"{site.url}")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SZ_MODELS_OFFLINE", "0")
    monkeypatch.setenv("SZ_MODELS_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("sz_models.weights.release._WAIT_S", 0.0)
    return tmp_path / "weights"


def test_missing_weights_are_downloaded_once(folder, cfg, site, caplog):
    caplog.set_level(logging.INFO, "sz_models")
    path = released_weights(cfg, "v023")
    assert path == folder / "v023" / "base.pth"
    assert path.read_bytes() == ONE
    assert released_weights(cfg, "v023") == path
    assert site.asked == [(PATH, None)]
    assert [r.message for r in caplog.records] == [f"downloading {site.url}{PATH} to {path}"]


def test_two_at_a_time_download_once(cfg, site):
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: released_weights(cfg, "v023"), range(2)))
    assert paths[0] == paths[1]
    assert len(site.asked) == 1


def test_build_network_downloads(cfg, site, tmp_path):
    model = sz.BaseModel(sz.BaseModelConfig()).build_network()
    model.save_network(tmp_path / "net.pth")
    site.files[PATH] = (tmp_path / "net.pth").read_bytes()
    built = sz.BaseModel(cfg).build_network("eval", "v023")
    for name, value in model.net.state_dict().items():
        assert torch.equal(value, built.net.state_dict()[name])


def test_a_broken_download_is_continued(cfg, site):
    site.broken = 1
    assert released_weights(cfg, "v023").read_bytes() == ONE
    (_, first), (_, second) = site.asked
    assert first is None
    assert second is not None and int(second.removeprefix("bytes=").removesuffix("-")) > 0


def test_a_download_that_stays_broken_leaves_only_its_part(folder, cfg, site):
    site.broken = 100
    with pytest.raises(DownloadError, match="bytes"):
        released_weights(cfg, "v023")
    left = {path.name for path in (folder / "v023").iterdir()} - {".lock"}
    assert left == {"base.pth.part", "base.pth.part.json"}
    site.broken = 0
    assert released_weights(cfg, "v023").read_bytes() == ONE


@pytest.mark.parametrize("reachable", [True, False])
def test_a_failed_download_says_what_to_do_by_hand(folder, cfg, site, reachable):
    site.files.clear()
    if not reachable:
        site.server.shutdown()
        site.server.server_close()
    with pytest.raises(DownloadError) as caught:
        released_weights(cfg, "v023")
    text = str(caught.value)
    place = folder / "v023" / "base.pth"
    assert f"download {site.url}{PATH} and save it as {place} (SZ_MODELS_WEIGHTS" in text
    assert ("404" in text) == reachable
    assert not place.exists()


@pytest.fixture
def closed(cfg, site) -> str:
    """Address of a machine on which nothing listens."""
    site.server.shutdown()
    site.server.server_close()
    return site.url


def test_a_model_says_where_its_weights_are_put_by_hand(folder, closed, cfg):
    with pytest.raises(DownloadError) as caught:
        sz.BaseModel(cfg).build_network("eval", "v023")
    text = str(caught.value)
    assert "the connection failed" in text
    assert f"download {closed}{PATH} and save it as {folder / 'v023' / 'base.pth'}" in text
    assert [path.name for path in (folder / "v023").iterdir()] == [".lock"]


def test_a_pipeline_without_its_weights_leaves_no_run(tmp_path, closed, cfg):
    run = PipelineConfig(version="v023", save_folder=tmp_path / "results")
    with pytest.raises(DownloadError, match="save it as"):
        Pipeline(run, cfg, "base")
    assert not (tmp_path / "results").exists()


def test_a_download_that_is_no_weight_file_is_removed(folder, cfg, site):
    site.files[PATH] = b"something else"
    with pytest.raises(DownloadError, match="removed again"):
        released_weights(cfg, "v023")
    assert not (folder / "v023" / "base.pth").exists()
    assert not (folder / "v023" / "base.pth.json").exists()


def test_offline_nothing_is_asked(folder, cfg, site, monkeypatch):
    monkeypatch.setenv("SZ_MODELS_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match="SZ_MODELS_OFFLINE is set: download http"):
        released_weights(cfg, "v023")
    assert site.asked == []
    assert not folder.exists()


def test_mirrors_come_first(cfg, site, monkeypatch, tmp_path):
    (tmp_path / "mirror" / "v0.2.3").mkdir(parents=True)
    (tmp_path / "mirror" / "v0.2.3" / "base.pth").write_bytes(TWO)
    monkeypatch.setenv("SZ_MODELS_MIRROR", f"{site.url}/no/, {tmp_path / 'mirror'}")
    assert released_weights(cfg, "v023").read_bytes() == TWO
    assert site.asked == [(f"/no{PATH}", None)]


def test_a_file_put_there_by_hand_is_used_and_trusted(folder, cfg, site):
    path = by_hand(folder / "v023" / "base.pth", b"unfinished copy")
    with pytest.raises(ValueError, match=r"base\.pth is not a"):
        released_weights(cfg, "v023")
    path.write_bytes(ONE)  # the unreadable one was not trusted
    assert released_weights(cfg, "v023") == path
    path.write_bytes(TWO)
    with pytest.raises(ChecksumError):
        released_weights(cfg, "v023")
    assert site.asked == []


def test_a_changed_file_is_refused_until_its_note_is_removed(cfg, site):
    path = released_weights(cfg, "v023")
    path.write_bytes(TWO)
    note = path.with_name("base.pth.json")
    with pytest.raises(ChecksumError, match="not the file that was used first") as caught:
        released_weights(cfg, "v023")
    assert str(note) in str(caught.value)
    note.unlink()
    assert released_weights(cfg, "v023") == path


def test_a_change_on_the_server_is_noticed(cfg, site):
    path = released_weights(cfg, "v023")
    path.unlink()
    site.files[PATH] = TWO
    with pytest.raises(ChecksumError, match="not the file that was used first"):
        released_weights(cfg, "v023")
    path.unlink()
    site.files[PATH] = ONE
    assert released_weights(cfg, "v023").read_bytes() == ONE


def test_a_file_is_read_again_only_when_its_time_stamp_moved(cfg, monkeypatch):
    path = released_weights(cfg, "v023")
    os.utime(path, (1_000_000, 1_000_000))
    released_weights(cfg, "v023")
    assert json.loads(path.with_name("base.pth.json").read_text())["mtime_ns"] == 10**15
    monkeypatch.setattr("hashlib.file_digest", None)
    assert released_weights(cfg, "v023") == path


@pytest.mark.parametrize("content", ["", "[]", '{"sha256": 3}', '{"sha256": "x", "size": 1}'])
def test_a_damaged_note_is_named(cfg, content):
    path = released_weights(cfg, "v023")
    path.with_name("base.pth.json").write_text(content)
    with pytest.raises(ChecksumError, match=r"base\.pth\.json.*damaged"):
        released_weights(cfg, "v023")


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of weights cannot be written, not even by root."""

    def refuse(path: Path) -> None:
        raise PermissionError(f"{path} is not writable")

    monkeypatch.setattr("sz_models.weights.release.folder_lock", refuse)
    monkeypatch.setattr("sz_models.weights.trust.atomic_path", refuse)


def by_hand(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@pytest.mark.usefixtures("read_only")
def test_a_folder_that_cannot_be_written_serves(folder, cfg):
    path = by_hand(folder / "v023" / "base.pth", ONE)
    assert released_weights(cfg, "v023") == path
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.usefixtures("read_only")
def test_a_folder_that_cannot_be_written_takes_nothing_new(folder, cfg, site):
    with pytest.raises(PermissionError, match="not writable"):
        released_weights(cfg, "v023")
    by_hand(folder / "v010" / "wgse.pt", saved(torch.nn.Linear(1, 1)))
    with pytest.raises(PermissionError, match="convert_pickled_weights"):
        released_weights(sz.BaseModelConfig(model_name="wgse"), "v010")
    assert site.asked == []


def test_a_pickled_network_is_converted_once(folder, site):
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    site.files["/v0.1.0/wgse.pt"] = saved(torch.nn.DataParallel(net))
    cfg = sz.BaseModelConfig(model_name="wgse", base_url=site.url)
    path = released_weights(cfg, "v010")
    assert path == folder / "v010" / "wgse.converted.pth"
    other = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    load_weights(other, path)
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in net.state_dict().items())
    stamp = path.stat().st_mtime_ns
    assert released_weights(cfg, "v010").stat().st_mtime_ns == stamp
    path.write_bytes(b"damaged")  # made again
    assert released_weights(cfg, "v010").read_bytes() != b"damaged"
    assert len(site.asked) == 1


def test_build_network_converts_a_pickled_network(site):
    net = DoubleNet()
    site.files["/v0.1.0/ssml.pt"] = saved(torch.nn.DataParallel(net))
    model = sz.build_model_name("ssml")
    model.cfg.base_url = site.url
    built = model.build_network("eval", "v010").net.state_dict()
    assert all(torch.equal(value, built[name]) for name, value in net.state_dict().items())


def test_a_pickle_that_is_no_network_is_removed(folder, site):
    site.files["/v0.1.0/ssml.pt"] = saved([1, 2])
    cfg = sz.BaseModelConfig(model_name="ssml", base_url=site.url)
    with pytest.raises(DownloadError, match="removed again"):
        released_weights(cfg, "v010")
    assert {p.name for p in (folder / "v010").iterdir()} == {".lock"}

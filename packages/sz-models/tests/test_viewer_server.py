from __future__ import annotations

import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sj_datasets import SpikeStream, save_vidar_dat
from sz_models.viewer import ViewerServer, serve
from sz_models.viewer.frames import Frames

T, H, W = 61, 6, 8


@pytest.fixture(scope="module")
def spikes() -> np.ndarray:
    return (np.random.default_rng(0).random((T, H, W)) < 0.4).astype(np.uint8)


@pytest.fixture(scope="module")
def server(spikes):
    with ViewerServer(Frames(SpikeStream.from_array(spikes), "a.dat")) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(server, path, method="GET", headers=None, body=None):
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def ask_raw(server, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(text)
        return connection.makefile("rb").read()


def error_of(reply) -> str:
    assert reply[1]["Content-Type"] == "application/json"
    return json.loads(reply[2])["error"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/viewer.js", "text/javascript"),
        ("/viewer.css", "text/css"),
        ("/api/info", "application/json"),
        ("/api/image?frame=30", "image/png"),
        ("/api/image?frame=30&method=gtfp&sigma=2&rate=0.5", "image/png"),
        ("/api/pixel?x=1&y=2&frame=3", "application/json"),
    ],
)
def test_every_address_answers_and_is_guarded(server, path, kind):
    status, headers, body = ask(server, path)
    assert status == 200
    assert headers["Content-Type"].startswith(kind)
    assert len(body) == int(headers["Content-Length"]) > 0
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_the_page_needs_nothing_from_elsewhere(server):
    for path in ("/", "/viewer.js", "/viewer.css"):
        text = ask(server, path)[2].decode()
        assert "http://" not in text
        assert "https://" not in text
        assert "style=" not in text


def test_a_pixel_comes_as_json(server, spikes):
    train = json.loads(ask(server, "/api/pixel?x=1&y=2&frame=30&reach=5")[2])
    assert train["spikes"] == "".join(map(str, spikes[25:36, 2, 1]))


def test_a_range_comes_as_a_video(server):
    status, headers, body = ask(server, "/api/video?method=spikes&start=0&stop=9&step=2")
    if importlib.util.find_spec("av") is None:
        assert status == 501
        assert "sz-models[video]" in json.loads(body)["error"]
        return
    assert (status, headers["Content-Type"]) == (200, "video/mp4")
    assert headers["Content-Disposition"] == 'attachment; filename="spikes_0-8.mp4"'
    assert body[4:8] == b"ftyp"


@pytest.mark.parametrize(
    "query",
    [
        "image",
        "image?frame=x",
        "image?frame=61",
        "image?frame=-1",
        "image?frame=30&method=nope",
        "image?frame=30&method=../../etc/passwd",
        "image?frame=30&window=0",
        "image?frame=30&window=1000",
        "image?frame=3",
        "image?frame=30&rate=0",
        "image?frame=30&rate=nan",
        "image?frame=30&method=gtfp&sigma=1e9",
        "image?frame=30&file=/etc/passwd",
        "image?frame=30&frame=30",
        "pixel?x=8&y=0&frame=0",
        "pixel?x=0&y=6&frame=0",
        "pixel?x=0&y=0&frame=0&reach=100000",
        "video?start=30&stop=30",
        "video?start=30&stop=31&fps=1e6",
        "info?x=1",
    ],
)
def test_wrong_parameters_are_named_in_json(server, query):
    if query.startswith("video") and importlib.util.find_spec("av") is None:
        pytest.skip("pip install 'sz-models[video]'")
    reply = ask(server, f"/api/{query}")
    assert reply[0] == 400
    assert "\n" not in error_of(reply)


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/api",
        "/api/",
        "/../a.dat",
        "/..%2f..%2fetc/passwd",
        "/viewer.js/",
        "*",
    ],
)
def test_other_paths_are_not_there(server, path):
    reply = ask(server, path)
    assert (reply[0], error_of(reply)) == (404, "no such address")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:PORT"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_hosts_and_sites_are_refused(server, headers):
    port = str(server.server_port)
    headers = {name: value.replace("PORT", port) for name, value in headers.items()}
    reply = ask(server, "/api/info", headers=headers)
    assert reply[0] == 403
    assert b"a.dat" not in reply[2]


def test_requests_without_or_with_two_host_names_are_refused(server):
    host = f"Host: 127.0.0.1:{server.server_port}\r\n".encode()
    assert b" 403 " in ask_raw(server, b"GET / HTTP/1.1\r\n\r\n")
    assert b" 403 " in ask_raw(server, b"GET / HTTP/1.1\r\n" + host + b"Host: evil.example\r\n\r\n")


def test_our_own_page_and_its_other_name_are_answered(server):
    port = server.server_port
    headers = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
    assert ask(server, "/api/info", headers=headers)[0] == 200
    assert ask(server, "/", headers={"Sec-Fetch-Site": "cross-site"})[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", "TRACE"])
def test_only_get_is_answered(server, method):
    status, headers, _ = ask(server, "/", method)
    assert (status, headers["Allow"]) == (405, "GET")


def test_large_requests_are_refused(server):
    assert ask(server, "/?" + "x" * 2000)[0] == 414
    assert ask(server, "/" + "x" * 70_000)[0] == 414
    assert ask(server, "/", body=b"x" * 1000)[0] == 413
    assert ask(server, "/", headers={"Transfer-Encoding": "chunked"})[0] == 413
    assert ask(server, "/", headers={"X-Large": "x" * 70_000})[0] == 431


def test_several_tabs_are_served_at_once(server):
    paths = [f"/api/image?frame={key}&window=11" for key in range(10, 42)]
    with ThreadPoolExecutor(8) as tabs:
        replies = list(tabs.map(lambda path: ask(server, path), paths))
    assert {reply[0] for reply in replies} == {200}
    assert len({reply[2] for reply in replies}) > 20


def test_it_listens_on_this_machine_only(server):
    assert server.server_address[0] == "127.0.0.1"


def test_a_recording_that_shrinks_is_reported(tmp_path, spikes):
    path = tmp_path / "a.dat"
    save_vidar_dat(path, spikes)
    with ViewerServer(Frames(SpikeStream(path, H, W), "a.dat")) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        os.truncate(path, 12)
        reply = ask(running, "/api/image?frame=30")
        running.shutdown()
        thread.join()
    assert reply[0] == 500
    assert "shorter" in error_of(reply)


def test_a_taken_port_is_named(server, tmp_path, spikes):
    path = tmp_path / "a.dat"
    save_vidar_dat(path, spikes)
    with pytest.raises(OSError, match=f"port {server.server_port} "):
        serve(path, H, W, server.server_port, open_browser=False)
    with pytest.raises(ValueError, match="65535"):
        serve(path, H, W, 70_000, open_browser=False)


def test_arrays_are_shown_too(spikes, monkeypatch):
    seen: list[dict] = []
    monkeypatch.setattr(ViewerServer, "serve_forever", lambda self: seen.append(self.frames.info()))
    serve(spikes, open_browser=False)
    serve(torch.from_numpy(spikes), name="mine", open_browser=False)
    assert [(info["name"], info["frames"]) for info in seen] == [("spikes", T), ("mine", T)]
    with pytest.raises(ValueError, match="must be 0 or 1"):
        serve(spikes * 2, open_browser=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_it_quietly(tmp_path, spikes):
    save_vidar_dat(tmp_path / "a.dat", spikes)
    code = (  # what a shell starts in the background inherits that Ctrl-C is ignored
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from sz_models.viewer import serve; "
        f"serve(sys.argv[1], {H}, {W}, open_browser=False, announce=lambda a: print(a, flush=True))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.dat")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")

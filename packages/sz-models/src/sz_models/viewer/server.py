"""The page and its data over HTTP, for browsers on this machine only.

The server listens on 127.0.0.1 and answers GET for the few addresses in ``_ROUTES``.  What is asked
under another host name, from another site's page, or with a body is refused, so that no page of the
internet can read a recording through the visitor's browser.
"""

from __future__ import annotations

import json
import os
import sys
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sj_datasets import FormatError, SpikeStream

from ..reconstruct import open_stream
from ..streams import Spikes
from .frames import MAX_SIGMA, Frames, View
from .query import Query

__all__ = ["ViewerServer", "serve"]

_MOST_URL = 1024
_HOSTS = ("127.0.0.1", "localhost")
_HUGE = 10**11
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class _Answer(NamedTuple):
    kind: str
    body: bytes
    file_name: str | None = None


class _Refusal(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def _page_file(name: str, kind: str) -> Callable[[Frames, str], _Answer]:
    def answer(frames: Frames, query: str) -> _Answer:
        Query(query, frozenset())
        return _Answer(f"{kind}; charset=utf-8", _package_file(name))

    return answer


@cache
def _package_file(name: str) -> bytes:
    return (resources.files("sz_models.viewer") / "page" / name).read_bytes()


_VIEW = frozenset({"method", "window", "sigma", "rate"})


def _view(query: Query) -> View:
    default = View()
    return View(
        method=query.text("method", default.method),
        window=query.whole("window", default.window, least=1, most=_HUGE),
        sigma=query.real("sigma", default.sigma, least=0.1, most=MAX_SIGMA),
        rate=query.real("rate", default.rate, least=0.001, most=1.0),
    )


def _info(frames: Frames, query: str) -> _Answer:
    Query(query, frozenset())
    return _json(frames.info())


def _image(frames: Frames, query: str) -> _Answer:
    fields = Query(query, _VIEW | {"frame"})
    frame = fields.whole("frame", least=0, most=_HUGE)
    return _Answer("image/png", frames.png(_view(fields), frame))


def _pixel(frames: Frames, query: str) -> _Answer:
    fields = Query(query, frozenset({"x", "y", "frame", "reach"}))
    x, y, frame = (fields.whole(name, least=0, most=_HUGE) for name in ("x", "y", "frame"))
    return _json(frames.pixel(x, y, frame, fields.whole("reach", 60, least=0, most=200)))


def _video(frames: Frames, query: str) -> _Answer:
    fields = Query(query, _VIEW | {"start", "stop", "step", "fps"})
    view = _view(fields)
    start, stop = (fields.whole(name, least=0, most=_HUGE) for name in ("start", "stop"))
    step = fields.whole("step", 1, least=1, most=10_000)
    fps = fields.real("fps", 25.0, least=1, most=120)
    body = frames.video(view, start, stop, step, fps)
    return _Answer("video/mp4", body, f"{view.method}_{start}-{stop - 1}.mp4")


_ROUTES: dict[str, Callable[[Frames, str], _Answer]] = {
    "/": _page_file("index.html", "text/html"),
    "/viewer.js": _page_file("viewer.js", "text/javascript"),
    "/viewer.css": _page_file("viewer.css", "text/css"),
    "/api/info": _info,
    "/api/image": _image,
    "/api/pixel": _pixel,
    "/api/video": _video,
}


def _json(value: dict[str, Any]) -> _Answer:
    return _Answer("application/json", json.dumps(value).encode())


class ViewerServer(ThreadingHTTPServer):
    """Serves one recording on 127.0.0.1; ``serve_forever()`` and ``shutdown()`` as usual.

    Args:
        frames: what is shown.
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True
    # Otherwise a second viewer could take the port of a first one on some systems.
    allow_reuse_address = os.name == "posix"

    def __init__(self, frames: Frames, port: int = 0) -> None:
        self.frames = frames
        super().__init__(("127.0.0.1", port), _Handler)
        self.hosts = frozenset(f"{host}:{self.server_port}" for host in _HOSTS)

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that closes a tab drops its connections.
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: ViewerServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "sz-models", ""
    timeout = 30

    def do_GET(self) -> None:
        try:
            self._check()
            path, _, query = self.path.partition("?")
            if path not in _ROUTES:
                raise _Refusal(HTTPStatus.NOT_FOUND, "no such address")
            answer = _ROUTES[path](self.server.frames, query)
        except _Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
        except (FormatError, OSError) as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except ImportError as error:
            self._refuse(HTTPStatus.NOT_IMPLEMENTED, str(error))
        else:
            self._answer(HTTPStatus.OK, answer)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refusals of the base class, as JSON like ours."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status, message = HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered"
        self._refuse(status, message or status.phrase)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""

    def _check(self) -> None:
        """Refuse what does not come from our own page or the visitor's address bar."""
        if len(self.path) > _MOST_URL:
            raise _Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")
        if self.headers.get("Transfer-Encoding") or self.headers.get("Content-Length", "0") != "0":
            raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a request has no body here")
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise _Refusal(HTTPStatus.FORBIDDEN, "this host name is not answered")
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            raise _Refusal(HTTPStatus.FORBIDDEN, "pages of other sites are not answered")
        # Browsers send no Origin when a page of another site shows an image of ours.
        site = self.headers.get("Sec-Fetch-Site", "none")
        if site not in ("none", "same-origin") and self.path != "/":
            raise _Refusal(HTTPStatus.FORBIDDEN, "pages of other sites are not answered")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        # What may follow the refused request is not read.
        self.close_connection = True
        self._answer(status, _json({"error": " ".join(message.split())}))

    def _answer(self, status: HTTPStatus, answer: _Answer) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        if answer.file_name:
            self.send_header("Content-Disposition", f'attachment; filename="{answer.file_name}"')
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


def serve(
    spikes: Spikes | str | os.PathLike[str],
    height: int | None = None,
    width: int | None = None,
    port: int = 0,
    *,
    name: str | None = None,
    open_browser: bool = True,
    strict: bool = True,
    announce: Callable[[str], None] = lambda address: None,
) -> None:
    """Show a recording until Ctrl-C.

    Args:
        spikes: a stream ``[T, H, W]`` of 0 and 1, or the path of a ``.dat`` file.
        height: rows of a frame; needed for a file.
        width: columns of a frame; needed for a file.
        port: on 127.0.0.1; 0 takes a free one.
        name: what the page calls it, by default the name of the file.
        open_browser: open the page.
        strict: refuse a file with an incomplete last frame.
        announce: called with the page's address once it is served.

    Raises:
        FileNotFoundError: no such file.
        FormatError: empty or truncated file.
        ValueError: wrong frame size or port, or values other than 0 and 1.
        OSError: the port is taken.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be between 0 and 65535, got {port}")
    stream = open_stream(spikes, height, width, strict=strict)
    if name is None:
        name = Path(spikes).name if isinstance(spikes, (str, os.PathLike)) else "spikes"
    if not isinstance(stream, SpikeStream):
        stream = SpikeStream.from_array(np.asarray(stream))
    frames = Frames(stream, name)
    try:
        server = ViewerServer(frames, port)
    except OSError as error:
        raise OSError(f"port {port} of 127.0.0.1 cannot be used: {error.strerror}") from error
    with server, suppress(KeyboardInterrupt):
        announce(server.address)
        if open_browser:
            webbrowser.open(server.address)
        server.serve_forever()

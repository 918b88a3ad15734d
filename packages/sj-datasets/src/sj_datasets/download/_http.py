"""Fetching one address into a partial file, going on where an earlier attempt stopped.

``<name>.part`` holds what has arrived and ``<name>.part.json`` which address and version of the
file it came from.  A part is continued (RFC 9110, section 14) only if both are still the same.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..atomic import atomic_path
from ..errors import DownloadError
from .progress import progress_bar

if TYPE_CHECKING:
    import requests

__all__ = ["Attempts", "DiskFullError", "copy_file", "download_url", "remove_part"]

_CHUNK = 1 << 15  # what a broken connection loses at most
_USER_AGENT = "Mozilla/5.0 (compatible; sj-datasets)"  # some hosts answer 403 to others
_MAY_PASS = {403, 408, 425, 429, 500, 502, 503, 504}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


@dataclass(frozen=True)
class Attempts:
    """How patient a download is.

    Args:
        count: attempts in a row that bring nothing new, per address.
        wait: seconds before the second attempt; doubled each time.
        longest_wait: no wait is longer; a server that asks for more is given up.
        connect_timeout: seconds until a connection stands.
        read_timeout: seconds in which at least something must arrive.
        sleep: how to wait.
    """

    count: int = 5
    wait: float = 1.0
    longest_wait: float = 60.0
    connect_timeout: float = 15.0
    read_timeout: float = 60.0
    sleep: Callable[[float], None] = time.sleep


class DiskFullError(DownloadError):
    """There is no room for the file; other addresses would not help."""


class _PassingError(DownloadError):
    """Another attempt may succeed."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True)
class _Origin:
    """Address and version of a file, as far as the server told."""

    url: str
    etag: str | None = None
    date: str | None = None
    total: int | None = None

    def same_version(self, other: _Origin) -> bool:
        pairs = ((self.etag, other.etag), (self.date, other.date), (self.total, other.total))
        return all(mine == theirs for mine, theirs in pairs if None not in (mine, theirs))


def download_url(url: str, part: Path, attempts: Attempts, *, progress: bool) -> bool:
    """Fetch ``url`` into the file ``part``.

    Returns:
        Whether a part of an earlier answer was continued; if the checksum is wrong then, starting
        over may help.

    Raises:
        DownloadError: it could not be fetched; what has arrived stays.
        DiskFullError: there is no room.
    """
    import requests

    failures, most = 0, _size(part)
    with requests.Session() as session:
        session.headers.update({"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"})
        while True:
            try:
                return _attempt(session, url, part, attempts, progress=progress)
            except _PassingError as error:
                if _size(part) > most:  # it moves on, so patience starts anew
                    most, failures = _size(part), 0
                failures += 1
                pause = max(error.wait, attempts.wait * 2 ** (failures - 1))
                if failures >= attempts.count or error.wait > attempts.longest_wait:
                    raise DownloadError(str(error)) from error
                attempts.sleep(min(pause, attempts.longest_wait))


def copy_file(source: Path, part: Path) -> None:
    """Copy ``source``, a file in a mirror folder, to ``part``.

    Raises:
        DownloadError: it cannot be read.
        DiskFullError: there is no room.
    """
    remove_part(part)
    try:
        _check_room(part, 0, source.stat().st_size)
        shutil.copyfile(source, part)
    except DiskFullError:
        raise
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _disk_full(part, source.stat().st_size) from error
        raise DownloadError(error.strerror or str(error)) from error


def remove_part(part: Path) -> None:
    """Remove a partial file and its note."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _attempt(
    session: requests.Session, url: str, part: Path, attempts: Attempts, *, progress: bool
) -> bool:
    """One request, or two if the part turns out to be of no use; whether it continued a part."""
    import requests

    timeout = (attempts.connect_timeout, attempts.read_timeout)
    origin = _read_origin(part, url)
    start = _size(part) if origin is not None else 0
    headers = _range_headers(origin, start)
    try:
        with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
            found = _answer(response, url)
            whole = found.total or (origin.total if origin is not None else None)
            if start and response.status_code == 416 and whole == start:
                return True
            if start and not _continues(response, start, origin, found):
                start = 0
            if start == 0:
                remove_part(part)
            if response.status_code == 416 or (response.status_code == 206 and start == 0):
                raise _PassingError("the file has changed on the server; starting over")
            _save(response, part, start, found, progress=progress)
            return start > 0
    except requests.Timeout as error:
        raise _PassingError(f"nothing arrived for {attempts.read_timeout:g} s") from error
    except requests.exceptions.InvalidURL as error:
        raise DownloadError(f"not an address: {error}") from error
    except requests.RequestException as error:
        raise _PassingError(f"the connection failed: {error}") from error


def _range_headers(origin: _Origin | None, start: int) -> dict[str, str]:
    if origin is None or not start:
        return {}
    headers = {"Range": f"bytes={start}-"}
    strong = origin.etag if origin.etag and not origin.etag.startswith("W/") else origin.date
    if strong:
        headers["If-Range"] = strong
    return headers


def _answer(response: requests.Response, url: str) -> _Origin:
    """What the answer is about, or an error if it is not the file."""
    status = response.status_code
    if status in _MAY_PASS:
        reason = f"the server answered {status} {response.reason}"
        raise _PassingError(reason, _retry_after(response.headers.get("Retry-After")))
    if status not in (200, 206, 416):
        raise DownloadError(f"the server answered {status} {response.reason}")
    kind = response.headers.get("Content-Type", "")
    if status != 416 and kind.split(";")[0].strip() in ("text/html", "application/xhtml+xml"):
        raise DownloadError(
            "the server sent a web page instead of the file: it has moved, or asks for a login"
        )
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    length = response.headers.get("Content-Length", "") if status != 416 else ""
    length = match[2] if match else length
    total = int(length) if length.isdigit() else None
    etag, date = response.headers.get("ETag"), response.headers.get("Last-Modified")
    return _Origin(url, etag, date, total)


def _retry_after(value: str | None) -> float:
    if value is None:
        return 0.0
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _continues(
    response: requests.Response, start: int, origin: _Origin | None, found: _Origin
) -> bool:
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    return (
        response.status_code == 206
        and match is not None
        and match[1] == str(start)
        and origin is not None
        and origin.same_version(found)
    )


def _save(
    response: requests.Response, part: Path, start: int, found: _Origin, *, progress: bool
) -> None:
    _check_room(part, start, found.total)
    if start == 0:
        _write_origin(part, found)
    # Servers mark .tar.gz as an encoding; the bytes are wanted as they are stored.
    response.raw.headers.pop("Content-Encoding", None)
    bar = progress_bar(
        found.total, part.name.removesuffix(".part"), enabled=progress, initial=start
    )
    size = start
    with bar as shown, open(part, "ab", buffering=0) as file:
        for chunk in response.iter_content(_CHUNK):
            _write(file.write, chunk, part, found.total)
            size += len(chunk)
            shown.update(len(chunk))
    if found.total is not None and size != found.total:
        raise _PassingError(f"{size} of {found.total} bytes arrived")


def _write(
    write: Callable[[bytes], int | None], chunk: bytes, part: Path, total: int | None
) -> None:
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[write(rest) or 0 :]  # type: ignore[arg-type]
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise _disk_full(part, total) from error


def _check_room(part: Path, start: int, total: int | None) -> None:
    if total is not None and total - start > shutil.disk_usage(part.parent).free:
        raise _disk_full(part, total)


def _disk_full(part: Path, total: int | None) -> DiskFullError:
    has = _size(part)
    needs = "more room" if total is None else f"{total - has} bytes more"
    return DiskFullError(
        f"{part.parent}: no room for {part.name.removesuffix('.part')}: it needs {needs}, "
        f"{shutil.disk_usage(part.parent).free} bytes are free; the {has} bytes that have "
        "arrived are kept"
    )


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _write_origin(part: Path, origin: _Origin) -> None:
    with atomic_path(_note(part)) as temporary:
        temporary.write_text(json.dumps(vars(origin)), encoding="utf-8")


def _read_origin(part: Path, url: str) -> _Origin | None:
    """Origin of the part, or ``None`` if there is none, or it came from elsewhere."""
    try:
        origin = _Origin(**json.loads(_note(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return origin if origin.url == url else None

"""AEDAT 4 recordings of DV, `.aedat4`.

    #!AER-DAT4.0 CR LF
    header    uint32 size, FlatBuffer "IOHE": compression, position of the data table (or -1),
              an XML text that describes the streams
    packets   int32 stream, int32 size, then `size` bytes, compressed as the header says
    table     where each packet lies; reading from start to end does not need it

An event packet is a size-prefixed FlatBuffer "EVTS" with a vector of 16-byte events: int64 time in
microseconds, int16 x, int16 y, uint8 polarity, 3 bytes of padding.

The libraries that read this format end the process on some damaged files, so it is decoded here;
LZ4 and Zstandard come from their own packages (extra `decoders`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..events import EVENT_DTYPE, EventColumns, Events
from ._binary import as_events, check_field, decoded_events, read_file, write_file
from ._compression import MalformedFrame, compress, decompress
from ._flatbuffer import MalformedBuffer, Table, root_table

__all__ = ["read_aedat4", "write_aedat4"]

_VERSION = b"#!AER-DAT4.0\r\n"
_METHODS = {0: "none", 1: "lz4", 2: "lz4", 3: "zstd", 4: "zstd"}
_CODES = {"none": 0, "lz4": 1, "zstd": 3}
_EVENT = np.dtype(
    {
        "names": ["t", "x", "y", "p"],
        "formats": ["<i8", "<i2", "<i2", "u1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
_LARGEST_XY = (1 << 15) - 1
_PACKET_EVENTS = 8192
_GROWTH = 256
_HEADER_LAYOUT = struct.Struct("<I4s6xHHHHHiiIq4xI")
_PACKET_LAYOUT = struct.Struct("<I4s2xHHHiII")
_INFO = """<dv version="2.0">
    <node name="outInfo" path="/outInfo/">
        <node name="0" path="/outInfo/0/">
            <attr key="compression" type="string">{compression}</attr>
            <attr key="originalModuleName" type="string">sj-datasets</attr>
            <attr key="originalOutputName" type="string">events</attr>
            <attr key="typeDescription" type="string">Array of events (polarity ON/OFF).</attr>
            <attr key="typeIdentifier" type="string">EVTS</attr>
            <node name="info" path="/outInfo/0/info/">
                <attr key="sizeX" type="int">{width}</attr>
                <attr key="sizeY" type="int">{height}</attr>
                <attr key="source" type="string">unknown</attr>
            </node>
        </node>
    </node>
</dv>
"""


class _Stream(NamedTuple):
    """What a stream holds, and the rows and columns of its sensor."""

    kind: str
    size: tuple[int, int] | None


class _Header(NamedTuple):
    method: str
    streams: dict[int, _Stream]
    start: int
    end: int


def read_aedat4(
    path: str | os.PathLike[str], *, stream: int | None = None, strict: bool = True
) -> Events:
    """Polarity events of one stream of an AEDAT 4 recording; times as stored, often since 1970.

    Args:
        path: the file.
        stream: number of the event stream; needed only where there are several.
        strict: refuse a file that ends early; ``False`` keeps its whole packets.

    Raises:
        FileNotFoundError: no such file.
        FormatError: another version, a damaged or truncated file, or an event outside the sensor.
        ValueError: no event stream of that number, or several and none chosen.
        ImportError: the file is compressed and the extra `decoders` is not installed.
    """
    data = read_file(path)
    header = _read_header(path, data, strict)
    stream = _chosen_stream(path, header.streams, stream)
    most = (1 << 20) + _GROWTH * len(data)
    parts: list[NDArray[np.void]] = []
    for offset, number, body in _packets(path, data, header, strict):
        if number not in header.streams:
            raise FormatError(path, f"the header describes no stream {number}", offset)
        if number != stream:
            continue
        try:
            content = decompress(body, header.method, most)
            found = _packet_events(content)
        except (MalformedFrame, MalformedBuffer) as error:
            raise FormatError(path, f"damaged event packet: {error}", offset) from None
        most -= len(content)
        _check_inside(path, found, header.streams[stream].size, offset)
        # now, not at the end: what is kept is smaller, and the packet's bytes can go
        parts.append(decoded_events(found["t"], found["x"], found["y"], found["p"] != 0).array)
    array = np.concatenate(parts) if parts else np.empty(0, EVENT_DTYPE)
    return Events(array, header.streams[stream].size)


def write_aedat4(
    path: str | os.PathLike[str], events: EventColumns, *, compression: str = "none"
) -> None:
    """Write an AEDAT 4 recording with one event stream.

    Events without ``sensor_size`` get the smallest one that holds them: the format needs it.

    Args:
        path: the file.
        events: the events.
        compression: ``"none"``, ``"lz4"`` or ``"zstd"``; the last two need the extra `decoders`.

    Raises:
        ValueError: x or y above 32767, or an unknown compression.
        ImportError: the extra `decoders` is not installed.
    """
    if compression not in _CODES:
        raise ValueError(f"compression must be 'none', 'lz4' or 'zstd', got {compression!r}")
    events = as_events(events)
    check_field("x", events["x"], 0, _LARGEST_XY, "AEDAT 4")
    check_field("y", events["y"], 0, _LARGEST_XY, "AEDAT 4")
    height, width = events.sensor_size or (
        int(events["y"].max(initial=0)) + 1,
        int(events["x"].max(initial=0)) + 1,
    )
    info = _INFO.format(compression=compression.upper(), height=height, width=width).encode()
    parts = [_VERSION, _prefixed(_header_buffer(_CODES[compression], info))]
    array = np.zeros(events.count, _EVENT)
    for field in "txyp":
        array[field] = events[field]
    for start in range(0, events.count, _PACKET_EVENTS):
        chunk = array[start : start + _PACKET_EVENTS]
        counts = _PACKET_LAYOUT.pack(16, b"EVTS", 6, 8, 4, 6, 4, len(chunk))
        body = compress(_prefixed(counts + chunk.tobytes()), compression)
        parts += [struct.pack("<ii", 0, len(body)), body]
    write_file(path, parts)


def _header_buffer(code: int, info: bytes) -> bytes:
    # root, identifier, vtable (size, table size, three fields), table, length of the text
    layout = _HEADER_LAYOUT.pack(24, b"IOHE", 10, 24, 4, 12, 8, 10, code, 16, -1, len(info))
    return layout + info + bytes(4 - len(info) % 4)


def _prefixed(buffer: bytes) -> bytes:
    return struct.pack("<I", len(buffer)) + buffer


def _read_header(path: str | os.PathLike[str], data: bytes, strict: bool) -> _Header:
    if not data.startswith(_VERSION):
        raise FormatError(path, f"expected {_VERSION.decode().strip()!r} in the first line", 0)
    offset = len(_VERSION)
    size = int.from_bytes(data[offset : offset + 4], "little")
    start = offset + 4 + size
    if len(data) < offset + 4 or start > len(data):
        raise FormatError(path, f"expected a header of {size} bytes; the file ends early", offset)
    try:
        table = root_table(data[offset + 4 : start], b"IOHE")
        method = _METHODS.get(table.scalar(0, "<i", 0))
        end = table.scalar(1, "<q", -1)
        streams = _described_streams(table)
    except (MalformedBuffer, ElementTree.ParseError, ValueError) as error:
        raise FormatError(path, f"damaged header: {error}", offset) from None
    if method is None:
        raise FormatError(path, "the header names an unknown compression", offset)
    if end == -1 or (end > len(data) and not strict):
        end = len(data)
    if not start <= end <= len(data):
        raise FormatError(
            path, f"expected the table of packets at byte {end}, but the file ends early", len(data)
        )
    return _Header(method, streams, start, end)


def _described_streams(table: Table) -> dict[int, _Stream]:
    text = table.text(2)
    if "<!" in text:
        raise MalformedBuffer("its XML declares entities, which recordings do not")
    streams: dict[int, _Stream] = {}
    for out in ElementTree.fromstring(text).iter("node"):
        if out.get("name") != "outInfo":
            continue
        for node in out.findall("node"):
            number = node.get("name", "")
            if number.isdecimal():
                info = node.find("node[@name='info']")
                sizes = [_attribute(info, key) for key in ("sizeY", "sizeX")]
                known = all(size.isdecimal() and int(size) > 0 for size in sizes)
                streams[int(number)] = _Stream(
                    _attribute(node, "typeIdentifier"),
                    (int(sizes[0]), int(sizes[1])) if known else None,
                )
    return streams


def _attribute(node: ElementTree.Element | None, key: str) -> str:
    found = None if node is None else node.find(f"attr[@key='{key}']")
    return "" if found is None else (found.text or "").strip()


def _chosen_stream(
    path: str | os.PathLike[str], streams: dict[int, _Stream], wanted: int | None
) -> int:
    numbers = sorted(number for number, stream in streams.items() if stream.kind == "EVTS")
    if not numbers:
        raise FormatError(path, "the header describes no event stream")
    if wanted is None and len(numbers) == 1:
        return numbers[0]
    if wanted not in numbers:
        raise ValueError(f"{path} has the event streams {numbers}: choose one by stream=")
    return wanted


def _packets(
    path: str | os.PathLike[str], data: bytes, header: _Header, strict: bool
) -> Iterator[tuple[int, int, bytes]]:
    """Offset, stream and body of each packet."""
    offset = header.start
    while offset < header.end:
        body = offset + 8
        whole = body <= header.end
        number, size = struct.unpack_from("<ii", data, offset) if whole else (0, 0)
        if size < 0:
            raise FormatError(path, f"a packet cannot have {size} bytes", offset)
        if not whole or body + size > header.end:
            if strict:
                raise FormatError(
                    path, f"expected a whole packet of {size} bytes; the file ends early", offset
                )
            return
        yield offset, number, data[body : body + size]
        offset = body + size


def _packet_events(content: bytes) -> NDArray[np.void]:
    size = int.from_bytes(content[:4], "little")
    if len(content) < 4 + size:
        raise MalformedBuffer(f"it says {size} bytes and has {len(content) - 4}")
    return root_table(content[4 : 4 + size], b"EVTS").structs(0, _EVENT)


def _check_inside(
    path: str | os.PathLike[str],
    events: NDArray[np.void],
    size: tuple[int, int] | None,
    offset: int,
) -> None:
    height, width = size or (_LARGEST_XY + 1, _LARGEST_XY + 1)
    x, y = events["x"], events["y"]
    if np.any((x < 0) | (x >= width) | (y < 0) | (y >= height)):
        raise FormatError(
            path, f"an event lies outside the {height} rows and {width} columns", offset
        )

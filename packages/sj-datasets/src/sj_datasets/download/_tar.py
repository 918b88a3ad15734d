"""Tar archives, plain or compressed."""

from __future__ import annotations

import posixpath
import tarfile

from ..errors import FormatError
from ._unpacking import DAMAGED, Unpacking

__all__ = ["unpack"]


class _Member(tarfile.TarInfo):
    """A header whose sizes cannot send the reader backwards, which never ends."""

    def _block(self, count: int) -> int:
        if count < 0:
            raise tarfile.ReadError("a negative size")
        return super()._block(count)  # type: ignore[misc]


def unpack(job: Unpacking) -> None:
    """Unpack a tar archive in one pass; owners, times and permissions are not restored."""
    with open(job.source, "rb") as raw:
        try:
            archive = tarfile.open(fileobj=raw, mode="r:*", tarinfo=_Member)  # noqa: SIM115
        except DAMAGED as error:
            raise job.damaged("the tar archive", error) from error
        with archive:
            while (member := _next(job, archive)) is not None:
                _unpack_member(job, archive, member)
                archive.members = []  # type: ignore[attr-defined]  # millions would fill memory
                job.reached(raw.tell())
            _check_end(job, archive)


def _next(job: Unpacking, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return archive.next()
    except DAMAGED as error:
        raise job.damaged("the tar archive", error) from error


def _check_end(job: Unpacking, archive: tarfile.TarFile) -> None:
    """A whole archive ends with a block of zeros; tarfile takes any end for it."""
    stream = archive.fileobj
    assert stream is not None
    try:
        stream.seek(archive.offset)
        block = stream.read(tarfile.BLOCKSIZE)
    except DAMAGED as error:
        raise job.damaged("the tar archive", error) from error
    if len(block) < tarfile.BLOCKSIZE or block.strip(b"\0"):
        raise FormatError(job.source, "the tar archive is damaged or cut off", archive.offset)
    job.skip(stream)  # type: ignore[arg-type]


def _unpack_member(job: Unpacking, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    name = member.name
    if member.isdir():
        job.make_folder(name)
    elif member.issym():
        folder = posixpath.dirname(name)
        job.link(name, posixpath.normpath(posixpath.join(folder, member.linkname)))
    elif member.islnk():
        job.link(name, posixpath.normpath(member.linkname))
    elif member.isfile():
        job.check_total(member.size)
        stream = archive.extractfile(member)
        assert stream is not None
        job.write(name, stream)
    else:
        raise FormatError(job.source, f"the member {name!r} is a device or a pipe; refused")

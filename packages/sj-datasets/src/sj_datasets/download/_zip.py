"""Zip archives."""

from __future__ import annotations

import posixpath
import stat
import zipfile

from ..errors import FormatError
from . import _external
from ._unpacking import DAMAGED, LONGEST_LINK, Unpacking

__all__ = ["unpack"]

_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}


def unpack(job: Unpacking) -> None:
    """Unpack a zip archive; compression methods Python lacks are left to an external tool."""
    try:
        archive = zipfile.ZipFile(job.source)
    except DAMAGED as error:
        raise job.damaged("the directory of the zip archive", error) from error
    with archive:
        members = archive.infolist()
        if any(member.flag_bits & 1 for member in members):
            raise FormatError(job.source, "is encrypted; unpack it by hand with its password")
        job.check_total(sum(member.file_size for member in members))
        if all(member.compress_type in _METHODS for member in members):
            done = 0
            for member in members:
                _unpack_member(job, archive, member)
                done += member.compress_size
                job.reached(min(done, job.size))
            return
    _external.unpack(job)


def _unpack_member(job: Unpacking, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    name = member.filename
    if name.endswith(("/", "\\")):
        job.make_folder(name)
        return
    try:
        stream = archive.open(member)
    except DAMAGED as error:
        raise job.damaged(name, error) from error
    with stream:
        if stat.S_ISLNK(member.external_attr >> 16):
            try:
                to = stream.read(LONGEST_LINK + 1).decode()
            except DAMAGED as error:
                raise job.damaged(name, error) from error
            job.link(name, posixpath.normpath(posixpath.join(posixpath.dirname(name), to)))
        else:
            job.write(name, stream)

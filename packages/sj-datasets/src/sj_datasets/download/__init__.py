"""Getting the published files of a dataset: where they are, fetching, checking, unpacking."""

from ._http import Attempts
from .archives import extract, extract_all, is_archive
from .checksum import file_md5
from .fetch import fetch, fetch_all, verify
from .manual import adopt, instructions
from .progress import progress_bar
from .resources import Resource, ResourceSet, dataset_names, resources

__all__ = [
    "Attempts",
    "Resource",
    "ResourceSet",
    "adopt",
    "dataset_names",
    "extract",
    "extract_all",
    "fetch",
    "fetch_all",
    "file_md5",
    "instructions",
    "is_archive",
    "progress_bar",
    "resources",
    "verify",
]

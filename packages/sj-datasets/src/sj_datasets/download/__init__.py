"""Getting the published files of a dataset: where they are, fetching, checking, unpacking."""

from .checksum import file_md5
from .progress import progress_bar
from .resources import Resource, ResourceSet, dataset_names, resources

__all__ = [
    "Resource",
    "ResourceSet",
    "dataset_names",
    "file_md5",
    "progress_bar",
    "resources",
]

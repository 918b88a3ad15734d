"""Event recordings of every kind, read into :class:`sj_datasets.Events` and written from it.

One module per format, with `read_<format>(path) -> Events` and, where the format can be written
without loss, `write_<format>(path, events)`.  :mod:`.table` finds the format of a file.
"""

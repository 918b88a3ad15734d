"""The import root that `replay.py` expects, made of this project's names; never shipped."""

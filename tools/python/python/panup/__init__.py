"""Uploads files and bytes to the 123pan open platform, fast and resumable."""

from ._panup import Error, Outcome, Progress, hash, upload

__all__ = ["Error", "Outcome", "Progress", "hash", "upload"]

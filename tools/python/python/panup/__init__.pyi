from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, Optional, Union

_Path = Union[str, PathLike[str]]
_Source = Union[_Path, tuple[str, _Path], tuple[str, bytes]]

class Error(Exception):
    """Why something was not done. `upload` raises the first one, with the `outcomes` of all files."""

    kind: str  # source, invalid, auth, rejected, throttled, transport, … as `panup --json` spells them
    final: bool  # repeating helps nothing
    code: Optional[int]
    http_status: Optional[int]
    trace_id: Optional[str]
    path: Optional[Path]
    outcomes: list[Outcome]

class Outcome:
    """How one file ended. `error` is None where it is there."""

    path: Path
    remote: str
    status: Literal["uploaded", "reused", "skipped", "failed", "interrupted"]
    file_id: Optional[int]
    md5: Optional[str]
    size: int
    sent: int
    error: Optional[Error]

class Progress:
    """How far a run is: files, and bytes of their sizes, hashed, acknowledged, and sent (resends included)."""

    files: int
    files_done: int
    bytes: int
    hashed: int
    acked: int
    sent: int

def upload(
    sources: Union[_Source, Sequence[_Source]],
    *,
    dest: str = "",
    token: Union[str, Callable[[bool], str], None] = None,
    client: Optional[tuple[str, str]] = None,
    api: Optional[str] = None,
    parent_id: int = 0,
    on_conflict: Literal["fail", "skip", "keep-both", "overwrite"] = "fail",
    concurrency: Optional[int] = None,
    limit_rate: Optional[int] = None,
    state_dir: Optional[_Path] = None,
    progress: Optional[Callable[[Progress], object]] = None,
    interval: float = 0.25,
    raise_errors: bool = True,
) -> list[Outcome]:
    """Uploads files, or bytes under a name, to the remote folder `dest`.

    `token` is a text, or a function that gives one and is told whether the last was refused. `progress` is
    called on this thread every `interval` seconds and at the end. The README has an example.
    """

def hash(paths: Sequence[_Path], *, threads: Optional[int] = None) -> dict[Path, str]:
    """The MD5 of each file, many at a time."""

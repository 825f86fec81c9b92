"""Whether one path lies in another, judged by their text alone.

On a pure floor, because what settings allow is judged before any file is looked at; whoever opens
the file resolves its links first, or refuses them (`beneath`).
"""

from __future__ import annotations

from posixpath import normpath


def is_beneath(path: str, folder: str) -> bool:
    """Whether the absolute `path` is `folder` or lies in it; neither may hold links or `..`."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def inside(path: str, folder: str) -> str:
    """Returns the part of `path` below `folder`, without a slash in front; `""` for itself."""
    return path[len(folder.rstrip("/")) :].lstrip("/")


def folded(path: str, root: str) -> str:
    """Returns `path`, which is relative to `root` or absolute, as absolute, `.` and `..` folded."""
    return normpath(path if path.startswith("/") else f"{root}/{path}")

from __future__ import annotations

import pytest

from reconciler import paths


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("/", "/a", False),
        ("/a/b", "/", True),
        ("/a/b", "/a/", True),
    ],
)
def test_path_lies_beneath_a_folder(path: str, folder: str, expected: bool) -> None:
    assert paths.is_beneath(path, folder) is expected


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [("/a/b/c", "/a", "b/c"), ("/a", "/a", ""), ("/a/b", "/", "a/b")],
)
def test_what_lies_inside_is_told_without_the_folder(path: str, folder: str, expected: str) -> None:
    assert paths.inside(path, folder) == expected

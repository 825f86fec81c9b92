"""Peers that pip can install, in an environment of their own that is thrown away.

check-jsonschema validates the same files against a draft-07 twin of the same schema. It has one
schema for all files, so it gets the APIs alone, and so do we.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import manifests
from benchmarks.measuring import Goal, Line, compare, program, run
from reconciler import kinds, schema

_PACKAGE = "check-jsonschema==0.39.0"


def validators(scratch: Path, size: int) -> Iterator[Line]:
    """Measures how many times faster we validate `size` files; needs a package index."""
    environment = scratch / "peer"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", _PACKAGE]
    subprocess.run(pip, check=True)
    folder = scratch / "peers"
    (folder / "manifests").mkdir(parents=True)
    (folder / "reconciler.toml").touch()
    twin = folder / "schema.json"
    twin.write_text(json.dumps(schema.draft7(kinds.schema("ApiConnection"))))
    texts = [text for n in range(2 * size) if "kind: Api" in (text := manifests.manifest(n))]
    files = [f"manifests/m{number:06d}.yaml" for number in range(size)]
    for file, text in zip(files, texts, strict=False):
        (folder / file).write_text(text)
    checker = str(environment / "bin" / "check-jsonschema")
    theirs = [checker, "--regex-variant", "python", "--schemafile", str(twin)]
    yield compare(
        f"validate of {size:,}: check-jsonschema's time against ours",
        lambda: run([*theirs, *files], folder).wall_s,
        lambda: run(program("validate"), folder).wall_s,
        rounds=1,
        goal=Goal(at_least=10, aim=15, is_floor=True),
    )

"""Writes `schemas/v1/` anew from the specs.

`make schemas` runs it; a test notices when it was not.
"""

from __future__ import annotations

import json
from pathlib import Path

from reconciler import kinds, schema
from reconciler.model import JsonObject

FOLDER = Path(__file__).parent / "v1"


def texts() -> dict[Path, str]:
    """Returns every file of `schemas/v1/` with what it has to hold."""
    files: dict[Path, str] = {}
    for name in kinds.KINDS:
        generated = schema.generate(name)
        files[FOLDER / f"{name}.json"] = _text(generated)
        files[FOLDER / "draft-07" / f"{name}.json"] = _text(schema.draft7(generated))
    return files


def _text(data: JsonObject) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes the files that differ."""
    for path, text in texts().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Makes realistic manifests: 70 % APIs in four forms of authentication, 30 % databases.

Deterministic: the same number always gives the same bytes, so two runs compare like with like. A
manifest has 22 to 30 lines and about 610 bytes, as the ones do that were collected for the goals.
"""

from __future__ import annotations

from pathlib import Path

#: Of ten manifests, this many are APIs.
_APIS_OF_TEN = 7
#: Files in one folder; more in one makes listing it the thing that is measured.
_PER_FOLDER = 500
_TEAMS = ("sales", "hr", "finance", "logistics", "platform", "support")
_ENGINES = ("postgresql", "mysql", "mariadb")

_HEAD = """\
apiVersion: reconciler/v1
kind: {kind}
metadata:
  name: {name}
  namespace: {team}
  displayName: {title} number {number}
  description: >-
    Used by the nightly jobs of {team};
    ask before changing the credential
  version: 1.{minor}.0
  labels: {{team: {team}, tier: "{tier}", region: eu-{region}}}
  tags: [prod, batch]
"""
_API = """\
spec:
  baseUrl: https://{name}.{team}.example.com/v2
  auth:
{auth}\
  headers:
    Accept: application/json
  timeout: {{connect: 5s, total: 30s}}
  tls: {{verify: true}}
  health:
    method: GET
    path: /ping
    interval: 5m
    expect: {{status: ["200-299"]}}
"""
_SQL = """\
spec:
  engine: {engine}
  host: db-{region}.{team}.internal
  database: orders_{number}
  auth:
    method: password
    username: report_{minor}
    password: {{env: SECRET_{secret}}}
  timeout: {{connect: 5s, query: 30s}}
  pool: {{size: 5, maxOverflow: {minor}}}
  health:
    interval: 5m
    timeout: 10s
    query: "select 1"
"""
_AUTHS = (
    "    method: bearer\n    token: {{env: SECRET_{secret}}}\n",
    "    method: basic\n    username: robot-{minor}\n    password: {{env: SECRET_{secret}}}\n",
    "    method: apiKey\n    in: header\n    name: X-Key\n    value: {{env: SECRET_{secret}}}\n",
    "    method: none\n",
)


def manifest(number: int, revision: int = 0) -> str:
    """Returns the manifest with this number; another `revision` changes one field of its spec."""
    is_api = number % 10 < _APIS_OF_TEN
    facts = {
        "kind": "ApiConnection" if is_api else "SqlConnection",
        "name": f"{'api' if is_api else 'db'}-{number:06d}",
        "title": "Orders service" if is_api else "Orders database",
        "team": _TEAMS[number % len(_TEAMS)],
        "number": number,
        "minor": number % 9,
        "tier": number % 3,
        "region": number % 4,
        "secret": number % 50,
        "engine": _ENGINES[number % len(_ENGINES)],
    }
    facts["auth"] = _AUTHS[number % len(_AUTHS)].format(**facts)
    text = (_HEAD + (_API if is_api else _SQL)).format(**facts)
    return text if revision == 0 else text.replace("interval: 5m", f"interval: {5 + revision}m")


def write(folder: Path, count: int, *, per_file: int = 1, revision: int = 0) -> tuple[Path, ...]:
    """Writes `count` manifests under `folder`, `per_file` to a file; returns the files."""
    files: list[Path] = []
    for first in range(0, count, per_file):
        numbers = range(first, min(first + per_file, count))
        parent = folder / f"{len(files) // _PER_FOLDER:03d}"
        parent.mkdir(parents=True, exist_ok=True)
        file = parent / f"m{first:06d}.yaml"
        file.write_text("---\n".join(manifest(number, revision) for number in numbers))
        files.append(file)
    return tuple(files)

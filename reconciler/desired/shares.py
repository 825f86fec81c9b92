"""Files checked by several processes: each takes a share, and hands back what it found no fault in.

Reading is nine tenths of a run over thousands of files and keeps one processor busy, so the other
processors get a share each. A process answers for a file only if there is nothing to say about it;
every other file is read again by the caller, who alone reports. So diagnostics come from one place
and are the same whatever the number of processors.

Plain `fork` and a pipe, not a pool: the share is inherited, an answer goes back once, and a process
whose caller was killed dies at its next write. A process that fails has answered for no file.
"""

from __future__ import annotations

import hashlib
import marshal
import os
from collections.abc import Sequence
from typing import TypeAlias

from reconciler import beneath, validate
from reconciler.manifests import loader, read
from reconciler.manifests.find import File
from reconciler.model import Accepted, Json, Location, ReadFile, Ref, Resource
from reconciler.settings import SecretPolicy
from reconciler.values import dataclass

#: With fewer files a second process costs more than it brings.
FEWEST_FILES = 1000
#: More than this and the caller, who puts the answers together, is what the rest waits for.
_MOST_PROCESSES = 8

#: An `Accepted` without its path, of types that `marshal` knows: half the cost of pickling it.
_Packed: TypeAlias = tuple[Json, ...]
#: The digest of a file, and what it holds.
_Answer: TypeAlias = tuple[str, list[_Packed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Files that another process is checking."""

    files: Sequence[File]
    process: int
    #: descriptor of the pipe that the answer comes through; `collect` closes it
    answer: int

    def collect(self) -> dict[str, ReadFile]:
        """Waits for the process; returns by path the files that it answers for."""
        with open(self.answer, "rb") as pipe:
            data = pipe.read()
        _, status = os.waitpid(self.process, 0)
        if status != 0:
            return {}
        answers: list[_Answer | None] = marshal.loads(data)  # noqa: S302 - our own child's
        return {
            file.path: _unpack(answer, file.path)
            for file, answer in zip(self.files, answers, strict=True)
            if answer is not None
        }


def check(file: File, folders: beneath.Folders, policy: SecretPolicy) -> ReadFile | None:
    """Returns what a file holds, or None where there is anything to say about it."""
    content = read.content(file, folders)
    if content is None:
        return None
    accepted = validate.accept(loader.load(content, file.path), policy)
    if accepted is None:
        return None
    digest = hashlib.sha256(content).hexdigest()
    return ReadFile(path=file.path, digest=digest, accepted=tuple(accepted))


def hand_out(files: Sequence[File], policy: SecretPolicy) -> list[Share]:
    """Starts a process for every share but the first, which is the caller's own to read.

    Shares are neighbouring files in order; without another processor, or with few files, none.
    """
    processes = min(_processors(), _MOST_PROCESSES, max(1, 2 * len(files) // FEWEST_FILES))
    size = -(-len(files) // processes) if files else 1
    starts = range(size, len(files), size)
    return [_start(files[start : start + size], policy) for start in starts]


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start(files: Sequence[File], policy: SecretPolicy) -> Share:
    read_end, write_end = os.pipe()
    process = os.fork()
    if process:
        os.close(write_end)
        return Share(files=files, process=process, answer=read_end)
    status = 1
    try:
        os.close(read_end)
        answers = _check(files, policy)
        with open(write_end, "wb") as pipe:
            pipe.write(marshal.dumps(answers))
        status = 0
    finally:
        # Whatever happened, nothing of the caller's is finished, flushed or printed twice.
        os._exit(status)


def _check(files: Sequence[File], policy: SecretPolicy) -> list[_Answer | None]:
    with beneath.open_folders() as folders:
        checked = (check(file, folders, policy) for file in files)
        return [
            None if file is None else (file.digest, [_pack(each) for each in file.accepted])
            for file in checked
        ]


def _pack(accepted: Accepted) -> _Packed:
    resource, name_at = accepted.resource, accepted.name_at
    ref, location = resource.ref, resource.location
    return (
        *(ref.kind, ref.namespace, ref.name),
        *(resource.manifest, resource.text, resource.digest, resource.access_digest),
        *(location.line, location.column, name_at.line, name_at.column),
    )


def _unpack(answer: _Answer, path: str) -> ReadFile:
    digest, packed = answer
    accepted = tuple(_unpack_one(each, path) for each in packed)
    return ReadFile(path=path, digest=digest, accepted=accepted)


def _unpack_one(packed: _Packed, path: str) -> Accepted:
    kind, namespace, name, manifest, text, digest, access_digest, *places = packed
    line, column, name_line, name_column = places
    resource = Resource(
        ref=Ref(kind=kind, namespace=namespace, name=name),
        manifest=manifest,
        text=text,
        digest=digest,
        access_digest=access_digest,
        location=Location(path=path, line=line, column=column),
    )
    name_at = Location(path=path, line=name_line, column=name_column)
    return Accepted(resource=resource, name_at=name_at)

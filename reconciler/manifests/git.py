"""The commit that manifests were read at, for revisions, runs and `status`.

Asks the git command line and nothing else does. A repository is somebody else's: no shell, no hook
and no file monitor of it is run, nothing is fetched or locked, and an author's name is escaped
like every foreign text. The environment is passed in, because only `config` reads it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence

from reconciler.manifests import findings
from reconciler.model import GitFacts

_TIMEOUT_S = 20.0
#: What git may know of our environment: where its programs and its user's configuration are.
_PASSED_ON = ("PATH", "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
_FIXED = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LITERAL_PATHSPECS": "1",
}
#: The last: a repository inside the folder itself came with its files, settings and all, and git
#: would run the programs that those name (git-config, `safe.bareRepository`).
_CONFIGURATION = (
    *("core.fsmonitor=false", "core.hooksPath=/dev/null", "log.showSignature=false"),
    "safe.bareRepository=explicit",
)


def facts(root: str, paths: Sequence[str], environment: Mapping[str, str]) -> GitFacts | None:
    """Returns the commit checked out at the folder `root`, its author, and whether it is dirty.

    Dirty means that something under `paths`, which are relative to `root`, differs from the commit
    or is not in it; so does a path outside the repository. None where git ignores all that is
    there, and where there are no paths, no repository, no commit, no git, or no answer in time.
    Runs git, which reads the repository.
    """
    git = shutil.which("git", path=environment.get("PATH", ""))
    if git is None or not paths:
        return None
    passed_on = {name: environment[name] for name in _PASSED_ON if name in environment}
    run = _Git(git, root, passed_on | _FIXED)
    commit = run.output("log", "-1", "--no-color", "--format=%H%n%an <%ae>", "HEAD")
    if not commit:
        return None
    digest, _, author = commit.partition("\n")
    changes = run.output(
        "status", "--porcelain", "--untracked-files=all", "--ignore-submodules=all", "--", *paths
    )
    # What is ignored is no change to git, and yet in no commit.
    if changes == "" and not run.output("ls-files", "--", *paths):
        return None
    return GitFacts(commit=digest, author=findings.shown(author.strip()), dirty=changes != "")


class _Git:
    """Runs git in one folder."""

    def __init__(self, git: str, root: str, environment: Mapping[str, str]) -> None:
        settings = [part for setting in _CONFIGURATION for part in ("-c", setting)]
        self._command = [git, "--no-pager", *settings, "-C", root]
        self._environment = environment

    def output(self, *arguments: str) -> str | None:
        """Returns what git prints, None where it fails or takes too long."""
        try:
            done = subprocess.run(  # noqa: S603  # a list and no shell; paths follow `--`
                [*self._command, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=_TIMEOUT_S,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.decode(errors="replace")

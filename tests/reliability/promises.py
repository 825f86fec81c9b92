"""What is promised, and how the falsifiers of this folder try to break it: the rows of the table.

A promise's number is that of its test module, and what the fixture `figure` is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One row of the table in README, without its figures."""

    claim: str
    #: how it is tried to be broken
    fault: str


PROMISES: Mapping[str, Promise] = {
    "P1": Promise(
        claim="A change is stored whole or not at all",
        fault="kill -9 before and after each statement of a write transaction, each commit and each"
        " file operation, for every kind of change, on SQLite and PostgreSQL; every cut of a"
        " commit's log",
    ),
    "P2": Promise(
        claim="No acknowledged write is lost to concurrency",
        fault="8 processes apply, suspend, resume and record checks at once; their histories have"
        " to fit one order",
    ),
    "P3": Promise(
        claim="A lost answer to a commit is resolved",
        fault="the connection is cut after each piece of an apply's conversation with PostgreSQL",
    ),
    "P4": Promise(
        claim="A dead process leaves no lock",
        fault="kill -9 inside of a write transaction; then apply",
    ),
    "P5": Promise(
        claim="A stale, foreign or edited plan never writes",
        fault="every field of a saved plan is changed, and what it was made from",
    ),
    "P6": Promise(
        claim="Silence is not deletion",
        fault="empty, missing, unreadable and half-present folders, broken files, wrong folders",
    ),
    "P7": Promise(
        claim="Applying converges, whatever was before",
        fault="random histories of manifests, commands and checks, held against a model",
    ),
    "P8": Promise(
        claim="A check counts for the generation that it saw",
        fault="results that arrive after a change, an archive, a suspension or a resumption",
    ),
    "P10": Promise(
        claim="Of a wrong credential a server sees five logins, until an operator resumes it",
        fault="checks, applies, programs and commands at once, killed before they send, before and"
        " after they record and anywhere, against servers that count: each method of APIs, token"
        " servers, PostgreSQL, MariaDB, proxies, SSH; then whatever else happens to a connection",
    ),
    "P11": Promise(
        claim="Every check ends by its deadline, and leaves nothing behind",
        fault="endpoints that drip, stall, flood and never answer, all in one pass",
    ),
    "P13": Promise(
        claim="No secret leaves except to its destination",
        fault="secrets in every place that may hold one, against peers that give them away: every"
        " command in every format, what every driver raises, `repr`, `vars` and pickles of all"
        " that lives while a check runs, and random text with secrets in every encoding",
    ),
    "P14": Promise(
        claim="`validate` and `plan` on a pull request are inert",
        fault="bad inputs and fuzzed manifests under an audit hook: no socket, no name asked for,"
        " no process but git, no file outside of the project, no variable but its own",
    ),
    "P15": Promise(
        claim="Once there are grants, a credential reaches only what they list",
        fault="hosts, ports, schemes, spellings, proxies, tunnels, token servers, redirects, names"
        " that change their answer, other secrets and other connections, with the credential kept:"
        " in a plan, and in a state that has it already",
    ),
    "P16": Promise(
        claim="Denied addresses get no packet",
        fault="spellings of addresses, names with several of them and names that change their"
        " answer, for APIs, databases, proxies, SSH servers and sockets",
    ),
    "P17": Promise(
        claim="What is sealed opens where it was sealed, whole, with its key, or not at all",
        fault="each bit of each field flipped, texts cut, moved to other rows and put back; kill -9"
        " at each point of a rotation of the key, on SQLite and PostgreSQL",
    ),
    "P18": Promise(
        claim="Hostile text stays text",
        fault="control sequences, line breaks, bidirectional marks and bad UTF-8 from everywhere",
    ),
    "P19": Promise(
        claim="Any input ends in a documented way",
        fault="fuzzed manifests, plans, rows, references, addresses and settings",
    ),
    "P20": Promise(
        claim="Drivers get only options of a short list",
        fault="every connect option that a driver documents or declares, in five spellings, in"
        " manifests; servers that ask for files of this machine at each step",
    ),
    "P21": Promise(
        claim="A fault of the disk is said and harms nothing",
        fault="full disks, files that cannot be written, cut, zeroed and overwritten files, under"
        " every command that uses the state",
    ),
    "P22": Promise(
        claim="Upgrades keep what there is; older programs keep off",
        fault="stores of every released version; kill -9 at each statement of a migration",
    ),
    "P23": Promise(
        claim="A clock that steps changes only timestamps",
        fault="steps of an hour back and ten years ahead, between checks and within a pass",
    ),
    "P26": Promise(
        claim="A consent cannot be stolen, and a refresh token is not lost to concurrency",
        fault="replayed, forged and mixed-up answers of a consent; 104 workers in 8 processes"
        " refresh a rotating token at once; kill -9 between the answer of a server that allows a"
        " repeat and the state",
    ),
    "P27": Promise(
        claim="The events tell how every status came about",
        fault="all statuses are rebuilt from the events of the histories of P7",
    ),
}

"""Where the secrets of a connection are sent, and whether the operator's grants allow it.

Pure floor, above the kinds: asked before a secret is read, and by the plan. What proves who we are
goes to the server; what logs in at a hop, to that hop. Hops before it count as well: whoever can
put a proxy into a manifest can put the authority into it that the proxy's certificates are from. A
client secret goes to the token server, and what is got for it on to the server: it counts as sent
to both, and to where a person agrees: somebody else's page there would plant their account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reconciler import kinds, paths, redact
from reconciler.destinations import Destination
from reconciler.errors import DestinationDenied
from reconciler.grants import Grant, Grants
from reconciler.kinds import addresses, hops
from reconciler.model import JsonObject, Ref, canonical
from reconciler.values import dataclass

#: Where a browser comes back to; nothing is sent there.
_OURS = "redirectUrl"
#: Where a person agrees. It gets no credential of the manifest, but whoever names it names the
#: account that the person agrees with, and the client is then given a token of: it is granted like
#: the servers that secrets go to.
_FOR_PERSONS = "authorizationUrl"
_ASK = "or have whoever runs this machine add a `[[grant]]` for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One secret of a connection, and one place that it is sent to."""

    #: JSON pointer inside `spec`
    pointer: str
    reference: JsonObject
    destination: Destination
    #: whether it is a person who is sent there, to agree
    is_consent: bool = False


def sendings(kind: str, spec: JsonObject) -> Iterator[Sending]:
    """Yields where each secret of a normal `spec` is sent."""
    references = kinds.shape(kind).secrets(spec)
    if not any(pointer.startswith("/auth/") for pointer, _ in references):
        references = (*references, *_tokens(spec))
    for pointer, reference in references:
        for destination in _destinations(kind, spec, pointer):
            yield Sending(pointer=pointer, reference=reference, destination=destination)
        if pointer.startswith("/auth/"):
            for destination in _addresses(spec["auth"], is_consent=True):
                yield Sending(
                    pointer=pointer, reference=reference, destination=destination, is_consent=True
                )


def denied(
    grants: Grants, ref: Ref, spec: JsonObject, real: Callable[[str], str] | None = None
) -> tuple[Sending, ...]:
    """Returns what no grant allows of what a normal `spec` would send.

    `real` resolves the links of a path. With it, a link inside the project, which anybody who may
    change manifests can make, is judged by the file that it leads to as well.
    """
    if not grants:
        return ()
    return tuple(
        sending
        for sending in sendings(ref.kind, spec)
        if not all(
            grants.covering(reference, ref, sending.destination)
            for reference in _readings(grants, sending.reference, real)
        )
    )


def covering(grants: Grants, ref: Ref, spec: JsonObject) -> tuple[Grant, ...]:
    """Returns the grants that allow something of what a normal `spec` sends, in their order."""
    numbers = {
        grant.number: grant
        for sending in sendings(ref.kind, spec)
        for grant in grants.covering(sending.reference, ref, sending.destination)
    }
    return tuple(numbers[number] for number in sorted(numbers))


def require(
    grants: Grants, ref: Ref, spec: JsonObject, real: Callable[[str], str] | None = None
) -> None:
    """Checks that grants allow everything that a normal `spec` would send; `real` as in `denied`.

    Raises:
        DestinationDenied: they do not; nothing is to be read, then.
    """
    found = denied(grants, ref, spec, real)
    if found:
        raise DestinationDenied(message(found[0]), _hint(grants, ref, found[0], real))


def kept(grants: Grants, ref: Ref, before: JsonObject, after: JsonObject) -> str:
    """Returns which kept secret would go to a new destination without a grant, or `""`.

    Both are normal specs of one kind.
    """
    known: dict[str, list[Destination]] = {}
    for sending in sendings(ref.kind, before) if grants else ():
        known.setdefault(canonical(sending.reference), []).append(sending.destination)
    for sending in denied(grants, ref, after):
        places = known.get(canonical(sending.reference))
        if places and sending.destination not in places:
            return message(sending)
    return ""


def message(sending: Sending) -> str:
    """Returns what is wrong with a sending that no grant allows, as a sentence."""
    match sending.reference:
        case {"token": client}:  # what the state keeps: the manifest has no secret
            what = f"the token of client `{redact.escape(str(client))}`"
        case _:
            what = f"the secret in `{sending.pointer.removeprefix('/').replace('/', '.')}`"
    place = sending.destination.text
    if sending.is_consent:
        return f"no grant of the operator file lets a person agree at {place} to use {what}"
    return f"no grant of the operator file lets {what} go to {place}"


def _hint(grants: Grants, ref: Ref, sending: Sending, real: Callable[[str], str] | None) -> str:
    """Returns what to do about a sending that no grant allows: which part of a grant is lacking."""
    lacking = (
        reference
        for reference in _readings(grants, sending.reference, real)
        if not grants.covering(reference, ref, sending.destination)
    )
    reference = next(lacking)
    # The short name of a file in the project is the last.
    name = redact.escape(grants.texts(reference)[-1])
    listing = grants.listing(reference)
    if not listing:
        return f"no grant lists `{name}`: use a secret that one does, {_ASK}"
    if not any(grant.is_for(ref) for grant in listing):
        return f"no grant lists `{name}` for `{ref}`: use a secret that one does, {_ASK}"
    return f"use a destination that a grant of `{name}` lists, {_ASK}"


def _readings(
    grants: Grants, reference: JsonObject, real: Callable[[str], str] | None
) -> Iterator[JsonObject]:
    """Yields `reference`, and as another one the file that it leads to through a link."""
    yield reference
    match reference:
        case {"file": str(path)} | {"age": {"file": str(path)}} if real is not None:
            absolute = paths.folded(path, grants.root)
            is_ours = paths.is_beneath(absolute, grants.root)
            target = real(absolute) if is_ours else absolute
            root = real(grants.root) if is_ours else grants.root
            if paths.is_beneath(target, root):
                target = f"{grants.root}/{paths.inside(target, root)}"
            if target != absolute:
                yield {"file": target} if "file" in reference else {"age": {"file": target}}
        case _:
            return


def _destinations(kind: str, spec: JsonObject, pointer: str) -> Iterator[Destination]:
    """Yields the hops up to where the secret at `pointer` is sent, and that place itself."""
    for prefix, destination in _hops(spec):
        yield destination
        if pointer.startswith(prefix):
            return
    endpoint = kinds.kind(kind).endpoint(spec)
    yield Destination(
        scheme=endpoint.scheme,
        host="" if endpoint.socket else endpoint.host,
        port=None if endpoint.socket else endpoint.port,
        path=endpoint.socket,
    )
    if pointer.startswith("/auth/"):
        yield from _addresses(spec["auth"], is_consent=False)


def _hops(spec: JsonObject) -> Iterator[tuple[str, Destination]]:
    """Yields the hops in the order of the way, each with where its own secrets stand."""
    if "ssh" in spec:
        if "jump" in spec["ssh"]:
            yield "/ssh/jump/", _ssh(spec["ssh"]["jump"])
        yield "/ssh/", _ssh(spec["ssh"])
    if "proxy" in spec:
        url = hops.split_proxy(spec["proxy"]["url"])
        assert url is not None  # `hops.findings` has refused any other
        yield "/proxy/", Destination(scheme=url.scheme, host=url.host, port=url.port)


def _tokens(spec: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yields what the state keeps for a client without a secret of its own: the token it was given.

    With a secret, that stands for the token as well: both go to the same places.
    """
    auth = spec.get("auth", {})
    if auth.get("method") == "oauth2":
        yield "/auth/clientId", {"token": auth.get("clientId", "")}


def _ssh(hop: JsonObject) -> Destination:
    return Destination(scheme="ssh", host=hop["host"], port=hop["port"])


def _addresses(auth: JsonObject, *, is_consent: bool) -> Iterator[Destination]:
    """Yields where a method of authentication sends a person to, or its secrets beforehand."""
    for block in (auth, auth.get("consent", {})):
        for name, value in block.items():
            is_asked = name.endswith("Url") and name != _OURS
            if is_asked and (name == _FOR_PERSONS) is is_consent:
                url = addresses.split_url(value)
                yield Destination(scheme=url.scheme, host=url.host, port=url.port)

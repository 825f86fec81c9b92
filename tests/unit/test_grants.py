from __future__ import annotations

import pytest

from reconciler import destinations, sending
from reconciler.errors import DestinationDenied
from reconciler.grants import Grant, Grants
from reconciler.model import Json, JsonObject
from tests.factories import make_ref

ROOT = "/srv/project"
REF = make_ref(name="crm", namespace="sales", kind="ApiConnection")


def make_grants(
    *hosts: str, references: tuple[str, ...] = ("*",), connection: str = "*/sales/*"
) -> Grants:
    kind, namespace, name = connection.split("/")
    grant = Grant(
        number=1,
        references=references,
        connections=((kind, namespace, name),),
        destinations=tuple(map(destinations.parse, hosts or ("*",))),
    )
    return Grants(root=ROOT, entries=(grant,))


def make_spec(**changes: Json) -> JsonObject:
    return {
        "baseUrl": "https://api.example.com/v2",
        "auth": {"method": "bearer", "token": {"env": "CRM_TOKEN"}},
        "tls": {},
        **changes,
    }


def places(spec: JsonObject) -> list[str]:
    return [
        f"{each.pointer} {each.destination.text}"
        for each in sending.sendings("ApiConnection", spec)
    ]


@pytest.mark.parametrize(
    ("reference", "texts"),
    [
        ({"env": "CRM_TOKEN"}, ("env:CRM_TOKEN",)),
        ({"store": "crm-token"}, ("store:crm-token",)),
        ({"systemdCredential": "crm"}, ("systemdCredential:crm",)),
        ({"file": "/run/secrets/crm"}, ("file:/run/secrets/crm",)),
        ({"file": "secrets/crm"}, ("file:/srv/project/secrets/crm", "file:secrets/crm")),
        ({"file": "secrets/crm/../hr"}, ("file:/srv/project/secrets/hr", "file:secrets/hr")),
        ({"age": {"file": "crm.age"}}, ("age:/srv/project/crm.age", "age:crm.age")),
        ({"vault": {"path": "crm/orders", "field": "x"}}, ("vault:secret/data/crm/orders",)),
        ({"vault": {"mount": "kv", "path": "crm", "field": "x"}}, ("vault:kv/data/crm",)),
        ({"exec": ["/bin/pass", "show", "a b"]}, ("exec:/bin/pass show 'a b'",)),
        ({"keyring": {"service": "crm", "username": "ana"}}, ("keyring:crm ana",)),
        ({"aws": {"secretId": "prod/crm", "key": "k"}}, ("aws:prod/crm",)),
        ({"azure": {"secret": "crm", "key": "k"}}, ("azure:crm",)),
        ({"gcp": {"project": "prod", "secret": "crm", "version": 2}}, ("gcp:prod/crm",)),
    ],
)
def test_reference_has_a_name(reference: JsonObject, texts: tuple[str, ...]) -> None:
    assert Grants(root=ROOT).texts(reference) == texts


@pytest.mark.parametrize(
    ("glob", "is_meant"),
    [
        ("env:CRM_TOKEN", True),
        ("env:CRM_*", True),
        ("env:*", True),
        ("*", True),
        ("env:CRM", False),
        ("env:CRM_TOKEN2", False),
        ("CRM_*", False),
        ("env:crm_*", False),
        ("env:CRM_TOKE?", False),
        ("env:CRM_TOKE[N]", False),
        ("store:*", False),
    ],
)
def test_reference_is_matched_whole_and_by_stars_only(glob: str, is_meant: bool) -> None:
    grants = make_grants(references=(glob,))
    assert bool(sending.denied(grants, REF, make_spec())) is not is_meant


@pytest.mark.parametrize(
    ("connection", "is_meant"),
    [
        ("*/sales/*", True),
        ("ApiConnection/SALES/Crm", True),
        ("SqlConnection/sales/*", False),
        ("*/sale/*", False),
        ("*/sales/cr", False),
    ],
)
def test_connection_is_matched_whole(connection: str, is_meant: bool) -> None:
    grants = make_grants(connection=connection)
    assert bool(sending.denied(grants, REF, make_spec())) is not is_meant
    assert bool(sending.covering(grants, REF, make_spec())) is is_meant


def test_without_grants_nothing_is_denied() -> None:
    sending.require(Grants(), REF, make_spec())
    assert sending.covering(Grants(), REF, make_spec()) == ()
    assert sending.kept(Grants(), REF, make_spec(), make_spec(baseUrl="https://b.example")) == ""


def test_refusal_names_the_field_and_the_destination() -> None:
    with pytest.raises(DestinationDenied) as raised:
        sending.require(make_grants("b.example"), REF, make_spec())
    assert raised.value.message == (
        "no grant of the operator file lets the secret in `auth.token` go to"
        " https://api.example.com:443"
    )
    assert raised.value.hint == (
        "use a destination that a grant of `env:CRM_TOKEN` lists,"
        " or have whoever runs this machine add a `[[grant]]` for it"
    )


@pytest.mark.parametrize(
    ("grants", "hint"),
    [
        pytest.param(
            make_grants(references=("env:HR_*",)), "no grant lists `env:CRM_TOKEN`: ", id="secret"
        ),
        pytest.param(
            make_grants(connection="*/hr/*"),
            "no grant lists `env:CRM_TOKEN` for `ApiConnection/sales/crm`: ",
            id="connection",
        ),
    ],
)
def test_hint_says_which_part_of_a_grant_is_lacking(grants: Grants, hint: str) -> None:
    with pytest.raises(DestinationDenied) as raised:
        sending.require(grants, REF, make_spec())
    assert raised.value.hint == (
        f"{hint}use a secret that one does,"
        " or have whoever runs this machine add a `[[grant]]` for it"
    )


def test_hint_names_the_file_behind_a_link() -> None:
    grants = make_grants(references=("file:secrets/crm",))
    spec = make_spec(auth={"method": "bearer", "token": {"file": "secrets/crm"}})

    def real(path: str) -> str:
        return path.replace("secrets/crm", "secrets/hr")

    with pytest.raises(DestinationDenied) as raised:
        sending.require(grants, REF, spec, real)
    assert raised.value.hint.startswith("no grant lists `file:secrets/hr`: ")


def test_connection_without_secrets_needs_no_grant() -> None:
    sending.require(make_grants("b.example"), REF, make_spec(auth={"method": "none"}))


def test_each_hop_before_the_destination_counts() -> None:
    ssh = {"host": "Bastion", "port": 22, "username": "ops", "password": {"env": "SSH"}}
    jump = {**ssh, "host": "jump", "password": {"env": "JUMP"}}
    login = {"username": "crm", "password": {"env": "PROXY"}}
    proxy = {"url": "http://proxy.internal:3128", "auth": login}
    assert places(make_spec(ssh={**ssh, "jump": jump}, proxy=proxy)) == [
        "/auth/token ssh://jump:22",
        "/auth/token ssh://Bastion:22",
        "/auth/token http://proxy.internal:3128",
        "/auth/token https://api.example.com:443",
        "/proxy/auth/password ssh://jump:22",
        "/proxy/auth/password ssh://Bastion:22",
        "/proxy/auth/password http://proxy.internal:3128",
        "/ssh/jump/password ssh://jump:22",
        "/ssh/password ssh://jump:22",
        "/ssh/password ssh://Bastion:22",
    ]


def test_key_of_the_tunnel_goes_there_alone() -> None:
    ssh = {"host": "bastion", "port": 22, "username": "ops", "privateKey": {"env": "SSH"}}
    assert places(make_spec(auth={"method": "none"}, ssh=ssh)) == [
        "/ssh/privateKey ssh://bastion:22"
    ]


def test_socket_is_a_destination() -> None:
    spec = make_spec(socket="/run/api.sock")
    assert places(spec) == ["/auth/token https:///run/api.sock"]
    assert sending.denied(make_grants("/run/api.sock"), REF, spec) == ()
    assert sending.denied(make_grants("api.example.com"), REF, spec)


def test_servers_that_give_tokens_and_where_a_person_agrees_count() -> None:
    auth = {
        "method": "bearer",
        "token": {"env": "CLIENT_SECRET"},
        "tokenUrl": "https://login.example.com/token",
        "authorizationUrl": "https://login.example.com:444/authorize",
        "redirectUrl": "http://127.0.0.1:8400/",
        "scopes": ["read"],
        "consent": {"accessTokenUrl": "https://legacy.example.com/token"},
    }
    assert places(make_spec(auth=auth)) == [
        "/auth/token https://api.example.com:443",
        "/auth/token https://login.example.com:443",
        "/auth/token https://legacy.example.com:443",
        "/auth/token https://login.example.com:444",
    ]


def test_token_of_a_client_without_a_secret_counts() -> None:
    auth = {
        "method": "oauth2",
        "grant": "authorizationCode",
        "clientId": "crm",
        "tokenUrl": "https://login.example.com/token",
    }
    spec = make_spec(auth=auth)
    assert places(spec) == [
        "/auth/clientId https://api.example.com:443",
        "/auth/clientId https://login.example.com:443",
    ]
    assert sending.denied(make_grants(references=("token:crm",)), REF, spec) == ()
    denied = sending.denied(make_grants(references=("env:*",)), REF, spec)
    assert [sending.message(each) for each in denied] == [
        f"no grant of the operator file lets the token of client `crm` go to https://{host}:443"
        for host in ("api.example.com", "login.example.com")
    ]


def test_client_key_counts_as_sent_to_the_server_only() -> None:
    identity = {"certificate": {"file": "c.pem"}, "key": {"file": "k.pem"}}
    spec = make_spec(auth={"method": "none"}, tls={"clientCertificate": identity})
    assert places(spec) == ["/tls/clientCertificate/key https://api.example.com:443"]


@pytest.mark.parametrize(
    ("after", "is_stopped"),
    [
        pytest.param(make_spec(), False, id="the same place, without a grant"),
        pytest.param(make_spec(baseUrl="https://evil.example"), True, id="another host"),
        pytest.param(make_spec(baseUrl="https://b.example"), False, id="a granted host"),
        pytest.param(
            make_spec(
                baseUrl="https://evil.example",
                auth={"method": "bearer", "token": {"env": "OTHER"}},
            ),
            False,
            id="another secret",
        ),
    ],
)
def test_kept_secret_is_stopped_on_its_way_elsewhere(after: JsonObject, is_stopped: bool) -> None:
    assert bool(sending.kept(make_grants("b.example"), REF, make_spec(), after)) is is_stopped


_LINKS = {
    "/srv/project": "/mnt/project",
    "/srv/project/secrets/crm-key": "/mnt/project/secrets/crm-key",
    "/srv/project/secrets/crm-link": "/mnt/project/secrets/hr-key",
    "/srv/project/secrets/crm-out": "/run/secrets/hr",
    "/srv/project/crm-link.age": "/mnt/project/hr.age",
    "/run/secrets/crm": "/run/secrets/..data/crm",
}


@pytest.mark.parametrize(
    ("reference", "is_denied"),
    [
        ({"file": "secrets/crm-key"}, False),
        ({"file": "secrets/crm-link"}, True),
        ({"file": "secrets/crm-out"}, True),
        ({"age": {"file": "crm-link.age"}}, True),
        ({"file": "/run/secrets/crm"}, False),
    ],
)
def test_link_in_the_project_is_judged_by_what_it_leads_to(
    reference: JsonObject, is_denied: bool
) -> None:
    globs = ("file:secrets/crm-*", "file:/run/secrets/crm", "age:crm-*")
    spec = make_spec(auth={"method": "bearer", "token": reference})
    grants = make_grants(references=globs)
    assert bool(sending.denied(grants, REF, spec, _LINKS.__getitem__)) is is_denied
    assert sending.denied(grants, REF, spec) == ()


def test_page_where_a_person_agrees_is_said_as_one() -> None:
    auth = {
        "method": "bearer",
        "token": {"env": "CLIENT_SECRET"},
        "authorizationUrl": "https://evil.example.com/authorize",
    }
    grants = make_grants("api.example.com", references=("env:*",))
    (denied,) = sending.denied(grants, REF, make_spec(auth=auth))
    assert sending.message(denied) == (
        "no grant of the operator file lets a person agree at https://evil.example.com:443 to use"
        " the secret in `auth.token`"
    )

"""What a plan says of every way in which manifests and rows can differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler import kinds, plan
from reconciler.destinations import parse
from reconciler.errors import ConfigError, InvalidManifests
from reconciler.grants import Grant, Grants
from reconciler.model import (
    Action,
    Change,
    DeletionPolicy,
    FieldChange,
    FieldOp,
    Fingerprint,
    Guard,
    HoldKind,
    Json,
    Phase,
    Plan,
    PlanOptions,
    Recorded,
    Resource,
    SecretChange,
)
from tests import factories
from tests.desired import have, want

OPTIONS = PlanOptions(stack="default", roots=("manifests",))


def make(resources: list[Resource], rows: list[Recorded], options: PlanOptions = OPTIONS) -> Plan:
    return plan.make_plan(resources, rows, options, lineage="l1")


def actions(planned: Plan) -> list[tuple[str, Action]]:
    return [(change.ref.name, change.action) for change in planned.changes]


def only(planned: Plan) -> Change:
    (change,) = planned.changes
    return change


def test_new_manifest_creates() -> None:
    change = only(make([want()], []))
    assert (change.action, change.reason) == (
        Action.CREATE,
        "no connection of this name is recorded",
    )


def test_unchanged_manifest_makes_no_change() -> None:
    planned = make([want()], [have(want())])
    assert (planned.changes, planned.notices, planned.unchanged) == ((), (), 1)


def test_port_written_out_as_the_default_is_no_change() -> None:
    assert make([want(port=5432)], [have(want())]).changes == ()


def test_row_stored_before_a_default_existed_is_no_change() -> None:
    row = have(
        want(),
        text='{"metadata":{"name":"orders","namespace":"hr"},"spec":'
        '{"auth":{"method":"password","password":{"env":"ORDERS"},"username":"report"},'
        '"database":"orders","engine":"postgresql","host":"db-7.internal"}}',
        digest="old",
    )
    planned = make([want()], [row])
    assert (planned.changes, planned.unchanged) == ((), 1)


def test_update_lists_the_fields_that_differ() -> None:
    change = only(make([want(port=6432, metadata={"labels": {"team": "hr"}})], [have(want())]))
    assert change.action is Action.UPDATE
    assert change.fields == (
        FieldChange(op=FieldOp.ADD, pointer="/metadata/labels/team", old=None, new="hr"),
        FieldChange(op=FieldOp.REPLACE, pointer="/spec/port", old=5432, new=6432),
    )


def test_plan_does_not_depend_on_the_order_of_files_or_rows() -> None:
    wanted = [want("a"), want("b", port=1), want("c")]
    rows = [have(want("b"), 1), have(want("c"), 2), have(want("d"), 3)]
    assert make(wanted, rows) == make(wanted[::-1], rows[::-1])


def test_kept_credential_at_a_new_host_is_a_rebind() -> None:
    change = only(make([want(host="db-8.internal")], [have(want())]))
    assert change.rebind == "postgresql://db-7.internal:5432 -> postgresql://db-8.internal:5432"


def test_new_credential_at_a_new_host_is_no_rebind() -> None:
    auth = {"method": "password", "username": "report", "password": {"env": "OTHER"}}
    change = only(make([want(host="db-8.internal", auth=auth)], [have(want())]))
    assert change.rebind == ""


def test_no_credential_at_a_new_host_is_no_rebind() -> None:
    before = want(kind="ApiConnection")
    after = want(kind="ApiConnection", baseUrl="https://api.example.org")
    assert only(make([after], [have(before)])).rebind == ""


SSH = {
    "host": "bastion",
    "port": 22,
    "username": "ops",
    "password": {"env": "SSH_PASSWORD"},
    "knownHosts": {"file": "known_hosts"},
}
PLACES = ("ssh://ops@bastion:22", "ssh://ops@other:22")


def test_kept_credential_on_another_way_is_a_rebind() -> None:
    change = only(make([want(ssh=SSH)], [have(want())]))
    server = "postgresql://db-7.internal:5432"
    assert change.rebind == f"{server} -> {server} via {PLACES[0]}"


def test_kept_credential_of_a_hop_at_another_hop_is_a_rebind() -> None:
    before = want(kind="ApiConnection", ssh=SSH)
    after = want(kind="ApiConnection", ssh={**SSH, "host": "other"})
    assert only(make([after], [have(before)])).rebind == " -> ".join(PLACES)


def test_new_credential_of_a_hop_at_another_hop_is_no_rebind() -> None:
    before = want(kind="ApiConnection", ssh=SSH)
    other = {**SSH, "host": "other", "password": {"env": "OTHER"}}
    assert only(make([want(kind="ApiConnection", ssh=other)], [have(before)])).rebind == ""


def test_other_database_on_the_same_host_is_no_rebind() -> None:
    assert only(make([want(database="archive")], [have(want())])).rebind == ""


OAUTH2 = {
    "method": "oauth2",
    "grant": "authorizationCode",
    "tokenUrl": "https://login.example.com/token",
    "authorizationUrl": "https://login.example.com/authorize",
    "clientId": "crm",
}


def reauthenticated(**changes: Json) -> Change:
    """Returns the change of an API whose OAuth fields change so."""
    before = want(kind="ApiConnection", auth=OAUTH2)
    after = want(kind="ApiConnection", auth={**OAUTH2, **changes})
    return only(make([after], [have(before)]))


def test_kept_credential_at_a_new_token_server_is_a_rebind() -> None:
    change = reauthenticated(tokenUrl="https://evil.example.com/token")
    assert change.rebind == "https://login.example.com:443 -> https://evil.example.com:443"


def test_another_path_of_the_token_server_is_no_rebind() -> None:
    assert reauthenticated(tokenUrl="https://login.example.com/oauth/token").rebind == ""


def test_another_client_at_a_new_token_server_is_no_rebind() -> None:
    url = "https://evil.example.com/token"
    assert reauthenticated(tokenUrl=url, clientId="other").rebind == ""


@pytest.mark.parametrize(
    ("changes", "consent"),
    [
        ({"scopes": ["read"]}, "auth.scopes"),
        ({"clientId": "other"}, "auth.clientId"),
        ({"audience": "a", "resource": "urn:b"}, "auth.audience, auth.resource"),
        ({"refreshBefore": "5m"}, ""),
        ({"redirectUrl": "http://127.0.0.1:1/"}, ""),
    ],
)
def test_consent_is_needed_again_where_what_was_agreed_to_changes(
    changes: dict[str, Json], consent: str
) -> None:
    assert reauthenticated(**changes).consent == consent


def test_first_consent_is_not_needed_again() -> None:
    before, after = want(kind="ApiConnection"), want(kind="ApiConnection", auth=OAUTH2)
    assert only(make([after], [have(before)])).consent == ""
    assert only(make([before], [have(after)])).consent == ""


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        pytest.param("active", "suspended", Action.SUSPEND, id="suspend"),
        pytest.param("suspended", "active", Action.RESUME, id="resume"),
        pytest.param("active", "archived", Action.ARCHIVE, id="archive"),
    ],
)
def test_changed_state_names_the_action(before: str, after: str, action: Action) -> None:
    assert only(make([want(state=after)], [have(want(state=before))])).action is action


def test_archived_manifest_without_a_row_is_said_and_makes_none() -> None:
    planned = make([want(state="archived")], [])
    assert planned.changes == ()
    assert [notice.reason for notice in planned.notices] == [
        "`state: archived`, and there is no live connection to archive"
    ]


def test_manifest_in_another_file_updates_where_it_lies() -> None:
    change = only(make([want(path="manifests/new.yaml")], [have(want())]))
    assert (change.action, change.fields) == (Action.UPDATE, ())
    assert change.reason == "the manifest moved from manifests/orders.yaml"


def test_manifest_from_standard_input_has_not_moved() -> None:
    assert make([want(path="-")], [have(want())]).changes == ()


def test_lower_version_is_a_warning() -> None:
    after = want(metadata={"version": "1.2.0-rc.1"})
    planned = make([after], [have(want(metadata={"version": "1.2.0"}))])
    assert [(w.code, w.message) for w in planned.warnings] == [
        ("W203", "the version of `SqlConnection/hr/orders` goes down: 1.2.0 -> 1.2.0-rc.1")
    ]


@pytest.mark.parametrize(
    ("old", "new"), [("1.2.0", "1.10.0"), ("1.0.0-rc.2", "1.0.0-rc.10"), ("1.0.0-rc.1", "1.0.0")]
)
def test_higher_version_is_no_warning(old: str, new: str) -> None:
    planned = make([want(metadata={"version": new})], [have(want(metadata={"version": old}))])
    assert planned.warnings == ()


def test_version_that_comes_or_goes_is_no_warning() -> None:
    assert make([want()], [have(want(metadata={"version": "1.0.0"}))]).warnings == ()


# Orphans and pruning.


def test_orphan_without_prune_is_said_and_kept() -> None:
    planned = make([want("a")], [have(want("a"), 1), have(want("b"), 2)])
    assert planned.changes == ()
    assert [notice.reason for notice in planned.notices] == [
        "orphan: no manifest declares it; `--prune` would archive it"
    ]


def test_orphan_with_prune_is_archived() -> None:
    pruning = replace(OPTIONS, prune=True)
    planned = make([want("a")], [have(want("a"), 1), have(want("b"), 2)], pruning)
    assert actions(planned) == [("b", Action.ARCHIVE)]


def test_orphan_whose_policy_is_delete_is_deleted() -> None:
    row = have(want("b", deletionPolicy="delete"), 2)
    assert actions(make([want("a")], [row], replace(OPTIONS, prune=True))) == [
        ("a", Action.CREATE),
        ("b", Action.DELETE),
    ]


def test_protected_orphan_blocks() -> None:
    row = have(want("b", deletionPolicy="protect"), 2)
    planned = make([], [row], replace(OPTIONS, prune=True))
    assert "deletionPolicy: protect" in only(planned).blocked_by
    assert make([], [row]).notices[0].reason.endswith("`deletionPolicy: protect` keeps it")


def test_orphan_under_another_root_is_not_looked_at() -> None:
    row = have(want("b", path="other/b.yaml"), 2)
    planned = make([], [row], replace(OPTIONS, prune=True))
    assert (planned.changes, planned.notices) == ((), ())


def test_root_that_is_a_prefix_of_a_name_is_another_root() -> None:
    row = have(want("b", path="manifests-old/b.yaml"), 2)
    assert make([], [row]).notices == ()


def test_orphan_of_another_stack_is_not_looked_at() -> None:
    row = have(want("b"), 2, stack="prod")
    assert make([], [row], replace(OPTIONS, prune=True)).changes == ()


def test_too_many_orphans_block_one_another() -> None:
    rows = [have(want(f"n{number}"), number) for number in range(11)]
    planned = make([], rows, replace(OPTIONS, prune=True))
    assert {change.blocked_by for change in planned.changes} == {
        "11 orphans are more than 10; `--prune-limit 11` allows it"
    }


def test_prune_limit_allows_more() -> None:
    rows = [have(want(f"n{number}"), number) for number in range(11)]
    planned = make([], rows, replace(OPTIONS, prune=True, prune_limit=11))
    assert {change.blocked_by for change in planned.changes} == {""}


def test_a_fifth_of_a_large_stack_may_go() -> None:
    wanted = [want(f"n{number:02}") for number in range(48)]
    rows = [have(want(f"n{number:02}"), number) for number in range(60)]
    planned = make(wanted, rows, replace(OPTIONS, prune=True))
    assert len(planned.changes) == 12
    assert {change.blocked_by for change in planned.changes} == {""}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(replace(OPTIONS, prune=True, labels=("team=hr",)), id="labels"),
        pytest.param(replace(OPTIONS, prune=True, names=("orders",)), id="names"),
        pytest.param(replace(OPTIONS, prune=True, inputs=("manifests", "-")), id="standard input"),
    ],
)
def test_prune_takes_no_selection(options: PlanOptions) -> None:
    with pytest.raises(ConfigError, match="no names, labels, standard input"):
        make([want()], [], options)


def test_changed_kind_is_create_and_orphan() -> None:
    planned = make([want(kind="ApiConnection")], [have(want())], replace(OPTIONS, prune=True))
    assert [(change.ref.kind, change.action, change.reason) for change in planned.changes] == [
        (
            "ApiConnection",
            Action.CREATE,
            "the kind differs from `SqlConnection/hr/orders`, which stays until it is pruned",
        ),
        ("SqlConnection", Action.ARCHIVE, "its kind changed in the manifest"),
    ]


def test_protected_row_is_not_archived_by_its_manifest_either() -> None:
    row = have(want(deletionPolicy="protect"))
    change = only(make([want(state="archived")], [row]))
    assert (change.action, bool(change.blocked_by)) == (Action.ARCHIVE, True)


# Selection.


def test_selected_name_leaves_the_others_out() -> None:
    planned = make([want("a"), want("b")], [], replace(OPTIONS, names=("a",)))
    assert actions(planned) == [("a", Action.CREATE)]


def test_selected_label_leaves_the_others_out() -> None:
    wanted = [want("a", metadata={"labels": {"team": "hr"}}), want("b")]
    assert actions(make(wanted, [], replace(OPTIONS, labels=("team=hr",)))) == [
        ("a", Action.CREATE)
    ]


def test_selected_orphan_is_said() -> None:
    row = have(want("b", metadata={"labels": {"team": "hr"}}), 2)
    planned = make([want("a")], [row], replace(OPTIONS, labels=("team=hr",)))
    assert [notice.ref.name for notice in planned.notices] == ["b"]


def test_name_that_selects_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no connection matches `ordres`"):
        make([want()], [], replace(OPTIONS, names=("ordres",)))


# Stacks and holds.


def test_row_of_another_stack_blocks() -> None:
    change = only(make([want()], [have(want(), stack="prod")]))
    assert change.blocked_by == "stack `prod` owns it; `--adopt` takes it over"


def test_adopt_takes_a_row_over() -> None:
    row = have(want(), stack="prod")
    change = only(make([want(port=1)], [row], replace(OPTIONS, adopt=True)))
    assert (change.action, change.blocked_by) == (Action.ADOPT, "")
    assert [field.pointer for field in change.fields] == ["/spec/port"]


def held(resource: Resource, kind: HoldKind, **changes: object) -> Recorded:
    digest = kinds.intent(resource.ref.kind, resource.manifest)
    hold = factories.make_hold(kind=kind, digest=digest, reason="")
    return replace(have(resource), hold=hold, **changes)  # type: ignore[arg-type]


def test_rolled_back_row_stays_while_its_manifest_is_the_same() -> None:
    row = replace(have(want(port=1)), hold=held(want(), HoldKind.ROLLBACK).hold)
    planned = make([want()], [row])
    assert planned.changes == ()
    assert planned.notices[0].reason == "rolled back by alice; the manifest is unchanged since"


def test_rollback_ends_when_the_manifest_differs() -> None:
    row = replace(have(want(port=1)), hold=held(want(), HoldKind.ROLLBACK).hold)
    assert only(make([want(port=2)], [row])).action is Action.UPDATE


def test_rollback_ends_when_the_manifest_says_what_was_rolled_back_to() -> None:
    row = replace(have(want(port=1)), hold=held(want(), HoldKind.ROLLBACK).hold)
    change = only(make([want(port=1)], [row]))
    assert (change.action, change.fields) == (Action.UPDATE, ())
    assert change.reason == "the manifest says what was rolled back to: the hold ends"


def test_archived_by_command_is_not_created_again() -> None:
    archived = factories.make_status(phase=Phase.ARCHIVED)
    row = held(want(), HoldKind.ARCHIVE, status=archived)
    planned = make([want()], [row])
    assert planned.changes == ()
    assert planned.notices[0].reason == "archived by alice; change the manifest or delete it"


def test_archived_by_command_is_created_anew_when_the_manifest_differs() -> None:
    archived = factories.make_status(phase=Phase.ARCHIVED)
    row = held(want(), HoldKind.ARCHIVE, status=archived)
    change = only(make([want(port=1)], [row]))
    assert (change.action, change.uid) == (Action.CREATE, None)


def test_archived_by_command_does_not_take_over_its_previous_name() -> None:
    wanted = renamed("orders", "old")
    archived = factories.make_status(phase=Phase.ARCHIVED)
    rows = [held(wanted, HoldKind.ARCHIVE, status=archived), have(want("old"), 2)]
    planned = make([wanted, want("old")], rows)
    assert planned.changes == ()


def test_suspended_by_command_is_said_and_its_manifest_is_applied() -> None:
    row = held(want(), HoldKind.SUSPEND)
    assert make([want()], [row]).notices[0].reason == "suspended by alice"
    assert only(make([want(port=1)], [row])).action is Action.UPDATE


# Renames.


def renamed(name: str, *previous: str, **spec: Json) -> Resource:
    return want(name, metadata={"previousNames": list(previous)}, **spec)


def test_previous_name_renames_and_keeps_the_uid() -> None:
    change = only(make([renamed("new", "old")], [have(want("old"), 7)]))
    assert (change.action, change.uid) == (Action.RENAME, factories.make_uid(7))
    assert str(change.previous) == "SqlConnection/hr/old"


def test_first_live_previous_name_wins() -> None:
    rows = [have(want("older"), 1), have(want("oldest"), 2)]
    planned = make([renamed("new", "old", "older", "oldest")], rows)
    assert only(planned).uid == factories.make_uid(1)


def test_previous_name_in_another_namespace_moves_the_connection() -> None:
    row = have(want("orders", namespace="sales"), 3)
    change = only(make([renamed("orders", "sales/orders")], [row]))
    assert (change.action, change.uid) == (Action.RENAME, factories.make_uid(3))


def test_previous_name_without_a_row_creates() -> None:
    assert only(make([renamed("new", "old")], [])).action is Action.CREATE


def test_previous_name_of_another_kind_does_not_count() -> None:
    row = have(want("old", kind="ApiConnection"), 1)
    assert actions(make([renamed("new", "old")], [row])) == [("new", Action.CREATE)]


def test_applied_rename_makes_no_change() -> None:
    applied = renamed("new", "old")
    assert make([applied], [have(applied)]).changes == ()


def test_names_can_be_swapped() -> None:
    rows = [have(want("a"), 1), have(want("b", port=1), 2)]
    planned = make([renamed("a", "b", port=1), renamed("b", "a")], rows)
    assert [(c.ref.name, c.action, c.uid) for c in planned.changes] == [
        ("a", Action.RENAME, factories.make_uid(2)),
        ("b", Action.RENAME, factories.make_uid(1)),
    ]


def test_applied_swap_makes_no_change() -> None:
    wanted = [renamed("a", "b", port=1), renamed("b", "a")]
    rows = [have(wanted[0], 2), have(wanted[1], 1)]
    assert make(wanted, rows).changes == ()


def test_names_can_move_along_a_chain() -> None:
    rows = [have(want("a"), 1), have(want("b"), 2)]
    planned = make([renamed("b", "a"), renamed("c", "b")], rows)
    assert [(c.ref.name, c.uid) for c in planned.changes] == [
        ("b", factories.make_uid(1)),
        ("c", factories.make_uid(2)),
    ]


def test_old_and_new_name_both_alive_is_an_error_naming_both() -> None:
    rows = [have(want("old"), 1), have(want("new"), 2)]
    with pytest.raises(InvalidManifests) as caught:
        make([renamed("new", "old")], rows)
    (found,) = caught.value.diagnostics
    assert found.code == "E205"
    assert "`SqlConnection/hr/new` and its previous name `SqlConnection/hr/old`" in found.message


# Digest and secrets.


def test_digest_ignores_what_health_passes_find() -> None:
    row = have(want())
    failed = replace(row, version=9, status=factories.make_status(phase=Phase.FAILED))
    wanted = [want(port=1)]
    assert make(wanted, [row]).digest == make(wanted, [failed]).digest


def test_digest_sees_a_row_that_moved() -> None:
    wanted = [want(port=1)]
    assert make(wanted, [have(want())]).digest != make(wanted, [have(want(), revision=2)]).digest


def test_secret_is_changed_only_if_both_are_known_with_one_key() -> None:
    def fp(pointer: str, value: str, key_id: str = "k") -> Fingerprint:
        return Fingerprint(pointer=pointer, key_id=key_id, value=value)

    row = have(want(), fingerprints=(fp("/a", "1"), fp("/b", "1"), fp("/c", "1", "old")))
    now = (fp("/a", "2"), fp("/b", "1"), fp("/c", "2"), fp("/d", "2"))
    assert plan.secret_changes([row], {row.uid: now}) == (
        SecretChange(uid=row.uid, ref=row.ref, pointers=("/a",)),
    )


def test_spec_of_a_row_is_read_in_normal_form() -> None:
    assert plan.normal_spec(have(want())) == want().spec


def test_secret_of_an_archived_row_is_not_compared() -> None:
    row = have(
        want(),
        status=factories.make_status(phase=Phase.ARCHIVED),
        fingerprints=(factories.make_fingerprint(),),
    )
    now = (factories.make_fingerprint(value="new"),)
    assert plan.secret_changes([row], {row.uid: now}) == ()


def test_subtree_that_comes_or_goes_is_listed_by_its_leaves() -> None:
    plain = want()
    private = want(tls={"mode": "verify-full", "ca": {"file": "ca.pem"}})
    added = only(make([private], [have(plain)]))
    gone = only(make([plain], [have(private)]))
    assert [(f.op, f.pointer, f.new) for f in added.fields] == [
        (FieldOp.ADD, "/spec/tls/ca/file", "ca.pem")
    ]
    assert [(f.op, f.pointer, f.old) for f in gone.fields] == [
        (FieldOp.REMOVE, "/spec/tls/ca/file", "ca.pem")
    ]


def test_deletion_policy_of_a_row_is_kept_in_the_state() -> None:
    assert have(want(deletionPolicy="delete")).deletion_policy is DeletionPolicy.DELETE


GRANTS = Grants(
    entries=(
        Grant(
            number=1,
            references=("*",),
            connections=(("*", "*", "*"),),
            destinations=(parse("db-7.internal"),),
        ),
    )
)


def guarded(resource: Resource, row: Recorded, options: PlanOptions = OPTIONS) -> Change:
    return only(plan.make_plan([resource], [row], options, lineage="l1", grants=GRANTS))


def test_kept_secret_at_a_host_without_a_grant_is_blocked() -> None:
    change = guarded(want(host="db-8.internal"), have(want()))
    assert change.guard is Guard.GRANT
    assert change.blocked_by == (
        "no grant of the operator file lets the secret in `auth.password` go to"
        " postgresql://db-8.internal:5432"
    )


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(want(host="DB-7.internal"), id="granted host"),
        pytest.param(want(query="select 2"), id="the same access"),
        pytest.param(want(host="db-8.internal", state="archived"), id="end"),
    ],
)
def test_change_that_takes_no_secret_elsewhere_is_not_blocked(resource: Resource) -> None:
    change = guarded(resource, have(want()))
    assert (change.guard, change.blocked_by) == (None, "")


def test_creation_is_left_to_the_check() -> None:
    planned = plan.make_plan([want(host="db-8.internal")], [], OPTIONS, lineage="l1", grants=GRANTS)
    assert only(planned).guard is None

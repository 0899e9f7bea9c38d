"""Plans, compared as the text that a user sees."""

import networkx as nx
from stackr_schemas.network import IpamPool, NetworkSpec, NetworkState
from stackr_schemas.state import Status

from stackr.desired import DesiredVolume
from stackr.drift import find_drift
from stackr.plan import Options, Plan, plan_up
from stackr.teardown import plan_down, plan_stop
from tests.stackr.builders import desired, observed, state, wanted


def up(wants, found, **options) -> Plan:
    return plan_up(wants, found.containers, find_drift(wants, found), Options(**options))


def text(plan: Plan) -> list[str]:
    return [str(plan.actions[number]) for number in nx.topological_sort(plan.graph)]


def is_before(plan: Plan, first: str, second: str) -> bool:
    names = {str(action): number for number, action in enumerate(plan.actions)}
    return nx.has_path(plan.graph, names[first], names[second])


def test_everything_missing_is_made_before_it_is_started() -> None:
    wants = desired(
        wanted("db"),
        wanted("web", after={"db": "service_healthy"}),
        networks=(NetworkSpec(name="p_default"),),
        volumes=(DesiredVolume("p_data"),),
    )
    plan = up(wants, observed())
    assert set(text(plan)) == {
        "+ network p_default  (missing)",
        "+ volume p_data  (missing)",
        "+ container p-db-1  (missing)",
        "~ start p-db-1  (created)",
        "+ container p-web-1  (missing)",
        "  wait for p-db-1  (service_healthy)",
        "~ start p-web-1  (created)",
    }
    assert is_before(plan, "+ network p_default  (missing)", "+ container p-web-1  (missing)")
    assert is_before(plan, "~ start p-db-1  (created)", "  wait for p-db-1  (service_healthy)")
    assert is_before(plan, "  wait for p-db-1  (service_healthy)", "~ start p-web-1  (created)")
    assert not is_before(plan, "~ start p-db-1  (created)", "+ container p-web-1  (missing)")


def test_nothing_to_do_is_an_empty_plan() -> None:
    db, web = wanted("db"), wanted("web", after={"db": "service_started"})
    assert up(desired(db, web), observed(state(db), state(web))).changes == []


def test_a_change_names_its_fields_and_replaces_only_that_container() -> None:
    before = wanted("web", environment={"A": "1"}, user="root")
    now = wanted("web", environment={"A": "2"}, user="nobody")
    db = wanted("db")
    plan = up(desired(db, now), observed(state(db), state(before)))
    assert text(plan) == ["-/+ container p-web-1  (environment, user changed)"]


def test_composes_own_labels_are_no_change() -> None:
    before = wanted("web", labels={"com.docker.compose.version": "1"})
    now = wanted("web", labels={"com.docker.compose.version": "2"})
    assert up(desired(now), observed(state(before))).changes == []


def test_a_users_label_is_a_change() -> None:
    before, now = wanted("web", labels={"tier": "a"}), wanted("web", labels={"tier": "b"})
    plan = up(desired(now), observed(state(before)))
    assert text(plan) == ["-/+ container p-web-1  (labels changed)"]


def test_no_recreate_keeps_a_changed_container_and_starts_it_if_stopped() -> None:
    before, now = wanted("web", user="a"), wanted("web", user="b")
    found = observed(state(before, Status.EXITED))
    assert text(up(desired(now), found, recreate="never")) == ["~ start p-web-1  (not running)"]


def test_force_recreates_what_did_not_change() -> None:
    web = wanted("web")
    plan = up(desired(web), observed(state(web)), recreate="force")
    assert text(plan) == ["-/+ container p-web-1  (asked for)"]


def test_what_a_replaced_dependency_restarts() -> None:
    old, new = wanted("db", user="a"), wanted("db", user="b")
    web = wanted("web", after={"db": "service_started"})
    dependency = web.depends_on[0].__class__("db", "service_started", restart=True)
    web = web.__class__(web.service, 1, web.spec, web.image, (dependency,))
    plan = up(desired(new, web), observed(state(old), state(web)))
    assert text(plan) == [
        "-/+ container p-db-1  (user changed)",
        "~ restart p-web-1  (what it depends on was replaced)",
    ]


def test_scaling_down_removes_the_last_replicas_only_of_selected_services() -> None:
    one, two, other = wanted("web"), wanted("web", 2), wanted("db")
    wants = desired(one, services=frozenset({"db"}))
    wants = wants.__class__("p", (one,), services=wants.services, selected=frozenset({"web"}))
    plan = up(wants, observed(state(one), state(two), state(other)))
    assert text(plan) == ["- container p-web-2  (beyond the service's scale)"]


def test_orphans_are_removed_only_when_asked() -> None:
    web, gone = wanted("web"), wanted("gone")
    found = observed(state(web), state(gone))
    assert up(desired(web), found).changes == []
    plan = up(desired(web), found, remove_orphans=True)
    assert text(plan) == ["- container p-gone-1  (its service is no longer declared)"]


def test_no_start_only_creates() -> None:
    wants = desired(wanted("web", after={"db": "service_healthy"}), wanted("db"))
    plan = up(wants, observed(), start=False)
    assert {str(action)[0] for action in plan.actions} == {"+"}


def test_a_network_made_otherwise_is_made_again_but_chosen_pools_agree() -> None:
    made = NetworkSpec(name="n", pools=(IpamPool(subnet="172.18.0.0/16", gateway="172.18.0.1"),))
    there = NetworkState(id="1", created=1.0, bridge="b", spec=made)
    assert up(desired(networks=(NetworkSpec(name="n"),)), observed(networks=(there,))).changes == []
    plan = up(
        desired(networks=(NetworkSpec(name="n", internal=True),)), observed(networks=(there,))
    )
    assert text(plan) == ["- network n  (internal changed)", "+ network n  (internal changed)"]


def test_down_removes_dependents_first_and_networks_last() -> None:
    db, web = wanted("db"), wanted("web", after={"db": "service_started"})
    network = NetworkState(id="1", created=1.0, bridge="b", spec=NetworkSpec(name="n"))
    plan = plan_down([state(db), state(web)], [network], ["data"], anonymous_volumes=False)
    assert is_before(plan, "- container p-web-1  (down)", "- container p-db-1  (down)")
    assert is_before(plan, "- container p-db-1  (down)", "- network n  (down)")
    assert is_before(plan, "- container p-db-1  (down)", "- volume data  (down -v)")


def test_stop_leaves_alone_what_does_not_run() -> None:
    db, web = wanted("db"), wanted("web")
    plan = plan_stop([state(db, Status.EXITED), state(web)])
    assert text(plan) == ["~ stop p-web-1  (asked for)"]


def test_stop_ends_what_is_between_two_restarts() -> None:
    plan = plan_stop([state(wanted("flappy"), Status.RESTARTING)])
    assert text(plan) == ["~ stop p-flappy-1  (asked for)"]

"""VLANs that nobody makes, that connect nobody, or that a test disturbs."""

import pytest
from tests.flow.notation import line
from tests.flow.vlans import DEPLOY, GOOD, changed, checked, read, said

from callboard.definition.split import scaled
from callboard.flow.extraction import extract
from callboard.flow.program import Call, walk
from callboard.flow.senders import senders_of

ASKS = DEPLOY[DEPLOY.index("    protocols:") :]
ONLY_OTHERS = DEPLOY.replace("left, ", "")
STEPS = "[lava-vland-names, lava-sync ready]"


def test_a_group_whose_vlans_are_in_order_completes_without_a_finding() -> None:
    assert said(GOOD) == "completes"


def test_the_first_user_of_a_vlan_sends_its_name_and_the_others_wait_for_it() -> None:
    programs = extract(read(GOOD)).programs
    calls = {
        each.role: "; ".join(
            line([call]) for call in walk(each.items) if isinstance(call, Call) and call.deploys
        )
        for each in programs
    }
    assert calls == {
        "left": "send one vlan_name=… vlan_tag=…",
        "router": "wait one; send two vlan_name=… vlan_tag=…",
        "right": "wait two",
    }
    senders = senders_of(programs)
    assert senders.possible("one") == {"left"}
    assert senders.possible("two") == {"router"}


def test_the_calls_of_a_request_are_made_where_its_action_ends() -> None:
    syncs = (
        "      lava-multinode:\n"
        "      - {action: lava-multinode-overlay, request: lava-sync, messageID: later}\n"
        "      - {action: deployimages, request: lava-sync, messageID: before}\n"
    )
    text = changed(("      lava-vland:\n", f"{syncs}      lava-vland:\n"))
    router = extract(read(text)).programs[1]
    made = [call.shown for call in router.calls()]
    assert made == [
        "lava-sync before",
        "deploy_vlans one",
        "deploy_vlans two",
        "lava-sync later",
        "lava-sync ready",
    ]


def test_the_limit_of_a_wait_for_a_vlan_is_that_of_the_connection() -> None:
    [_, wait, *_] = extract(read(GOOD)).programs
    assert [call.limit_s for call in wait.calls()][:2] == [120, None]


def test_a_role_without_nodes_makes_no_vlan() -> None:
    programs = extract(scaled(read(GOOD), {"left": 0})).programs
    assert senders_of(programs).possible("one") == {"router"}


CASES = {
    "whoever makes a VLAN never deploys it": (
        changed((DEPLOY, f"- deploy: {{role: [left], to: tmpfs}}\n{ONLY_OTHERS}")),
        (
            "deadlocks\n"
            "error CB235 at {action: lav: `deploy_vlans one` of role `router` waits for "
            "role `left`, "
            "which creates the VLAN but never calls `deploy_vlans`\n"
            "  add `{action: lava-vland-overlay, request: deploy_vlans}` to a deploy of `left`"
        ),
    ),
    "nobody deploys": (
        changed((ASKS, "")),
        (
            "completes\n"
            "warning CB233 at one: {tags:: role `left` never gets into the VLAN `one`: none of its "
            "actions calls `deploy_vlans`\n"
            "  add `{action: lava-vland-overlay, request: deploy_vlans}` to its deploy, under "
            "`protocols: lava-vland`\n"
            "warning CB233 at one: {tags:: role `router` never gets into the VLANs `one` "
            "and `two`: "
            "none of its actions calls `deploy_vlans`\n"
            "  add `{action: lava-vland-overlay, request: deploy_vlans}` to its deploy, under "
            "`protocols: lava-vland`\n"
            "warning CB233 at two: {tags:: role `right` never gets into the VLAN `two`: "
            "none of its "
            "actions calls `deploy_vlans`\n"
            "  add `{action: lava-vland-overlay, request: deploy_vlans}` to its deploy, under "
            "`protocols: lava-vland`"
        ),
    ),
    "a role deploys, but no test runs in its namespace": (
        changed(("test:\n    role: [left, router, right]", "test:\n    role: [left, router]")),
        (
            "deadlocks\n"
            "warning CB233 at two: {tags:: role `right` never gets into the VLAN `two`: "
            "none of its "
            "actions calls `deploy_vlans`\n"
            "  it has no action `lava-vland-overlay` (line 20); a deploy has "
            "`lava-vland-overlay` if "
            "tests run in its namespace\n"
            "error CB163 at lava-sync re: `lava-sync ready` of roles `left` and `router` "
            "needs every "
            "node, but role `right` never calls it\n"
            "  add `lava-sync ready` to role `right`; if only some roles have to meet, use messages"
        ),
    ),
    "a role is alone": (
        changed(("right: {two:", "right: {too:")),
        (
            "completes\n"
            "warning CB232 at two: {tags:: role `router` is alone on the VLAN `two`\n"
            "  let another role use it too, or remove it\n"
            "warning CB232 at too: {tags:: role `right` is alone on the VLAN `too`\n"
            "  let another role use it too, or remove it"
        ),
    ),
    "the request is made twice": (
        changed((DEPLOY, DEPLOY + DEPLOY)),
        (
            "completes\n"
            "warning CB234 at {action: lav: `deploy_vlans` of roles `left`, `router` and "
            "`right` is "
            "requested again, after line 20\n"
            "  remove it: a job's VLANs stay until it ends"
        ),
    ),
    "a test sends a message of the name": (
        changed((STEPS, "[lava-send two x=1, lava-sync ready]")),
        (
            "completes\n"
            "warning CB236 at lava-send tw: `lava-send two` of roles `left`, `router` and "
            "`right` has "
            "the ID of the message that tells of a VLAN (`deploy_vlans`, line 20)\n"
            "  give the message an ID that is no VLAN's name"
        ),
    ),
    "a role without VLANs asks for their names": (
        changed(("    right: {two: {tags: []}}", "    right: {}"), (", two: {tags: []}", "")),
        (
            "completes\n"
            "warning CB237 at lava-vland-n: `lava-vland-names` of role `right` is not there: "
            "the job has no VLANs\n"
            "  give role `right` a VLAN in `protocols: lava-vland`, or remove the command"
        ),
    ),
    "a job that is no group asks for them": (
        GOOD[: GOOD.index("protocols:")]
        + "device_type: board\n"
        + GOOD[GOOD.index("actions:") :]
        .replace(DEPLOY, "- deploy: {to: tmpfs}\n")
        .replace("    role: [left, router, right]\n", "")
        .replace(", lava-sync ready", ""),
        (
            "completes\n"
            "warning CB237 at lava-vland-n: `lava-vland-names` is not there: the job has no VLANs\n"
            "  VLANs connect the nodes of a MultiNode job; remove the command"
        ),
    ),
    "a VLAN comes only after what its user sends": (
        changed(
            (
                DEPLOY,
                DEPLOY.replace("left, router, right", "left").replace(
                    "      lava-vland:",
                    "      lava-multinode:\n"
                    "      - {action: deployimages, request: lava-wait, messageID: go}\n"
                    "      lava-vland:",
                )
                + ONLY_OTHERS,
            ),
            (STEPS, "['case $(lava-role) in router) lava-send go ;; esac']"),
        ),
        (
            "deadlocks\n"
            "error CB164 at {action: dep: `lava-wait go` of role `left` waits for ever: "
            "role `router` "
            "sends `go` only after its `deploy_vlans one` (line 28), and role `left` sends "
            "`one` only "
            "after this\n"
            "  move `deploy_vlans one` (line 22) before it"
        ),
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_what_is_wrong_with_vlans_is_told_once_where_it_is(text: str, expected: str) -> None:
    assert said(text) == expected


def test_a_message_that_a_test_waits_for_too_is_told_with_the_vlan() -> None:
    text = changed(
        (DEPLOY, f"- deploy: {{role: [left], to: tmpfs}}\n{ONLY_OTHERS}"),
        (STEPS, "[lava-wait one]"),
    )
    assert [each.code for each in checked(text).diagnostics] == ["CB235"]


def test_a_loop_over_vlans_leaves_the_verdict_certain() -> None:
    loop = "['for i in $(lava-vland-names); do lava-sync ready; done']"
    assert checked(changed((STEPS, loop))).outcome == "completes"

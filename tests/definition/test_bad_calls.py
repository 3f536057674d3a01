"""Every kind of problem in the calls of a block: where it is found, and what is said."""

import pytest
from tests.definition.slips import HERE, TO, TWO, Slip, call, check, deploy, found, guest

HOST = "- test:\n    role: [host]\n"
GUEST = "- test:\n    role: [guest]\n"


def start(new: str, codes: str, message: str, hint: str = "", by: str = HOST) -> Slip:
    """A call of `lava-start` in the test of the host, which releases the guests, or in `by`."""
    calls = f"[{{action: multinode-test, request: lava-start{new}}}]"
    calls = f"[{new}]" if new.startswith("¶{") else calls
    return guest(by, f"{by}    protocols: {{lava-multinode: {calls}}}\n", codes, message, hint)


CALLS = [
    call("¶lava-sync", "CB021", "must be a list, but are the text `lava-sync`"),
    call("[¶lava-sync]", "CB021", "the call of `lava-multinode` must be a map"),
    call("[¶{}]", "CB081", "an empty call", "write for instance"),
    call("[¶~]", "CB081", "an empty call", "write for instance"),
    call("[¶{action: a, messageID: a}]", "CB082", "has no `request`", "or `lava-start`"),
    call("[¶{request: lava-sync, messageID: a}]", "CB082", "names no `action`"),
    call("[{action: lava-overlay, request: ¶aggregate, messageID: a}]", "CB083", "`aggregate`"),
    call("[{action: a, request: ¶lava_wait, messageID: a}]", "CB083", "", "mean `lava-wait`?"),
    call("[¶{action: lava-overlay, request: lava-sync}]", "CB084", "has no `messageID`"),
    call("[¶{action: a, request: lava-sync, messageId: a}]", "CB084", "", "rename `messageId`"),
    call("[{action: a, request: lava-sync, messageID: ¶1}]", "CB022", "must be text", '"1"'),
    call("[{action: a, request: lava-send, messageID: a, message: {a: ¶1}}]", "CB086", "`a` of"),
    call("[{action: a, request: lava-send, messageID: a, message: ¶[a]}]", "CB086", "is a list"),
    call(
        f"[{{action: a, request: lava-send, messageID: a, message: ¶{'x' * 65500}}}]",
        "CB086",
        "longer than LAVA's limit",
    ),
    call(
        "[{action: lava-overlay, request: lava-wait, messageID: a, ¶role: client}]",
        "CB087",
        "`lava-wait` ignores `role`",
    ),
    call(
        "[{action: lava-overlay, request: lava-wait, messageID: a, ¶roles: [client]}]",
        "CB087",
        "`lava-wait` ignores `roles`",
    ),
    call(
        "[{action: a, request: lava-wait-all, messageID: a, role: ¶clint}]",
        "CB057",
        "role `clint` is not defined, but the call names it",
        "did you mean `client`?",
    ),
    call("[{action: a, request: lava-start, roles: ¶[clint]}]", "CB057", "`clint` is not defined"),
    call("[{action: a, request: lava-wait, messageID: a, timeout: ¶soon}]", "CB040", "of the call"),
    call("[{action: a, request: lava-wait, messageID: a, poll_delay: ¶x}]", "CB021", "poll_delay"),
    call("[{action: lava-overlay, request: lava-sync, messageID: a, ¶wait: 1}]", "CB025", "`wait`"),
    deploy(
        "protocols: {¶lava-vland: [{action: lava-overlay, request: deploy_vlans}]}",
        "CB089",
        "calls `lava-vland`, which the job doesn't declare",
    ),
    deploy("protocols: {¶timeout: {minutes: 1}}", "CB025", "has no use for `timeout`"),
    deploy("protocols: ¶[a]", "CB021", "`protocols` of deploy block 1 must be a map"),
    Slip(
        TWO,
        TO,
        f"{TO}    protocols: {{lava-multinode: [{{action: lava-overlay, request: "
        "lava-wait-all, messageID: a, role: ¶client}]}\n",
        "CB067",
        "waits for role `client`, which has no node",
        "",
        ("count: 2", "count: 0"),
    ),
    start(
        "¶{action: multinode-test, request: lava-start}",
        "CB082",
        "`lava-start` names no `roles`",
        "or write `request: lava-send` with `messageID: lava_start` to release every role",
    ),
    start(", roles: ¶[]", "CB082", "`lava-start` names no `roles`", "add `roles: [...]`"),
    start(", roles: ¶{guest: 1}", "CB021", "`roles` of the call of `lava-multinode` must be"),
    start(", roles: guest, ¶messageID: a", "CB087", "`lava-start` ignores `messageID`"),
    start(", roles: guest, ¶message: {a: b}", "CB087", "ignores `message`", "with `lava-send`"),
    start(", roles: guest, ¶role: guest", "CB087", "ignores `role`", "it reads `roles`"),
    start(
        ", roles: ¶[guest, host]",
        "CB092",
        "`lava-start` has no effect on role `host`, which starts at once",
        "remove it; a role can't start itself",
    ),
    start(
        ", roles: ¶guest",
        "CB092",
        "`lava-start` of `guest` can't release role `guest`, which expects `host`",
        "make the call in a block of `host`",
        by=GUEST,
    ),
    call(
        "[{action: a, request: lava-start, roles: ¶[client]}]",
        "CB092",
        "role `client`, which starts at once",
        "add `request: lava-start` and `expect_role: server` to `client`",
    ),
    call(
        "[{action: a, request: lava-send, messageID: a, message: {b: x, a: ¶$a}}]",
        "CB093",
        "`lava-send` does not fill in `$a`",
        "it is sent as it is written; `lava-wait` and `lava-wait-all` fill in",
    ),
    call("[{action: a, request: lava-send, messageID: a, message: ¶$a}]", "CB093", "fill in `$a`"),
    call(
        "[{action: a, request: lava-sync, messageID: a, message: {a: ¶$}}]", "CB093", "", "no data"
    ),
    call(
        "[¶{action: lava-overlay, request: lava-wait, messageID: a, timeout: {minutes: 5}}]",
        "CB094",
        "the call may wait for 300 s, but `lava-overlay` ends after 240 s",
        "lengthen that of deploy block 1",
    ),
    deploy(
        "timeouts: {lava-overlay: {minutes: 6}}\n    protocols: {lava-multinode: "
        "[¶{action: lava-overlay, request: lava-sync, messageID: a, timeout: 300}]}",
        "CB094",
        "the call may wait for 300 s, but `deployimages` ends after 240 s",
    ),
]

RIGHT = [
    start(", roles: [guest]", "", ""),
    start(", roles: guest", "", ""),
    start("¶{action: multinode-test, request: lava-send, messageID: lava_start}", "", ""),
    call("[{action: a, request: lava-wait-all, messageID: a, role: client, timeout: 240}]", "", ""),
    call("[{action: a, request: lava-send, messageID: a, timeout: 300, message: {a: b$}}]", "", ""),
    call("[{action: a, request: lava-wait, messageID: a, message: {a: $a, b: $c}}]", "", ""),
    call(
        "[{action: a, request: lava-wait, messageID: a}, "
        "{action: a, request: lava-sync, messageID: b}]",
        "",
        "",
    ),
]


@pytest.mark.parametrize("slip", CALLS, ids=str)
def test_a_slip_in_a_call_is_found_where_it_is_and_nothing_else_is(slip: Slip) -> None:
    check(slip)


@pytest.mark.parametrize("slip", RIGHT, ids=lambda slip: slip.new.strip())
def test_a_call_that_is_right_is_let_pass(slip: Slip) -> None:
    assert found(slip.marked.replace(HERE, "")) == ()

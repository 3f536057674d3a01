"""Each fault that LAVA's documentation names is found, also where LAVA itself finds nothing.

LAVA looks at a MultiNode definition in four places (strict schema, server, scheduler, dispatcher),
and each lets pass some of what another refuses. A case here is one fault.
"""

from pathlib import Path

import pytest
from tests.definition.slips import (
    HOSTED,
    SERVER,
    Slip,
    box,
    call,
    check,
    deploy,
    guest,
    server,
    two,
)

from callboard.actors.support import problems
from callboard.definition import read_devices, read_text

ROWS: dict[str, Slip] = {
    "an action without role": two(
        "deploy:\n    role: [server, client]\n", "¶deploy:\n", "CB072", "has no `role`", "role: ["
    ),
    "a role without count": two(
        SERVER, "server: ¶{device_type: qemu}", "CB052", "role `server` has no `count`"
    ),
    "a role of an action that is not defined": two(
        "role: [server, client]",
        "role: [¶sever, client]",
        "CB057",
        "role `sever` is not defined, but deploy block 1 names it",
        "did you mean `server`?",
    ),
    "a role without any action": two(
        SERVER, f"{SERVER}\n      more: ¶{{device_type: x, count: 1}}", "CB051", "no action names"
    ),
    "device_type and connection in one role": guest(
        "connection: ssh\n", "¶connection: ssh\n        device_type: x\n", "CB054", "has both"
    ),
    "connection without host_role": guest(
        "connection: ssh", "¶connection: ssh", "CB055", "no `host_role`", also=(HOSTED, "")
    ),
    "an unknown host_role": guest(
        "host_role: host",
        "host_role: ¶hots",
        "CB057",
        "role `hots` is not defined, but `host_role` of role `guest` names it",
        "did you mean `host`?",
    ),
    "host_role without expect_role": guest(
        HOSTED, "        ¶host_role: host\n", "CB058", "has `host_role`, but no `expect_role`"
    ),
    "an unknown expect_role": guest(
        "expect_role: host", "expect_role: ¶hots", "CB057", "role `hots` is not defined"
    ),
    "expect_role without host_role": server(
        "count: 1, ¶expect_role: client", "CB058", "`expect_role`, but no `host_role`"
    ),
    "a host role with another count than 1": guest(
        "host_role", "¶host_role", "CB059", "has `count: 2`", also=("count: 1", "count: 2")
    ),
    "a role that expects itself": guest(
        "expect_role: host", "¶expect_role: guest", "CB060", "waits for its own start"
    ),
    "lava-start on every role": guest(
        "essential: true",
        "request: lava-start, ¶expect_role: guest, host_role: host",
        "CB061",
        "wait for each other's start: all roles are delayed, so nobody starts",
    ),
    "lava-start of an action without role": two(
        "deploy:\n    role: [server, client]\n",
        "¶deploy:\n    protocols:\n      lava-multinode:\n"
        "      - {action: lava-overlay, request: lava-start, roles: [client]}\n",
        "CB072",
        "deploy block 1 has no `role`",
    ),
    "repeat and failure_retry": deploy(
        "failure_retry: 2\n    ¶repeat: 2", "CB076", "has both `repeat` and `failure_retry`"
    ),
    "the namespace common beside others": box(
        "    namespace: box\n    to: lxc",
        "    namespace: ¶common\n    to: lxc",
        "CB075",
        "reserved",
    ),
    "only some actions with a namespace": box(
        "role: [board, helper]\n    namespace: box", "¶role: [board, helper]", "CB074", "has no"
    ),
    "a call of an action that the pipeline lacks": call(
        "[¶{action: lava-overly, request: lava-sync, messageID: a}]",
        "CB085",
        "deploy block 1 has no action `lava-overly`",
        "did you mean `lava-overlay`? it has `deploy",
    ),
    "calls that are a map": call(
        "¶{action: lava-overlay, request: lava-sync, messageID: a}", "CB080", "must be a list"
    ),
}

WARNED = {
    "a call of an action that the pipeline lacks",
    "calls that are a map",
    "expect_role without host_role",
}
"""Where callboard can still do what is meant; the first is an error under `--strict`."""

GROUP = """\
job_name: group
visibility: public
timeouts: {job: {minutes: 5}}
protocols:
  lava-multinode:
    roles:
      server: {device_type: qemu, count: 1, tags: [usb]}
      client: {device_type: qemu, count: 2}
actions:
- deploy: {role: [server, client], to: tmpfs}
"""
DEVICES = {
    "an unknown device type": (
        "a: {type: x15}, b: {type: x15}, c: {type: x15}",
        ["no device has the type 'qemu' with the tags usb", "no device has the type 'qemu'"],
    ),
    "an unknown device tag": (
        "a: {type: qemu}, b: {type: qemu}, c: {type: qemu, tags: [hdmi]}",
        ["no device has the type 'qemu' with the tags usb"],
    ),
    "too few devices": (
        "a: {type: qemu, tags: [usb]}, b: {type: qemu}, c: {type: x15}",
        ["the group needs 3 devices at once"],
    ),
}


@pytest.mark.parametrize("fault", ROWS)
def test_a_fault_of_a_definition_is_found(fault: str) -> None:
    found = check(ROWS[fault])
    assert found.severity == ("warning" if fault in WARNED else "error")


@pytest.mark.parametrize("fault", DEVICES)
def test_devices_that_can_never_serve_a_group_are_found_before_it_runs(
    fault: str, tmp_path: Path
) -> None:
    text, messages = DEVICES[fault]
    definition, _ = read_text(GROUP)
    (tmp_path / "rack.yaml").write_text(f"devices: {{{text}}}")
    devices, _ = read_devices(tmp_path / "rack.yaml")
    assert definition is not None
    assert devices is not None
    found = problems(definition, devices)
    assert {(each.code, each.severity) for each in found} == {("CB102", "error")}
    assert len(found) == len(messages)
    for each, message in zip(found, messages, strict=True):
        assert each.message.startswith(message)


def test_roles_that_want_the_same_devices_are_told_which(tmp_path: Path) -> None:
    definition, _ = read_text(GROUP)
    text = (
        "devices: {a: {type: qemu, tags: [usb]}, b: {type: qemu}, c: {type: x15}, d: {type: x15}}"
    )
    (tmp_path / "rack.yaml").write_text(text)
    devices, _ = read_devices(tmp_path / "rack.yaml")
    assert definition is not None
    assert devices is not None
    [problem] = problems(definition, devices)
    assert problem.hint == "`server` needs 1 of a; `client` needs 2 of a, b"

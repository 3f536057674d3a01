"""Guests of a group log in on their host: real ssh, on throw-away hosts of this machine."""

import os
import select
import signal
import socket
import time
from pathlib import Path

import pytest
from tests.actors.drivers.hosting import needs_sshd
from tests.system.harness import Callboard, Ran

from callboard.events import ActionEnded

pytestmark = needs_sshd

DEFINITION = """\
job_name: guests
visibility: public
timeouts: {job: {minutes: 5}, action: {minutes: 2}, connection: {minutes: 2}}
protocols:
  lava-multinode:
    timeout: {minutes: 1}
    roles:
      host: {device_type: qemu, count: 1, essential: true}
      guest:
        connection: ssh
        count: 3
        host_role: host
        request: lava-start
        expect_role: host
actions:
- deploy: {role: [host], to: tmpfs, authorize: ssh, os: debian, images: {rootfs: {url: http://f/i}}}
- deploy:
    role: [guest]
    to: ssh
    os: debian
    protocols:
      lava-multinode:
      - {action: prepare-scp-overlay, request: lava-wait, messageID: addr,
         message: {ipaddr: $ipaddr}, timeout: {minutes: 1}}
- boot: {role: [host], method: qemu, prompts: ['#']}
- boot:
    role: [guest]
    method: ssh
    prompts: ['#']
    parameters: {hostID: addr, host_key: ipaddr}
- test:
    role: [host]
    definitions:
    - from: inline
      name: serve
      path: serve.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: serve}
        run:
          steps:
          - mkdir -p /run/sshd
          - echo only-here > /etc/stage
          - SERVER
          - lava-send addr ipaddr=ADDRESS
          - lava-send lava_start
          - lava-sync clients
          - lava-test-case all-came --shell test $(cat /tmp/came | wc -l) = 3
- test:
    role: [guest]
    definitions:
    - from: inline
      name: use
      path: use.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: use}
        run:
          steps:
          - lava-test-case same-system --shell grep -q only-here /etc/stage
          - lava-self >> /tmp/came
          - lava-wait addr
          - lava-sync clients
"""

CONTAINER = """\
  lava-lxc:
    host: {name: stage, template: debian, distribution: debian, release: bookworm}
actions:
"""

SERVER = "/usr/sbin/sshd -f /dev/null -p PORT -o ListenAddress=127.0.0.1 -o PidFile=none"


def prepared(callboard: Callboard, text: str) -> tuple[str, str, str]:
    """The definition, and the options for a host whose guests log in at a port of its own."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    devices = callboard.folder / "devices.yaml"
    devices.write_text(f"devices: {{stage: {{type: qemu, ssh_port: {port}}}}}")
    text = text.replace("SERVER", SERVER).replace("PORT", port).replace("ADDRESS", "127.0.0.1")
    return text, "--devices", str(devices)


def play(callboard: Callboard, text: str, *options: str) -> Ran:
    """Run the group, its host on this machine."""
    text, *devices = prepared(callboard, text)
    return callboard.run(text, *devices, *options)


def failures(ran: Ran) -> set[str]:
    """Kinds and texts of what ended its jobs."""
    errors = [job["error"] for job in ran.document["jobs"] if job["error"]]
    return {f"{each['type']}: {each['message']}" for each in errors}


def own_keys() -> str | None:
    """Who is let in to this machine."""
    keys = Path("/root/.ssh/authorized_keys")
    return keys.read_text() if keys.exists() else None


def connections(callboard: Callboard) -> list[int]:
    """The processes of ssh that this test's runs have started: they run in its folder."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                below = (entry / "cwd").readlink().is_relative_to(callboard.temporary)
            except OSError:
                continue
            found += [int(entry.name)] if below else []
    return found


def test_three_guests_log_in_on_their_host_and_meet_it(callboard: Callboard) -> None:
    before = own_keys()
    ran = play(callboard, DEFINITION)
    assert failures(ran) == set()
    assert (ran.document["status"], ran.exit_code) == ("complete", 0), ran.document
    assert ran.results("host")["0_serve/all-came"] == "pass"
    assert ran.results("guest")["0_use/same-system"] == "pass"
    ended = [event.body for event in ran.events(ActionEnded)]
    names = {each.name for each in ended if isinstance(each, ActionEnded) and each.result == "pass"}
    assert {"ssh-authorize", "scp-deploy", "ssh-connection", "scp-overlay-unpack"} <= names
    assert connections(callboard) == []
    assert own_keys() == before


def test_guests_log_in_on_a_host_in_the_network_of_the_group(callboard: Callboard) -> None:
    text = DEFINITION.replace("SERVER", SERVER.replace("=127.0.0.1", "=0.0.0.0"))
    ran = play(callboard, text.replace("ADDRESS", "$(lava-echo-ipv4 eth0)"), "--network", "group")
    assert failures(ran) == set()
    assert ran.results("guest")["0_use/same-system"] == "pass"
    assert connections(callboard) == []


@pytest.mark.parametrize(
    ("before", "after", "failure"),
    [
        ("ADDRESS", "1.2.3.4/24", "JobError: the guest can't log in: '1.2.3.4/24' is neither"),
        ("SERVER", "echo none", "InfrastructureError: can't log in as root@127.0.0.1 port"),
        (
            "echo only-here > /etc/stage",
            "rm /root/.ssh/authorized_keys",
            "InfrastructureError: can't log in as root@127.0.0.1 port",
        ),
        (
            "    parameters: {hostID: addr, host_key: ipaddr}\n",
            "",
            "JobError: a guest needs the address of its host: name the message in `hostID`",
        ),
    ],
)
def test_a_guest_that_can_not_log_in_says_why(
    callboard: Callboard, before: str, after: str, failure: str
) -> None:
    ran = play(callboard, DEFINITION.replace(before, after))
    assert ran.exit_code == 3
    assert any(each.startswith(failure) for each in failures(ran)), failures(ran)
    assert connections(callboard) == []


def test_without_a_sandbox_no_key_is_let_in_to_the_machine(callboard: Callboard) -> None:
    text = DEFINITION.replace("mkdir -p /run/sshd", "echo").replace("echo only-here > ", "echo ")
    before = own_keys()
    ran = play(callboard, text.replace("SERVER", "echo none"), "--no-sandbox")
    (skipped,) = (
        event.body
        for event in ran.events(ActionEnded)
        if isinstance(event.body, ActionEnded)
        and (event.body.name, event.body.result) == ("ssh-authorize", "skip")
    )
    assert skipped.reason == "without a sandbox the keys would be let in to this machine itself"
    assert ran.exit_code == 3
    assert own_keys() == before


def test_no_connection_outlives_a_callboard_that_is_killed(callboard: Callboard) -> None:
    text = DEFINITION.replace("- lava-wait addr\n", "- echo u''p; sleep 600\n")
    text, *devices = prepared(callboard, text)
    path = callboard.write(text)
    out = ("--json", "--no-check", "-o", str(callboard.folder / "killed"))
    process = callboard.start("run", str(path), *out, *devices)
    log = callboard.folder / "killed/events.jsonl"
    deadline_s = time.monotonic() + 60
    while not log.exists() or log.read_text().count('"text":"up"') < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        select.select([], [], [], 0.01)  # the log is a file: there is no event to wait for
    assert connections(callboard) != []
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    while connections(callboard):
        assert time.monotonic() < deadline_s, "connections are left"
        select.select([], [], [], 0.01)  # processes of others: there is no event to wait for
    assert list(callboard.temporary.iterdir()) != []
    ran = play(callboard, DEFINITION)  # which removes the keys of the one before
    assert ran.exit_code == 0


@pytest.mark.needs_lxc("debian")
@pytest.mark.timeout(300)
def test_guests_log_in_on_a_container_whose_own_server_has_the_runs_keys(
    debian: Callboard,
) -> None:
    text = DEFINITION
    for before, after in (
        ("device_type: qemu", "device_type: lxc"),
        ("actions:\n", CONTAINER),
        ("to: tmpfs", "to: lxc, packages: [openssh-server]"),
        (", images: {rootfs: {url: http://f/i}}", ""),
        ("method: qemu", "method: lxc"),
        ("minutes: 2}, connection", "minutes: 4}, connection"),
        ("SERVER", "until systemctl is-active ssh; do sleep 0.1; done"),
        ("ADDRESS", "$(lava-echo-ipv4 eth0)"),
    ):
        assert before in text, before
        text = text.replace(before, after)
    ran = debian.run(text, timeout_s=240)
    assert failures(ran) == set()
    assert (ran.document["status"], ran.exit_code) == ("complete", 0), ran.document
    assert ran.results("guest")["0_use/same-system"] == "pass"
    assert connections(debian) == []

"""A real guest on a serial console: from its power to a MultiNode call, and back to no power."""

from pathlib import Path

import pytest
from tests.system import guest
from tests.system.harness import Callboard

from callboard.events import ConsoleOutput, Message, read_log

pytestmark = pytest.mark.skipif(guest.lacking() is not None, reason=str(guest.lacking()))

JOB = """\
job_name: guest on a console
visibility: public
timeouts: {job: {minutes: 5}, action: {minutes: 1}, connection: {minutes: 1}}
protocols:
  lava-multinode:
    roles:
      board: {device_type: board, count: 1}
      helper: {device_type: qemu, count: 1}
    timeout: {minutes: 1}
actions:
- deploy: {role: [board, helper], to: overlay, os: oe}
- boot:
    role: [board]
    method: minimal
    prompts: ['~ # ']
    failure_retry: 2
    auto_login:
      login_prompt: 'guest login:'
      username: root
      password_prompt: 'Password:'
      password: hush-hush
- boot: {role: [helper], method: qemu, prompts: ['#']}
- test:
    role: [board]
    definitions:
    - from: inline
      name: there
      path: there.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: there}
        run:
          steps:
          - lava-test-case kernel --shell grep -q ttyS0 /proc/cmdline
          - lava-send ready kernel=$(uname -r) host=$(hostname)
          - lava-wait answer
          - lava-test-case answered --shell grep -q text=hello /tmp/lava_multi_node_cache.txt
- test:
    role: [helper]
    definitions:
    - from: inline
      name: here
      path: here.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: here}
        run:
          steps:
          - lava-wait ready
          - lava-test-case told --shell grep -q host=guest /tmp/lava_multi_node_cache.txt
          - lava-send answer text=hello
"""


def test_a_guest_is_booted_tested_and_switched_off(callboard: Callboard, tmp_path: Path) -> None:
    devices = tmp_path / "devices.yaml"
    devices.write_text(guest.devices(tmp_path))
    ran = callboard.run(JOB, "--devices", str(devices), "--first-id", "7")
    assert ran.exit_code == 0, ran.stderr
    assert ran.results("board") == dict.fromkeys(
        (
            "0_there/kernel",
            "0_there/multinode-send-ready",
            "0_there/multinode-wait-answer",
            "0_there/answered",
        ),
        "pass",
    )
    assert ran.results("helper")["0_here/told"] == "pass"
    log = [event.body for event in read_log(ran.directory / "events.jsonl")]
    shown = [each.text for each in log if isinstance(each, ConsoleOutput) and each.job == 7]
    assert any("Linux version" in line for line in shown)
    assert any("guest login: root" in line for line in shown)
    said = [each.text for each in log if isinstance(each, Message) and each.job == 7]
    assert any("has arrived after" in text for text in said)
    assert any("attempt 1 of 2 failed: `power_on` of guest failed" in text for text in said)
    assert guest.PASSWORD not in (ran.directory / "events.jsonl").read_text()
    assert not (tmp_path / "qemu.pid").exists(), "it has no power any more"

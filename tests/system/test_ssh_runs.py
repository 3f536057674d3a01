"""Guests on hosts that are real containers, from the command line."""

import pytest
from tests.system.boxes import tools_without, yard
from tests.system.conftest import ROOT
from tests.system.harness import Callboard

from callboard.events import JobEnded, Message

SCENARIO = ROOT / "scenarios/ssh-guests.yaml"
TOGETHER = "          - lava-sync guests-done\n"


@pytest.mark.needs_lxc("debian")
def test_the_scenario_of_three_guests_on_a_container_ends_complete(debian: Callboard) -> None:
    ran = debian.run(SCENARIO, timeout_s=600)
    assert ran.exit_code == 0, ran.document
    assert [ran.results("guest", number)["0_use/root"] for number in range(3)] == ["pass"] * 3
    [host] = ran.jobs("host")
    assert f"host-{host['id']}" not in yard(debian).names()


@pytest.mark.needs_lxc("debian")
def test_guests_whose_host_ends_while_they_work_end_with_it(debian: Callboard) -> None:
    leaving = SCENARIO.read_text().replace(TOGETHER, "          - lava-wait-all up guest\n", 1)
    text = leaving.replace(TOGETHER, "          - lava-send up\n          - sleep 4711\n", 1)
    ran = debian.run(text, timeout_s=600)
    [host] = ran.jobs("host")
    assert (host["health"], ran.exit_code) == ("complete", 3)
    errors = [(job["error"]["type"], job["error"]["message"]) for job in ran.jobs("guest")]
    assert errors == [("InfrastructureError", "the device closed its connection")] * 3
    said = [each.body.text for each in ran.events(Message) if isinstance(each.body, Message)]
    assert "the host is taken down though its guests have not ended" in said
    ends_s = [each.time_s for each in ran.events(JobEnded)]
    assert max(ends_s) - min(ends_s) < 20
    assert f"host-{host['id']}" not in yard(debian).names()


@pytest.mark.needs_lxc("debian")
def test_without_a_client_of_ssh_nothing_is_started_and_the_cure_is_named(
    callboard: Callboard,
) -> None:
    path = tools_without("ssh", callboard.folder / "tools")
    board = Callboard(callboard.folder, callboard.temporary, path=path)
    ran = board.run(SCENARIO)
    assert (ran.exit_code, ran.document["diagnostics"][0]["code"]) == (2, "CB100")
    assert "there is no ssh" in ran.document["diagnostics"][0]["message"]
    assert "openssh-client" in ran.document["diagnostics"][0]["hint"]
    assert not ran.directory.exists()
    assert not (callboard.state / "lxc").exists()

"""Waits that nobody can satisfy any more end at once, and the reports say who is to blame."""

import json
import xml.etree.ElementTree as ET
from importlib.resources import files

import pytest
import yaml
from tests.system.harness import Callboard, Ran, Test, definition

from callboard.events import CallAnswered, CallMade, JobEnded, WaitHopeless

DEAD_SERVER = files("callboard.scenarios").joinpath("dead-server.yaml").read_text()
LINE = DEAD_SERVER.splitlines().index("          - lava-wait-all ready server") + 1
GRACE_S = 0.4


def dead_server(call: str) -> str:
    """The scenario, its clients blocked in another call."""
    return DEAD_SERVER.replace("lava-wait-all ready server", call)


def ended_s(ran: Ran, role: str) -> list[float]:
    """When the jobs of a role ended, in seconds."""
    jobs = {job["id"] for job in ran.jobs(role)}
    return [
        each.time_s
        for each in ran.events(JobEnded)
        if isinstance(each.body, JobEnded) and each.body.job in jobs
    ]


@pytest.mark.parametrize(
    "call", ["lava-wait-all ready", "lava-wait-all ready server", "lava-sync ready"]
)
def test_a_call_that_needs_a_server_that_died_fails_within_a_second_of_its_death(
    callboard: Callboard, call: str
) -> None:
    ran = callboard.run(dead_server(call))
    assert (ran.exit_code, ran.document["status"]) == (1, "complete")
    [server] = ran.jobs("server")
    assert max(ended_s(ran, "client")) - ended_s(ran, "server")[0] < 1
    assert sorted(each["job"] for each in ran.document["hopeless"]) == [
        job["id"] for job in ran.jobs("client")
    ]
    for wait in ran.document["hopeless"]:
        assert (wait["role"], wait["call"], wait["step"]) == ("client", call, call)
        assert (wait["line"], wait["file"].endswith("group.yaml")) == (LINE, True)
        # A client that comes late finds that others have ended, too, without a send.
        assert wait["culprits"][0] == server["id"]
        assert {"job": server["id"], "role": "server", "state": "ended"} in wait["missing"]
    for number in range(2):
        name = call.split(maxsplit=1)[0].removeprefix("lava-").replace("-", "_")
        assert ran.results("client", number) == {
            f"0_use/multinode-{name}-ready": "fail",
            "1_after/alive": "pass",
        }
        assert ran.suites("client", number) == {"0_use": "fail", "1_after": "pass"}


def test_a_wait_for_a_server_that_died_fails_within_the_grace_and_a_second(
    callboard: Callboard,
) -> None:
    ran = callboard.run(dead_server("lava-wait ready"), "--deadlock-grace", "2")
    assert ran.exit_code == 1
    [server] = ran.jobs("server")
    died_s = ended_s(ran, "server")[0]
    reported_s = [each.time_s - died_s for each in ran.events(WaitHopeless)]
    assert len(reported_s) == 2
    assert all(0.5 < each < 1.9 for each in reported_s), "a second after the last request"
    assert all(1.5 < each - died_s < 3 for each in ended_s(ran, "client"))
    assert [each["culprits"] for each in ran.document["hopeless"]] == [[server["id"]]] * 2
    assert all(
        each["missing"] == [{"job": server["id"], "role": "server", "state": "ended"}]
        for each in ran.document["hopeless"]
    )


def test_no_fail_fast_reports_what_is_hopeless_and_lets_it_wait(callboard: Callboard) -> None:
    text = dead_server("lava-sync ready").replace("timeout: {minutes: 10}", "timeout: {seconds: 2}")
    ran = callboard.run(text, "--no-fail-fast")
    assert ran.exit_code == 1
    answers = [each.body for each in ran.events(CallAnswered)]
    waited_s = [
        each.waited_s for each in answers if isinstance(each, CallAnswered) and each.call == "sync"
    ]
    assert len(waited_s) == 2
    assert all(each >= 2 for each in waited_s)
    assert len(ran.document["hopeless"]) == 2


def test_junit_fails_the_culprit_and_skips_its_victims(callboard: Callboard) -> None:
    ran = callboard.run(DEAD_SERVER)
    [server] = ran.jobs("server")
    root = ET.parse(ran.directory / "junit.xml").getroot()
    found: dict[tuple[str, str], list[str]] = {}
    for case in root.iter("testcase"):
        role = case.attrib["classname"].partition(".")[0]
        found.setdefault((role, case.attrib["name"]), []).extend(each.tag for each in case)
    assert found["server", "blamed for lava-wait-all ready server"] == ["failure"]
    assert found["client", "multinode-wait_all-ready"] == ["skipped", "skipped"]
    assert found["client", "0_use"] == ["skipped", "skipped"]
    reasons = [each.attrib["message"] for each in root.iter("skipped")]
    reference = f"lava-wait-all ready server waited in vain; see job {server['id']}"
    assert reasons.count(reference) == 4
    failures = [each.attrib["message"] for each in root.iter("failure")]
    clients = ", ".join(f"{job['id']} (client)" for job in ran.jobs("client"))
    assert f"{clients} waited in vain: this job ended without it" in failures
    for suite in root.iter("testsuite"):
        for kind, tag in (("failures", "failure"), ("skipped", "skipped")):
            assert int(suite.attrib[kind]) == len(list(suite.iter(tag)))
    results = yaml.safe_load((ran.directory / "results.yaml").read_text())
    blamed = {each["job"]: each["blame"] for each in results if "blame" in each}
    assert blamed == {job["id"]: str(server["id"]) for job in ran.jobs("client")}


def test_junit_fails_a_definition_that_went_on_after_its_wait_in_vain(
    callboard: Callboard,
) -> None:
    roles = {"a": [Test("a", ["lava-wait-all q b || true", "false"])], "b": [Test("b", ["true"])]}
    ran = callboard.run(definition(roles))
    root = ET.parse(ran.directory / "junit.xml").getroot()
    found = {
        case.attrib["name"]: [each.tag for each in case]
        for case in root.iter("testcase")
        if case.attrib["classname"].startswith("a.")
    }
    assert (found["multinode-wait_all-q"], found["0_a"]) == (["skipped"], ["failure"])


def test_a_circle_of_waits_blames_those_in_it(callboard: Callboard) -> None:
    roles = {
        "left": [Test("l", ["lava-wait-all to-left right", "lava-send to-right"])],
        "right": [Test("r", ["lava-wait-all to-right left", "lava-send to-left"])],
    }
    ran = callboard.run(definition(roles, limit_s=300), "--deadlock-grace", str(GRACE_S))
    assert ran.exit_code == 1
    jobs = [job["id"] for job in ran.document["jobs"]]
    blamed = {each["job"]: each["culprits"] for each in ran.document["hopeless"]}
    assert blamed == dict.fromkeys(jobs, jobs)


def test_the_summary_says_that_nobody_sends_what_several_wait_for(callboard: Callboard) -> None:
    roles = {"client": [Test("c", ["lava-wait redy"])]}
    path = callboard.write(definition(roles, counts={"client": 2}, limit_s=300))
    out = str(callboard.folder / "out")
    options = ["-q", "--no-check", "-o", out, "--deadlock-grace", str(GRACE_S)]
    process = callboard.start("run", str(path), *options)
    text = " ".join(process.communicate(timeout=60)[0].split())
    assert process.returncode == 1
    assert "which waited for what nobody sends in lava-wait redy" in text


@pytest.mark.parametrize(
    "send",
    [
        'for i in 1 2; do lava-send msg"$i"; done',
        "c=lava-; ${c}send msg1",
        "echo lava-send msg1 | sh",
    ],
)
def test_a_sender_that_can_not_be_read_from_its_definition_is_waited_for(
    callboard: Callboard, send: str
) -> None:
    roles = {"a": [Test("a", ["lava-wait msg1"])], "b": [Test("b", ["sleep 2", send])]}
    ran = callboard.run(definition(roles), "--deadlock-grace", str(GRACE_S))
    assert ran.results("a") == {"0_a/multinode-wait-msg1": "pass"}
    assert ran.document["hopeless"] == []


def test_a_wait_for_what_nobody_sends_names_no_other_job(callboard: Callboard) -> None:
    roles = {
        "server": [Test("s", ["lava-send ready", "lava-sync end"])],
        "client": [Test("c", ["lava-wait redy"])],
    }
    ran = callboard.run(definition(roles, limit_s=300), "--deadlock-grace", str(GRACE_S))
    [client] = ran.jobs("client")
    found = {each["job"]: each for each in ran.document["hopeless"]}
    assert found[client["id"]]["missing"] == []
    assert found[client["id"]]["culprits"] == [client["id"]]
    text = (ran.directory / f"jobs/{client['id']}/output.yaml").read_text()
    assert (
        "lava-wait redy presumably can never be satisfied: no node of the group ever sends it"
        in text
    )


@pytest.mark.parametrize(
    "aside",
    [
        "(sleep 2; lava-send ready) &",
        "lava-background-process-start work --cmd 'sleep 1; lava-send ready'",
        "(printf 'sleep 2\\nlava-send ready\\n' | sh) &",
    ],
)
def test_a_group_in_which_somebody_still_works_is_left_to_wait(
    callboard: Callboard, aside: str
) -> None:
    roles = {
        "server": [Test("s", [aside, "lava-wait ready"])],
        "client": [Test("c", ["lava-wait ready"])],
    }
    ran = callboard.run(definition(roles), "--deadlock-grace", str(GRACE_S))
    assert ran.results("client") == {"0_c/multinode-wait-ready": "pass"}
    assert len(ran.events(WaitHopeless)) == 2, "it was reported while nobody seemed to send"
    assert ran.document["hopeless"] == []


@pytest.mark.parametrize("wait", ["lava-wait ready &", "timeout 100 lava-wait ready &"])
def test_a_wait_in_the_background_that_gives_up_does_not_count_as_waiting(
    callboard: Callboard, wait: str
) -> None:
    roles = {
        "server": [Test("s", [wait, "sleep 2", "lava-send ready"])],
        "client": [Test("c", ["lava-wait ready"])],
    }
    ran = callboard.run(definition(roles), "--deadlock-grace", str(GRACE_S))
    assert ran.results("client") == {"0_c/multinode-wait-ready": "pass"}
    assert ran.results("server") == {
        "0_s/multinode-wait-ready": "fail",
        "0_s/multinode-send-ready": "pass",
    }
    assert ran.document["hopeless"] == []
    assert "the console was closed before the call was answered" in " ".join(ran.console("server"))


def test_the_answer_to_a_helper_that_was_killed_is_not_taken_for_another_ones(
    callboard: Callboard,
) -> None:
    kill = "(sleep 1; pkill -KILL -f '[l]ava-wait x') & lava-wait x || true"
    roles = {
        "a": [Test("a", [kill, "lava-wait y", "lava-test-case y --shell grep -q v=2 /tmp/lava*"])],
        "b": [Test("b", ["sleep 2", "lava-send x v=1", "sleep 2", "lava-send y v=2"])],
    }
    ran = callboard.run(definition(roles))
    assert ran.results("a")["0_a/multinode-wait-y"] == "pass"
    assert ran.results("a")["0_a/y"] == "pass"


def test_a_wait_that_can_not_read_the_console_fails_at_once(callboard: Callboard) -> None:
    roles = {
        "a": [
            Test("a", ["timeout 100 lava-wait x"]),
            Test("c", ["timeout --foreground 9 lava-wait x"]),
        ],
        "b": [Test("b", ["sleep 2", "lava-send x"])],
    }
    ran = callboard.run(definition(roles), timeout_s=60)
    assert ran.results("a") == {"0_a/multinode-wait-x": "fail", "1_c/multinode-wait-x": "pass"}


def test_who_waits_for_one_that_waits_in_vain_is_failed_later(callboard: Callboard) -> None:
    roles = {
        "a": [Test("a", ["lava-wait x"]), Test("then", ["lava-send y"])],
        "b": [Test("b", ["lava-wait y"])],
    }
    ran = callboard.run(definition(roles, limit_s=300), "--deadlock-grace", str(GRACE_S))
    assert ran.results("a") == {"0_a/multinode-wait-x": "fail", "1_then/multinode-send-y": "pass"}
    assert ran.results("b") == {"0_b/multinode-wait-y": "pass"}
    assert [each["call"] for each in ran.document["hopeless"]] == ["lava-wait x"]


def test_an_abandoned_wait_ends_though_another_node_works_aside(callboard: Callboard) -> None:
    roles = {
        "a": [Test("a", ["lava-wait x"]), Test("then", ["lava-send y"])],
        "b": [Test("b", ["sleep 300 & lava-wait y"])],
    }
    ran = callboard.run(definition(roles, limit_s=300), "--deadlock-grace", str(GRACE_S))
    assert ran.results("b") == {"0_b/multinode-wait-y": "pass"}


def test_what_a_hopeless_wait_belongs_to_is_in_the_log(callboard: Callboard) -> None:
    ran = callboard.run(DEAD_SERVER)
    made = {each.seq: each.body for each in ran.events(CallMade)}
    for report in ran.events(WaitHopeless):
        assert isinstance(report.body, WaitHopeless)
        call = made[report.cause or 0]
        assert isinstance(call, CallMade)
        assert (call.job, call.id) == (report.body.job, report.body.id)
    assert json.dumps(ran.document["hopeless"])

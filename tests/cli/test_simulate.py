"""`callboard simulate` as a user meets it."""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest
import yaml
from jsonschema import Draft202012Validator
from tests.commandline import CALLBOARD, SCENARIOS, callboard, document, process
from tests.simulation.races import AGAIN, AGAIN_MODEL, LATE, LATE_MODEL, written

from callboard import pytest_plugin
from callboard.cli.output import Color, Output
from callboard.cli.ruin import print_casualties
from callboard.definition import load
from callboard.events import read_log
from callboard.report import schema
from callboard.report.document import SchemaName
from callboard.simulation import scenario
from callboard.simulation.casualty import Casualty, blows, kill_each
from callboard.simulation.crew import Crew
from callboard.simulation.trial import Finding, Stage

TWO_ROLES = SCENARIOS / "two-roles.yaml"
DEAD_SERVER = SCENARIOS / "dead-server.yaml"
MANY = "1..1000000"


def simulated(folder: Path, name: SchemaName, *arguments: str | Path) -> Any:
    """The document of a rehearsal or of many, which keeps its schema."""
    ran = callboard(folder, *arguments, "--json")
    found = document(ran)
    Draft202012Validator(schema(name)).validate(found)
    assert found["exit_code"] == ran.returncode
    return found


def test_one_seed_prints_the_summary_of_a_run_and_the_hash_of_its_log(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "simulate", TWO_ROLES, "--seed", "3")
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert [line.split()[1:4] for line in lines[1:4]] == [
        ["server", "simulated-1", "complete"],
        ["client", "simulated-2", "complete"],
        ["client", "simulated-3", "complete"],
    ]
    assert lines[-1].startswith("seed 3, ")
    assert list(tmp_path.iterdir()) == []


def test_the_document_of_a_rehearsal_is_that_of_a_run_and_more(tmp_path: Path) -> None:
    found = simulated(tmp_path, "simulate", "simulate", TWO_ROLES)
    run = schema("run")["properties"]
    assert isinstance(run, dict)
    assert found.keys() - run.keys() == {
        "seed",
        "virtual_duration",
        "events",
        "trace_sha256",
        "roles",
    }
    assert [len(found["jobs"]), found["seed"], found["directory"]] == [3, 0, None]
    assert {role["role"]: role["nodes"] for role in found["roles"]} == {"server": 1, "client": 2}


def test_the_same_seed_writes_the_same_log_whose_hash_is_printed(tmp_path: Path) -> None:
    first = callboard(tmp_path, "simulate", TWO_ROLES, "--trace", "one.jsonl", "--json")
    callboard(tmp_path, "simulate", TWO_ROLES, "--trace", "two.jsonl", "--seed", "0")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    events = list(read_log(tmp_path / "one.jsonl"))
    assert len(events) == document(first)["events"]
    printed = callboard(tmp_path, "simulate", TWO_ROLES, "--seed", "0").stdout
    assert document(first)["trace_sha256"] in printed


def test_what_was_given_up_as_hopeless_is_blamed_and_exit_code_4(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "simulate", DEAD_SERVER, "--no-check")
    assert ran.returncode == 4
    assert "to blame: 1 (server)" in ran.stdout
    found = simulated(tmp_path, "simulate", "simulate", DEAD_SERVER, "--no-check")
    assert found["hopeless"][0]["culprits"] == [1]
    [client] = [role for role in found["roles"] if role["role"] == "client"]
    calls = [each for each in client["failures"] if each["kind"] == "call"]
    assert [(each["what"], each["hopeless"]) for each in calls] == [
        ("lava-wait-all ready server", True)
    ]


def test_the_check_refuses_a_group_in_the_words_of_run(tmp_path: Path) -> None:
    refused = callboard(tmp_path, "simulate", DEAD_SERVER)
    assert refused.returncode == 4
    assert refused.stderr == callboard(tmp_path, "run", DEAD_SERVER).stderr
    found = document(callboard(tmp_path, "simulate", DEAD_SERVER, "--json"))
    assert (found["status"], found["exit_code"]) == ("refused", 4)


def test_the_check_is_of_the_group_that_is_rehearsed(tmp_path: Path) -> None:
    # Without a server nobody sends what the clients wait for.
    ran = callboard(tmp_path, "simulate", TWO_ROLES, "--scale", "server=0")
    assert ran.returncode == 4


def test_a_large_group_is_told_by_role(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "simulate", TWO_ROLES, "--scale", "client=30")
    assert ran.returncode == 0
    assert [line.split() for line in ran.stdout.splitlines()[:3]] == [
        ["role", "nodes", "complete", "incomplete", "canceled", "ended"],
        ["server", "1", "1", "0", "0", *ran.stdout.splitlines()[1].split()[-2:]],
        ["client", "30", "30", "0", "0", *ran.stdout.splitlines()[2].split()[-2:]],
    ]


def test_what_fails_in_a_large_group_is_counted_and_not_listed(tmp_path: Path) -> None:
    arguments = written(tmp_path, LATE, "steps: [{step: make-image *, takes: 100}]\n")
    ran = callboard(tmp_path, *arguments, "--scale", "client=40")
    assert ran.returncode == 1
    assert ran.stdout.count("lava-wait ready was not satisfied within 30 s") == 1
    assert ran.stdout.startswith("all client: lava-wait ready")
    assert len(ran.stdout.splitlines()) < 12


def test_above_a_thousand_nodes_the_document_has_roles_and_no_jobs(tmp_path: Path) -> None:
    found = simulated(tmp_path, "simulate", "simulate", TWO_ROLES, "--scale", "client=1000")
    assert (found["jobs"], found["hopeless"]) == ([], [])
    assert found["roles"][1]["health"]["complete"] == 1000


@pytest.mark.parametrize("name", ["ssh-guests", "lxc-pair"])
def test_guests_and_containers_are_rehearsed_though_they_can_not_be_run(
    tmp_path: Path, name: str
) -> None:
    found = simulated(tmp_path, "simulate", "simulate", SCENARIOS / f"{name}.yaml")
    assert (found["status"], found["exit_code"]) == ("complete", 0)


INTERACTIVE = """\
job_name: interactive
visibility: public
timeouts: {job: {minutes: 10}, action: {minutes: 5}}
device_type: qemu
actions:
- boot: {method: qemu, prompts: ['#']}
- test: {interactive: [{name: x, prompts: ["=> "], script: [{command: help}]}]}
"""


def test_a_test_whose_calls_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "group.yaml").write_text(INTERACTIVE)
    ran = callboard(tmp_path, "simulate", "group.yaml")
    assert ran.returncode == 2
    assert "group.yaml:7:3: error[CB101]: a test of kind interactive" in ran.stderr


def test_verbose_tells_what_every_node_does(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "simulate", TWO_ROLES, "-v")
    assert "2 client: lava-wait ready waits, at most 300 s" in ran.stdout


def test_seeds_tell_the_outcomes_apart_and_how_to_see_each(tmp_path: Path) -> None:
    arguments = written(tmp_path, LATE, LATE_MODEL)
    found = simulated(tmp_path, "simulate-seeds", *arguments, "--seeds", "1..200")
    assert found["seeds"] == sum(each["count"] for each in found["outcomes"]) == 200
    late, *_, good = found["outcomes"]
    assert (late["exit_code"], good["exit_code"], found["exit_code"]) == (1, 0, 1)
    [failure] = [each for each in late["failures"] if each["kind"] == "call"]
    assert (failure["role"], failure["what"]) == ("client", "lava-wait ready")
    program, *words = shlex.split(late["command"])
    assert program == "callboard"
    again = callboard(tmp_path, *words, "--json")
    assert (again.returncode, document(again)["events"]) == (1, late["shortest"]["events"])


def test_the_table_of_outcomes_fits_eighty_columns(tmp_path: Path) -> None:
    arguments = written(tmp_path, LATE, LATE_MODEL)
    ran = callboard(tmp_path, *arguments, "--seeds", "1..40")
    assert ran.returncode == 1
    lines = ran.stdout.splitlines()
    assert lines[0].split() == ["outcome", "exit", "code", "seeds", "first", "shortest", "events"]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("   callboard simulate group.yaml --model") for line in lines)


def test_how_many_processors_there_are_changes_nothing(tmp_path: Path) -> None:
    arguments = [*CALLBOARD, *written(tmp_path, LATE, LATE_MODEL), "--seeds", "1..40", "--json"]

    def printed(prepare: Callable[[], object]) -> str:
        return subprocess.run(
            arguments, cwd=tmp_path, preexec_fn=prepare, capture_output=True, text=True, check=False
        ).stdout

    [one, *_] = os.sched_getaffinity(0)
    assert printed(lambda: os.sched_setaffinity(0, {one})) == printed(lambda: None) != ""


@pytest.mark.parametrize(
    ("text", "model", "more"),
    [
        pytest.param(LATE, LATE_MODEL, [], id="a wait whose limit is too short now and then"),
        pytest.param(
            AGAIN, AGAIN_MODEL, ["--semantics", "lava"], id="a sync that is used again, in LAVA"
        ),
    ],
)
def test_a_planted_race_is_found_within_200_seeds_and_shrunk_to_its_two_nodes(
    tmp_path: Path, text: str, model: str, more: list[str]
) -> None:
    arguments = [*written(tmp_path, text, model), *more, "--seeds", "1..200"]
    found = simulated(tmp_path, "simulate-shrink", *arguments, "--shrink")
    shrunk = found["shrunk"]
    assert (shrunk["nodes"], shrunk["faults"]) == (2, None)
    assert {each["kind"] for each in shrunk["failures"]} >= {"call"}
    _, *words = shlex.split(shrunk["command"])
    again = document(callboard(tmp_path, *words, "--json"))
    assert (again["exit_code"], again["events"]) == (found["exit_code"], shrunk["events"])


def test_faults_that_a_failure_does_not_need_are_dropped(tmp_path: Path) -> None:
    faults = """\
faults:
- {slow: observer, factor: 2}
- {draw: [slow], rate: 1, within: 5}
- {hang: [server, {any: client}], at: {call: "lava-* ready"}, for: 100}
"""
    (tmp_path / "faults.yaml").write_text(faults)
    arguments = [*written(tmp_path, LATE), "--faults", "faults.yaml"]
    ran = callboard(tmp_path, *arguments, "--shrink")
    assert ran.returncode == 1
    assert "the same failure with 2 of 6 nodes and 1 fault:" in ran.stdout
    found = simulated(tmp_path, "simulate-shrink", *arguments, "--shrink")
    left = found["shrunk"]["faults"]
    assert yaml.safe_load(left) == {
        "faults": [{"hang": "server", "at": {"call": "lava-* ready"}, "for": 100.0}]
    }
    (tmp_path / "shrunk-faults.yaml").write_text(left)
    _, *words = shlex.split(found["shrunk"]["command"])
    again = document(callboard(tmp_path, *words, "--json"))
    assert (again["exit_code"], again["events"]) == (1, found["shrunk"]["events"])


def test_where_nothing_fails_there_is_nothing_to_shrink(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "simulate", TWO_ROLES, "--shrink")
    assert (ran.returncode, ran.stdout) == (
        0,
        "seed 0 does not fail: there is nothing to shrink\n",
    )
    found = simulated(tmp_path, "simulate-shrink", "simulate", TWO_ROLES, "--shrink")
    assert found["shrunk"] is None


def test_each_node_is_killed_at_each_call_and_those_who_wait_for_it_learn_it(
    tmp_path: Path,
) -> None:
    found = simulated(tmp_path, "simulate-every-fault", "simulate", TWO_ROLES, "--every-fault")
    assert found["baseline"]["exit_code"] == 0
    assert [
        (each["role"], each["node"], each["alike"], each["call"], each["exit_code"])
        for each in found["kills"]
    ] == [
        ("server", 1, 1, "lava-send ready", 4),
        ("server", 1, 1, "lava-sync done", 4),
        ("client", 1, 2, "lava-wait ready", 4),
        ("client", 1, 2, "lava-sync done", 4),
    ]
    # Nobody waits for a limit of 300 s.
    assert all(each["verdict"] < 30 for each in found["kills"])
    first = found["kills"][0]
    (tmp_path / "fault.yaml").write_text(first["fault"])
    again = callboard(tmp_path, "simulate", TWO_ROLES, "--faults", "fault.yaml")
    assert again.returncode == 4


@cache
def killed(name: str) -> tuple[Finding, Sequence[Casualty]]:
    """What becomes of a scenario's group without a kill, and with each."""
    stage = Stage(load(SCENARIOS / f"{name}.yaml"))
    baseline, found = blows(stage, 1)
    with Crew(stage) as crew:
        return baseline, kill_each(crew, stage, 1, found)


@pytest.mark.parametrize("columns", [60, 80, 130])
@pytest.mark.parametrize("color", ["never", "always"])
@pytest.mark.parametrize("name", ["demo", "iperf"])
def test_the_table_of_kills_is_whole_at_any_width(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    color: Color,
    columns: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    print_casualties(*killed(name), Output(color=color).console)
    printed = capsys.readouterr().out
    assert ("\x1b[" in printed) == (color == "always")
    assert_table_of_kills(printed, columns)


def test_the_table_of_kills_is_what_every_fault_prints(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "simulate", SCENARIOS / "demo.yaml", "--every-fault")
    assert (ran.returncode, ran.stderr) == (4, "")
    assert_table_of_kills(ran.stdout, 80)


def assert_table_of_kills(printed: str, columns: int) -> None:
    screen = pyte.Screen(columns, 100)
    pyte.Stream(screen).feed(printed.replace("\n", "\r\n"))
    table = [line.rstrip() for line in screen.display][2:14]
    assert table[0].split() == ["exit", "waits"]
    assert table[1].split() == ["killed", "at", "line", "outcome", "code", "fail", "verdict"]
    assert not any("…" in line for line in table)


@pytest.mark.parametrize("seeds", [["--seed", "5"], ["--seeds", "1..10"]])
def test_two_processes_write_the_same_logs(tmp_path: Path, seeds: list[str]) -> None:
    found = simulated(tmp_path, "simulate-verify", "simulate", TWO_ROLES, "--verify", *seeds)
    assert (found["verified"], found["difference"]) == (True, None)
    if seeds == ["--seed", "5"]:
        alone = simulated(tmp_path, "simulate", "simulate", TWO_ROLES, *seeds)
        assert alone["trace_sha256"] == found["trace_sha256"]


def planted(folder: Path, code: str) -> dict[str, str]:
    """Variables that have every process of callboard begin with some code."""
    (folder / "planted").mkdir()
    (folder / "planted/sitecustomize.py").write_text(code)
    path = [str(folder / "planted"), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def test_the_first_event_that_the_hash_seed_changes_is_shown(tmp_path: Path) -> None:
    code = """\
from callboard.simulation import tempo
tempo.STEP_S += hash("any text") % 1000 / 1e6
"""
    arguments = written(tmp_path, LATE)
    variables = planted(tmp_path, code)
    ran = process(tmp_path, *arguments, "--verify", "--seeds", "7..9", **variables)
    assert (ran.returncode, ran.stderr) == (3, "")
    first, second, *events = ran.stdout.splitlines()
    assert first.startswith("seed 7 does not decide everything")
    number = int(second.split()[1])
    assert [json.loads(event)["seq"] for event in events] == [number, number]
    assert events[0] != events[1]


def test_a_rehearsal_that_breaks_is_named_by_its_seed(tmp_path: Path) -> None:
    code = """\
from callboard.simulation import simulator
run = simulator.Rehearsal.run
def broken(self, seed, sinks=()):
    if seed == 7:
        raise RuntimeError("boom")
    return run(self, seed, sinks)
simulator.Rehearsal.run = broken
"""
    variables = planted(tmp_path, code)
    ran = process(tmp_path, "simulate", TWO_ROLES, "--seeds", "1..20", **variables)
    assert ran.returncode == 3
    assert "the rehearsal with seed 7 broke: RuntimeError: boom" in ran.stderr
    assert f"callboard simulate {TWO_ROLES} --seed 7" in ran.stderr


def children(pid: int) -> list[int]:
    """The processes that a process has begun and that live."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def until_gone(pids: list[int]) -> None:
    while any(map(lives, pids)):
        pass


def searching(folder: Path) -> "subprocess.Popen[str]":
    """A search that goes on for ever, whose workers have begun."""
    process = subprocess.Popen(
        [*CALLBOARD, "simulate", str(TWO_ROLES), "--seeds", MANY],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    workers = len(os.sched_getaffinity(0))
    while len(children(process.pid)) < workers:
        assert process.poll() is None
    return process


def test_an_interruption_ends_all_processes_at_once(tmp_path: Path) -> None:
    process = searching(tmp_path)
    workers = children(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out, error.strip()) == (130, "", "interrupted")
    until_gone(workers)


def test_an_interruption_does_not_wait_for_thousands_of_nodes_to_end(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*CALLBOARD, "simulate", str(TWO_ROLES), "--scale", "client=5000", "--trace", "log.jsonl"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = tmp_path / "log.jsonl"
    while not (log.exists() and log.stat().st_size > 5_000_000):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=5)
    assert (process.returncode, out, error.strip()) == (130, "", "interrupted")


def test_a_worker_that_is_killed_is_named_by_its_seed(tmp_path: Path) -> None:
    process = searching(tmp_path)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "broke: its process was killed by signal 9" in error
    assert "error[CB109]: the rehearsal with seed " in error


def test_no_worker_outlives_callboard(tmp_path: Path) -> None:
    process = searching(tmp_path)
    workers = children(process.pid)
    process.kill()
    process.communicate(timeout=30)
    until_gone(workers)


def test_a_bar_on_a_terminal_says_how_far_it_has_come_and_vanishes(tmp_path: Path) -> None:
    arguments = ["simulate", str(TWO_ROLES), "--seeds", MANY]
    screen = pyte.Screen(80, 24)
    stream = pyte.ByteStream(screen)
    child: pexpect.spawn[bytes] = pexpect.spawn(
        CALLBOARD[0], [*CALLBOARD[1:], *arguments], cwd=tmp_path, dimensions=(24, 80), timeout=60
    )
    child.expect(rb"^.* [1-9][0-9]*/1000000")
    assert isinstance(child.after, bytes)
    stream.feed(child.after)
    child.sendintr()
    child.expect(pexpect.EOF)
    assert isinstance(child.before, bytes)
    stream.feed(child.before)
    child.close()
    shown = [line.strip() for line in screen.display if line.strip()]
    assert (child.exitstatus, shown[-1]) == (130, "interrupted")
    assert not any("seeds" in line for line in shown)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "x"], "`x` is no seed"),
        (["--seed", "-1"], "`-1` is no seed"),
        (["--seed", "1..3"], "--seed takes one seed"),
        (["--seeds", "5..1"], "the seeds `5..1` are reversed"),
        (["--seeds", "a..b"], "`a` is no seed"),
        (["--seed", "1", "--seeds", "1..2"], "--seed and --seeds can't both be given"),
        (["--scale", "clint=3"], "role `clint` is not defined"),
        (["--scale", "client=x"], "`x` is no number of nodes"),
        (["--scale", "client=-1"], "`-1` is no number of nodes"),
        (["--scale", "client=²"], "`²` is no number of nodes"),
        (["--scale", "client"], "names no role and its number of nodes"),
        (["--scale", "client=100001"], "100,000 nodes can be rehearsed at once"),
        (["--scale", "client=99999", "--scale", "server=2"], "100,000 nodes can be rehearsed"),
        (["--scale", "client=0", "--scale", "server=0"], "no node is left"),
        (["--shrink", "--verify"], "--shrink and --verify can't be given together"),
        (["--every-fault", "--seeds", "1..2"], "--every-fault takes one seed"),
        (["--trace", "x", "--seeds", "1..2"], "--trace is of one rehearsal"),
        (["--trace", "no/x"], "no/x can't be written: No such file or directory"),
        (["--model", "none.yaml"], "none.yaml:1:1: error[CB001]"),
        (["--faults", "none.yaml"], "none.yaml:1:1: error[CB001]"),
        (["--semantics", "other"], "'other' is not one of"),
    ],
)
def test_bad_input_is_exit_code_2_and_says_what_is_wrong(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    ran = callboard(tmp_path, "simulate", TWO_ROLES, *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_a_scenario_is_recognised_by_the_same_name_here_and_in_pytest() -> None:
    assert scenario.SUFFIX == pytest_plugin.SUFFIX


def test_a_scenario_that_holds_says_what_was_compared(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "simulate", SCENARIOS / "iperf.scenario.yaml")
    assert (ran.returncode, ran.stderr) == (0, "")
    first, *lines = ran.stdout.splitlines()
    assert first.endswith("iperf.scenario.yaml: all is as expected")
    assert lines == [
        "   check: completes",
        "   20 seeds: status, exit-code, health, results, hopeless, order, duration",
    ]


def planned(folder: Path, expect: str, seeds: str = "1..3") -> Path:
    """A scenario of a group in which clients wait for what nobody sends."""
    path = folder / "misspelt.scenario.yaml"
    definition = SCENARIOS / "misspelt.yaml"
    path.write_text(f"definition: {definition}\nseeds: {seeds}\n{expect}\n")
    return path


WRONG = "check: completes\nexpect: {exit-code: 0, hopeless: [client, server]}"


def test_a_scenario_that_does_not_hold_says_where_and_why_and_how_to_see_it(
    tmp_path: Path,
) -> None:
    planned(tmp_path, WRONG)
    ran = callboard(tmp_path, "simulate", "misspelt.scenario.yaml")
    assert (ran.returncode, ran.stderr) == (1, "")
    text = " ".join(ran.stdout.split())
    assert "scenario.yaml:3:8: expected the check to say `completes`, but it says `deadlo" in text
    assert "misspelt.scenario.yaml:4:21: expected the exit code 0, but it is 4" in text
    assert "to blame: 2 (client), 3 (client), which waited for what nobody sends" in text
    assert "3 seeds fail so: 1, 2, 3" in text
    assert ran.stdout.endswith("   check: deadlocks, not completes\n   3 of 3 seeds fail\n")
    [line] = [line for line in ran.stdout.splitlines() if line.startswith("   callboard simulate ")]
    again = callboard(tmp_path, *shlex.split(line)[1:])
    assert again.returncode == 1
    assert again.stdout.endswith("   seed 1 fails\n")
    assert "the exit code 0, but it is 4" in again.stdout


def test_the_document_of_a_scenario_keeps_its_schema(tmp_path: Path) -> None:
    planned(tmp_path, WRONG)
    found = simulated(tmp_path, "simulate-scenario", "simulate", "misspelt.scenario.yaml")
    assert (found["holds"], found["seeds"]) == (False, 3)
    assert found["check"] == {"expected": "completes", "found": "deadlocks"}
    [complaint] = found["complaints"]
    assert complaint["seeds"] == [1, 2, 3]
    [mismatch] = complaint["mismatches"]
    assert (mismatch["line"], mismatch["expected"]) == (4, "the exit code 0")
    planned(tmp_path, "expect: {exit-code: 4}")
    found = simulated(tmp_path, "simulate-scenario", "simulate", "misspelt.scenario.yaml")
    assert (found["holds"], found["check"], found["complaints"]) == (True, None, [])


def test_a_scenario_may_be_rehearsed_with_other_seeds_than_its_own(tmp_path: Path) -> None:
    planned(tmp_path, "expect: {exit-code: 4}")
    more = ["misspelt.scenario.yaml", "--seeds", "7..11"]
    assert simulated(tmp_path, "simulate-scenario", "simulate", *more)["seeds"] == 5


def test_the_log_of_a_scenario_is_that_of_its_group(tmp_path: Path) -> None:
    planned(tmp_path, "expect: {exit-code: 4}")
    more = ["--seed", "3", "--trace"]
    callboard(tmp_path, "simulate", "misspelt.scenario.yaml", *more, "one")
    callboard(tmp_path, "simulate", SCENARIOS / "misspelt.yaml", "--no-check", *more, "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() != b""


def test_verbose_tells_what_every_node_of_a_scenario_does(tmp_path: Path) -> None:
    planned(tmp_path, "expect: {exit-code: 4}", seeds="1")
    ran = callboard(tmp_path, "simulate", "misspelt.scenario.yaml", "-v")
    assert "2 client: lava-wait raedy waits, at most 60 s" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "x.yaml"], "--model can't be given with a scenario"),
        (["--faults", "x.yaml"], "--faults can't be given with a scenario"),
        (["--scale", "client=3"], "write `scale:` into the scenario"),
        (["--semantics", "documented"], "--semantics can't be given with a scenario"),
        (["--no-check"], "a scenario says with `check:` what the check is to find"),
        (["--replay", "run"], "--replay can't be given with a scenario"),
        (["--every-fault"], "rehearse its definition with it"),
        (["--shrink"], "--shrink can't be given with a scenario"),
        (["--verify"], "--verify can't be given with a scenario"),
        (["--trace", "x"], "--trace is of one rehearsal, and the scenario has 3 seeds"),
        (["--trace", "no/x", "--seed", "1"], "no/x can't be written: No such file or directory"),
        (["--seeds", "5..1"], "the seeds `5..1` are reversed"),
    ],
)
def test_options_that_a_scenario_leaves_no_room_for_are_refused(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    planned(tmp_path, "expect: {exit-code: 4}")
    ran = callboard(tmp_path, "simulate", "misspelt.scenario.yaml", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_what_the_environment_says_of_definitions_changes_no_scenario(tmp_path: Path) -> None:
    planned(tmp_path, "expect: {exit-code: 4}")
    ran = callboard(tmp_path, "simulate", "misspelt.scenario.yaml", CALLBOARD_MODEL="none.yaml")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("definition: none.yaml\nexpect: {exit-code: 0}", "wrong.scenario.yaml:1:13: error[CB001]"),
        (f"definition: {TWO_ROLES}\nexpect: {{exit-code: x}}", "wrong.scenario.yaml:2:21: error"),
        (
            f"definition: {TWO_ROLES}\nexpect: {{health: {{clint: complete}}}}",
            "wrong.scenario.yaml:2:26: error",
        ),
        (
            f"definition: {TWO_ROLES}\nscale: {{client: 100000}}\nexpect: {{exit-code: 0}}",
            "wrong.scenario.yaml:2:8: error[CB052]: the group has 100,001 nodes",
        ),
    ],
)
def test_a_scenario_with_a_mistake_is_exit_code_2_and_says_where_it_is(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "wrong.scenario.yaml").write_text(f"{text}\n")
    ran = callboard(tmp_path, "simulate", "wrong.scenario.yaml")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr
    found = callboard(tmp_path, "simulate", "wrong.scenario.yaml", "--json")
    Draft202012Validator(schema("invalid")).validate(document(found))


def test_a_scenario_whose_calls_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "group.yaml").write_text(INTERACTIVE)
    (tmp_path / "group.scenario.yaml").write_text(
        "definition: group.yaml\nexpect: {exit-code: 0}\n"
    )
    ran = callboard(tmp_path, "simulate", "group.scenario.yaml")
    assert ran.returncode == 2
    assert "group.yaml:7:3: error[CB101]: a test of kind interactive" in ran.stderr


def test_bad_input_is_a_document_with_json(tmp_path: Path) -> None:
    found = callboard(tmp_path, "simulate", TWO_ROLES, "--seeds", "5..1", "--json")
    Draft202012Validator(schema("invalid")).validate(document(found))


def test_mistakes_in_model_and_faults_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("steps: [{step: nothing-like-it, takes: 3}]\n")
    (tmp_path / "faults.yaml").write_text("faults: [{kill: clint, at: {time: 3}}]\n")
    files = ["--model", "model.yaml", "--faults", "faults.yaml"]
    ran = callboard(tmp_path, "simulate", TWO_ROLES, *files)
    assert ran.returncode == 2
    assert "model.yaml:1:16: error[CB211]" in ran.stderr
    assert "faults.yaml:1:17: error[CB210]" in ran.stderr
    assert "callboard: 2 errors" in ran.stderr


def test_a_fault_that_never_happens_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text("faults: [{kill: server, at: {time: 100000}}]\n")
    ran = callboard(tmp_path, "simulate", TWO_ROLES, "--faults", "faults.yaml")
    assert ran.returncode == 0
    assert "warning[CB214]" in ran.stderr


def test_a_run_is_done_again_and_a_slower_server_changes_it(tmp_path: Path) -> None:
    demo = SCENARIOS / "demo.yaml"
    ran = callboard(tmp_path, "run", demo, "-o", "run", "--json")
    again = callboard(tmp_path, "simulate", demo, "--replay", "run", "--json")
    assert (ran.returncode, again.returncode) == (0, 0)
    assert document(again)["duration"] == pytest.approx(document(ran)["duration"], abs=1.0)
    (tmp_path / "model.yaml").write_text("steps: [{step: lava-test-case page *, takes: 40}]\n")
    slower = ["--replay", "run", "--model", "model.yaml", "--seeds", "1..3"]
    found = simulated(tmp_path, "simulate-seeds", "simulate", demo, *slower)
    # The clients give up after 30 s, and then the server waits for them in vain.
    assert found["exit_code"] == 4
    assert "--replay run" in found["outcomes"][0]["command"]


def test_a_directory_without_a_log_can_not_be_replayed(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "simulate", TWO_ROLES, "--replay", ".")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "error[CB23" in ran.stderr


def test_a_log_that_can_not_be_written_is_exit_code_3(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "simulate", TWO_ROLES, "--trace", "/dev/full")
    assert ran.returncode == 3
    assert "/dev/full can't be written: No space left on device" in ran.stderr

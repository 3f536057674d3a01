"""What a real run did is done again in virtual time, and one thing can be changed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from tests.system.harness import Callboard, Ran, Test, definition
from tests.system.test_faults import PARENT

from callboard.definition import DefinitionError, load
from callboard.definition.model import Place
from callboard.events import (
    ActionEnded,
    CallAnswered,
    CallMade,
    ConsoleOutput,
    Event,
    JobCreated,
    JobEnded,
    TestCaseResult,
    TestRunEnded,
    TestRunStarted,
    encode,
    read_log,
)
from callboard.simulation.distribution import Fixed
from callboard.simulation.faults import Faults, Refuse, Target
from callboard.simulation.model import ActionRule, Model, StepRule
from callboard.simulation.pattern import Pattern
from callboard.simulation.recording import Recording, read_recording
from callboard.simulation.simulator import prepare

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.fixture
def board(tmp_path: Path) -> Callboard:
    """The command line, to make recordings with."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return Callboard(tmp_path, temporary)


def everything(ran: Ran) -> list[Event]:
    return list(read_log(ran.directory / "events.jsonl"))


def rehearsed(
    recording: Recording, path: Path, model: Model | None = None, seed: int = 0
) -> list[Event]:
    events: list[Event] = []
    prepare(load(path), recording=recording, model=model).run(seed, [events.append])
    return events


def told(events: Iterable[Event]) -> Mapping[int, Sequence[tuple[object, ...]]]:
    """What each node did, in its order: without times, and without what only numbers name."""
    nodes: dict[int, int] = {}
    found: dict[int, list[tuple[object, ...]]] = defaultdict(list)
    for event in events:
        body = event.body
        match body:
            case JobCreated():
                nodes[body.job] = len(nodes)
            case ActionEnded():
                error = body.error and (body.error.type, body.error.action)
                found[nodes[body.job]].append((body.level, body.name, body.result, error))
            case JobEnded():
                error = body.error and (body.error.type, body.error.action)
                found[nodes[body.job]].append((body.health, error))
            case TestCaseResult():
                fields = (
                    body.suite,
                    body.case,
                    body.result,
                    body.set,
                    body.measurement,
                    body.units,
                    body.reference,
                )
                found[nodes[body.job]].append(fields)
            case TestRunStarted(suite=suite):
                found[nodes[body.job]].append((suite,))
            case TestRunEnded(suite=suite, result=result):
                found[nodes[body.job]].append((suite, result))
            case CallMade():
                found[nodes[body.job]].append((body.call, body.id, body.role, body.data))
            case CallAnswered():
                found[nodes[body.job]].append((body.call, body.id, body.result))
            case _:
                pass
    return found


def ends(events: Iterable[Event]) -> list[float]:
    return [each.time_s for each in events if isinstance(each.body, JobEnded)]


RUN = ("demo", "branches", "missing-sender", "single", "two-roles")

GROUPS = {
    "cases": {
        "a": [
            Test(
                "forms",
                [
                    "lava-test-case good --shell test -d /",
                    "lava-test-case bad --shell test -d /nowhere",
                    "lava-test-case sure --shell true",
                    "lava-test-case never --shell false",
                    'lava-test-case speed --result "$(echo fail)" --measurement "$((4 * 2))"',
                    "lava-test-set start first",
                    "for n in $(seq 3); do lava-test-case case-$n --result pass; done",
                    "lava-test-set stop",
                    "lava-test-reference page --result pass --reference https://files.example/page",
                ],
            )
        ],
        "b": [],
    },
    "a step fails": {
        "a": [
            Test("one", ["lava-send x", "test -e /nowhere", "lava-sync late"]),
            Test("two", ["true"]),
        ],
        "b": [Test("other", ["lava-wait x", "lava-sync late"])],
    },
    "a test is raised": {
        "a": [Test("one", ["lava-test-case first --result pass", "lava-test-raise enough"])],
        "b": [Test("other", ["lava-wait-all never a"])],
    },
    "a loop": {
        "a": [
            Test(
                "one",
                [
                    "n=0",
                    "while test $n -lt $(seq 4 | wc -l); do lava-send tick-$n; n=$((n+1)); done",
                    "lava-sync done",
                ],
            )
        ],
        "b": [Test("other", ["lava-wait tick-2", "lava-sync done"])],
    },
    "words of the run": {
        "a": [Test("one", ['lava-send "from-$(lava-self)" me="$(lava-self)"', "lava-sync done"])],
        "b": [Test("other", ["lava-sync done"])],
    },
    "a script that nobody reads": {
        "a": [
            Test(
                "one",
                [
                    "printf '%s\\n' 'lava-test-case inner --result skip' 'lava-wait go' > s.sh",
                    "echo lava-send gone >> s.sh; sh ./s.sh",
                    "lava-sync done",
                ],
            )
        ],
        "b": [Test("other", ["lava-send go", "lava-wait gone", "lava-sync done"])],
    },
    "a call inside of a case": {
        "a": [
            Test(
                "one",
                [
                    "lava-test-case met --shell lava-wait go",
                    "lava-test-case not --shell lava-wait-all no b",
                ],
            )
        ],
        "b": [Test("other", ["lava-send go"])],
    },
    "a call that may fail": {
        "a": [
            Test(
                "one",
                [
                    "lava-wait-all nobody b || lava-test-case alone --result pass",
                    "if lava-wait-all nobody b; then lava-send yes; else lava-send no; fi",
                ],
            )
        ],
        "b": [Test("other", ["lava-wait no"])],
    },
    "an installation fails": {
        "a": [Test("one", ["lava-send x"], install=["test -d /nowhere"]), Test("two", ["ls /"])],
        "b": [Test("other", ["lava-test-case fine --result pass"], install=["test -d /"])],
    },
    "background": {
        "a": [
            Test(
                "one",
                ["(sleep 0.2; lava-send late) &", "lava-send early", "wait", "lava-sync done"],
            )
        ],
        "b": [Test("other", ["lava-wait early", "lava-wait late", "lava-sync done"])],
    },
}


def same(real: Sequence[Event], again: Sequence[Event]) -> None:
    assert told(again) == told(real)
    assert ends(again) == pytest.approx(ends(real), abs=TOLERANCE_S)


TOLERANCE_S = 2.0
"""What callboard itself needs in the real run, on a busy machine, is not replayed."""


@pytest.mark.parametrize("name", RUN)
def test_a_scenario_that_was_run_is_replayed(name: str, board: Callboard) -> None:
    path = SCENARIOS / f"{name}.yaml"
    ran = board.run(path, "--deadlock-grace", "0.2")
    recording = read_recording(ran.directory)
    same(everything(ran), rehearsed(recording, path))


@pytest.mark.parametrize("name", GROUPS)
def test_whatever_way_a_run_took_its_replay_takes(name: str, board: Callboard) -> None:
    ran = board.run(definition(GROUPS[name]), "--deadlock-grace", "0.2")
    recording = read_recording(ran.directory)
    path = board.folder / "group.yaml"
    assert ran.events(TestRunStarted)
    same(everything(ran), rehearsed(recording, path))
    assert told(rehearsed(recording, path, seed=5)) == told(rehearsed(recording, path))


DELAYED = """\
job_name: delayed
visibility: public
timeouts: {job: {minutes: 5}, action: {minutes: 1}, connection: {minutes: 1}}
protocols:
  lava-multinode:
    roles:
      server: {device_type: qemu, count: 1}
      client:
        device_type: qemu
        count: 2
        request: lava-start
        expect_role: server
        host_role: server
        timeout: {seconds: 60}
    timeout: {seconds: 30}
actions:
- deploy:
    role: [server, client]
    to: tmpfs
    os: debian
    images: {rootfs: {url: "http://files.example/r.img"}}
- boot: {role: [server], method: qemu, prompts: ['#']}
- boot:
    role: [client]
    method: qemu
    prompts: ['#']
    protocols:
      lava-multinode:
      - {action: execute-qemu, request: lava-wait, messageID: ready, message: {port: $port}}
- test:
    role: [server]
    definitions:
    - from: inline
      name: serve
      path: inline/serve.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: serve}
        run:
          steps:
          - sleep 0.4
          - lava-send lava_start
          - sleep 0.6
          - lava-send ready port=80
          - lava-sync done
- test:
    role: [client]
    definitions:
    - from: inline
      name: use
      path: inline/use.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: use}
        run: {steps: [lava-sync done]}
"""


def test_delayed_starts_and_calls_of_actions_are_replayed(board: Callboard) -> None:
    ran = board.run(DELAYED)
    again = rehearsed(read_recording(ran.directory), board.folder / "group.yaml")
    same(everything(ran), again)


def hanging(limit_s: int) -> str:
    steps = {
        "a": [Test("one", ["lava-send x", "sleep 1000", "lava-sync never"])],
        "b": [Test("other", ["lava-wait x"])],
    }
    return definition(steps, action_s=limit_s)


def test_what_a_time_out_has_ended_never_ends_by_itself(board: Callboard) -> None:
    ran = board.run(hanging(3))
    recording = read_recording(ran.directory)
    assert ran.jobs("a")[0]["error"]["type"] == "TestError"
    again = rehearsed(recording, board.folder / "group.yaml")
    same(everything(ran), again)
    later = rehearsed(recording, board.write(hanging(50)))
    assert max(ends(later)) == pytest.approx(max(ends(everything(ran))) + 47, abs=TOLERANCE_S)


KILLED = {
    "runner": f"kill -9 $({PARENT} $PPID); sleep 30",
    "shell": f"kill -9 $({PARENT} $({PARENT} $PPID)); sleep 30",
}


@pytest.mark.parametrize("what", KILLED)
def test_what_was_killed_is_killed_again(what: str, board: Callboard) -> None:
    tests = {
        "a": [Test("one", ["lava-send x", "sleep 0.5", KILLED[what]])],
        "b": [Test("other", ["lava-wait x", "lava-sync y"])],
    }
    ran = board.run(definition(tests))
    assert ran.exit_code == 3, (ran.document, ran.stderr)
    again = rehearsed(read_recording(ran.directory), board.folder / "group.yaml")
    same(everything(ran), again)


SLOW = {
    "server": [
        Test(
            "serve",
            [
                "lava-test-case busy --shell sleep 0.3",
                "sleep 0.2",
                "lava-send ready",
                "lava-sync done",
            ],
        )
    ],
    "client": [Test("fetch", ["lava-wait ready", "lava-sync done"])],
}


def later(text: str, takes_s: float) -> Model:
    rule = StepRule(Pattern(text), Place("m.yaml", 1, 1), role="server", takes=Fixed(takes_s))
    return Model(steps=(rule,))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event], Recording]:
    """A definition, what its run did, and the recording of it."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "tmp").mkdir()
    ran = Callboard(folder, folder / "tmp").run(definition(SLOW, counts={"client": 2}))
    assert ran.exit_code == 0, ran.stderr
    return folder / "group.yaml", everything(ran), read_recording(ran.directory)


def waits(events: Iterable[Event]) -> list[tuple[str, float]]:
    """How the clients' waits for the server ended, and how long they took."""
    return [
        (each.body.result, each.body.waited_s)
        for each in events
        if isinstance(each.body, CallAnswered)
        and each.body.id == "ready"
        and each.body.call == "wait"
    ]


def test_what_a_device_took_is_taken_to_the_microsecond(
    slow: tuple[Path, list[Event], Recording],
) -> None:
    path, real, recording = slow

    def case_s(events: Iterable[Event]) -> float:
        at = {
            each.body.text: each.time_s
            for each in events
            if isinstance(each.body, ConsoleOutput) and "busy" in each.body.text
        }
        return at["<LAVA_SIGNAL_ENDTC busy>"] - at["<LAVA_SIGNAL_STARTTC busy>"]

    assert case_s(real) > 0.2  # a bit less than it slept, where its first signal was read late
    assert case_s(rehearsed(recording, path)) == pytest.approx(case_s(real), abs=2e-6)


def test_a_rule_of_the_model_wins_over_the_recording(
    slow: tuple[Path, list[Event], Recording],
) -> None:
    path, _, recording = slow
    [(_, before_s), _] = waits(rehearsed(recording, path))
    quick = waits(rehearsed(recording, path, later("sleep 0.2", 20.0)))
    assert [result for result, _ in quick] == ["pass", "pass"]
    assert quick[0][1] == pytest.approx(before_s + 19.8, abs=0.2)
    late = waits(rehearsed(recording, path, later("sleep 0.2", 40.0)))
    assert late == [("fail", 30.0), ("fail", 30.0)]
    case = waits(rehearsed(recording, path, later("lava-test-case busy *", 40.0)))
    assert case == [("fail", 30.0), ("fail", 30.0)]


def test_nodes_that_were_not_there_do_what_others_did(
    slow: tuple[Path, list[Event], Recording],
) -> None:
    path, _, recording = slow
    events: list[Event] = []
    prepare(load(path), recording=recording, scale={"client": 5}).run(0, [events.append])
    done = told(events)
    assert len(done) == 6
    assert done[5] == done[3] == done[1]
    assert done[4] == done[2]


def test_a_definition_that_was_changed_goes_the_recorded_ways_as_far_as_they_lead(
    slow: tuple[Path, list[Event], Recording], tmp_path: Path
) -> None:
    path, _, recording = slow
    more = [
        Test("fetch", ["lava-wait ready", "lava-test-case new --result skip", "lava-sync done"])
    ]
    other = tmp_path / "other.yaml"
    other.write_text(definition({**SLOW, "client": more}, counts={"client": 2}))
    again = rehearsed(recording, other)
    cases = [
        (each.body.case, each.body.result)
        for each in again
        if isinstance(each.body, TestCaseResult)
    ]
    assert cases.count(("new", "skip")) == 2
    assert cases.count(("busy", "pass")) == 1
    [(_, before_s), _] = waits(rehearsed(recording, path))
    assert waits(again)[0][1] == pytest.approx(before_s, abs=0.01)


def test_a_replay_is_the_same_whatever_the_seed(
    slow: tuple[Path, list[Event], Recording],
) -> None:
    path, _, recording = slow
    first = rehearsed(recording, path, seed=1)
    second = rehearsed(recording, path, seed=2)
    assert told(first) == told(second)
    assert ends(first) == ends(second)


def test_an_action_that_failed_fails_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "group.yaml"
    retried = "method: qemu\n    failure_retry: 3"
    text = definition({"a": [], "b": []}).replace("method: qemu", retried)
    path.write_text(text)
    rule = ActionRule(Pattern("execute-qemu"), Place("m.yaml", 1, 1), fails=0.85)
    healths: set[str] = set()
    for seed in range(8):
        first = rehearsal(path, tmp_path, seed, Model(actions=(rule,)))
        again = rehearsed(read_recording(tmp_path), path)
        assert told(again) == told(first)
        assert ends(again) == pytest.approx(ends(first), abs=1e-5)
        healths |= {each.body.health for each in first if isinstance(each.body, JobEnded)}
    assert healths == {"complete", "incomplete"}


def test_a_device_that_could_not_be_had_can_not_be_had_again(tmp_path: Path) -> None:
    path = SCENARIOS / "demo.yaml"
    events: list[Event] = []
    place = Place("f.yaml", 1, 1)
    refusal = Refuse(targets=(Target("server", place),), place=place)
    prepare(load(path), faults=Faults((refusal,))).run(0, [events.append])
    (tmp_path / "events.jsonl").write_bytes(b"".join(map(encode, events)))
    again = rehearsed(read_recording(tmp_path), path)
    errors = [each.body.error for each in again if isinstance(each.body, JobEnded)]
    assert errors == [each.body.error for each in events if isinstance(each.body, JobEnded)]
    assert any(error and error.message.startswith("the node could not be") for error in errors)


# Rehearsals leave logs like runs, in which callboard itself takes no time


def rehearsal(path: Path, folder: Path, seed: int, model: Model | None = None) -> list[Event]:
    """What happens in a rehearsal, which leaves a log as a run does."""
    events: list[Event] = []
    prepare(load(path), model=model).run(seed, [events.append])
    (folder / "events.jsonl").write_bytes(b"".join(map(encode, events)))
    return events


@pytest.mark.parametrize("name", ["demo", "branches", "two-roles", "circle", "wait-all-role"])
def test_a_scenario_that_was_rehearsed_is_replayed_to_ten_microseconds(
    name: str, tmp_path: Path
) -> None:
    path = SCENARIOS / f"{name}.yaml"
    for seed in range(5):
        first = rehearsal(path, tmp_path, seed)
        again = rehearsed(read_recording(tmp_path), path, seed=seed + 100)
        assert told(again) == told(first)
        assert ends(again) == pytest.approx(ends(first), abs=1e-5)


@pytest.mark.parametrize("name", GROUPS)
def test_whatever_way_a_rehearsal_took_its_replay_takes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "group.yaml"
    path.write_text(definition(GROUPS[name]))
    for seed in range(5):
        first = rehearsal(path, tmp_path, seed)
        again = rehearsed(read_recording(tmp_path), path, seed=seed + 100)
        assert told(again) == told(first)
        if name != "background":  # which is drawn anew
            assert ends(again) == pytest.approx(ends(first), abs=1e-5)


# What can't be replayed


def refused(directory: Path) -> str:
    with pytest.raises(DefinitionError) as caught:
        read_recording(directory)
    return str(caught.value)


def test_a_directory_without_a_log_is_refused(tmp_path: Path) -> None:
    text = refused(tmp_path)
    assert text.startswith(f"{tmp_path}:1:1: error[CB230]: there is no events.jsonl\n")
    assert "hint: name a directory that `callboard run` has written" in text


def test_a_log_that_is_broken_is_refused_where_it_is(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text("{}\n")
    assert (
        refused(tmp_path) == f"{log}:1:1: error[CB230]: not an event of this version's log format"
    )
    log.unlink()
    log.mkdir()
    assert refused(tmp_path) == f"{log}:1:1: error[CB230]: it can't be read: Is a directory"
    log.rmdir()
    log.write_bytes(b"")
    assert "no job was begun" in refused(tmp_path)


def test_a_log_of_another_group_is_refused(
    slow: tuple[Path, list[Event], Recording], tmp_path: Path
) -> None:
    _, _, recording = slow
    other = tmp_path / "other.yaml"
    other.write_text(definition({"server": [], "observer": []}))
    with pytest.raises(DefinitionError) as caught:
        prepare(load(other), recording=recording)
    [found] = caught.value.diagnostics
    assert (found.code, str(found.place)) == ("CB231", f"{recording.log}:1:1")
    assert found.message == "the run has no role observer to replay: it has server, client"
    with pytest.raises(DefinitionError, match="no job without roles"):
        prepare(load(SCENARIOS / "single.yaml"), recording=recording)

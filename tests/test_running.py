"""The Python interface: real groups in this process."""

from contextlib import aclosing
from importlib.resources import files
from pathlib import Path

import anyio
import pytest
from tests.system.harness import Test, definition

import callboard
from callboard.actors.drivers.sandboxed import SandboxedNode
from callboard.definition import read_text
from callboard.events import CallMade, Event, JobEnded, RunEnded, RunStarted, read_log

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the nodes of these groups have their folders."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def load(text: str) -> callboard.Definition:
    found, diagnostics = read_text(text)
    assert found is not None, diagnostics
    return found


def scenario(name: str) -> callboard.Definition:
    return callboard.load(str(files("callboard.scenarios") / f"{name}.yaml"))


ENDLESS = definition({"a": [Test("t", ["echo under way", "sleep 600"])], "b": []})


async def test_run_gives_the_results_of_every_job(tmp_path: Path, temporary: Path) -> None:
    seen: list[Event] = []
    result = await callboard.run(scenario("demo"), tmp_path / "run", observers=[seen.append])
    assert (result.status, result.exit_code) == ("complete", 0)
    assert [job.role for job in result.jobs] == ["server", "client", "client"]
    assert [case.case for case in result.jobs[1].cases if case.suite == "0_fetch"] == [
        "multinode-wait-ready",
        "greeting",
        "multinode-send-fetched",
        "multinode-sync-done",
    ]
    assert isinstance(seen[0].body, RunStarted)
    assert isinstance(seen[-1].body, RunEnded)
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert not any(temporary.iterdir())  # noqa: ASYNC240 - a look at an empty folder


async def test_every_answer_names_its_call_as_its_cause(tmp_path: Path) -> None:
    seen: dict[int, Event] = {}
    await callboard.run(
        scenario("wait-all"),
        tmp_path / "run",
        observers=[lambda event: seen.update({event.seq: event})],
    )
    answers = [event for event in seen.values() if event.kind == "call-answered"]
    assert len(answers) == 6
    for event in answers:
        assert event.cause is not None
        call = seen[event.cause]
        assert isinstance(call.body, CallMade)
        assert call.cause is not None
        assert seen[call.cause].kind == "console-output"


async def test_what_can_not_be_run_is_an_error_with_diagnostics(tmp_path: Path) -> None:
    text = definition({"a": [Test("t", ["true"])], "b": []}).replace(
        "- test:",
        "- test: {role: [a], interactive: [{name: x, prompts: [b], script: [{command: a}]}]}\n"
        "- test:",
        1,
    )
    with pytest.raises(callboard.DefinitionError, match="kind interactive is not supported yet"):
        await callboard.run(load(text), tmp_path / "run")
    assert not (tmp_path / "run").exists()


async def test_a_group_that_is_left_early_ends_in_order(tmp_path: Path, temporary: Path) -> None:
    seen: list[Event] = []
    async with callboard.open_group(
        load(ENDLESS), callboard.Setup(tmp_path), observers=[seen.append]
    ):
        while not any(getattr(event.body, "text", "") == "under way" for event in seen):
            await anyio.wait_all_tasks_blocked()
    ended = [event.body for event in seen if isinstance(event.body, JobEnded)]
    assert {body.health for body in ended} == {"complete", "canceled"}
    assert isinstance(seen[-1].body, RunEnded)
    assert not any(temporary.iterdir())  # noqa: ASYNC240 - a look at an empty folder


async def test_a_cancelled_caller_ends_the_group_in_order(tmp_path: Path, temporary: Path) -> None:
    seen: list[Event] = []

    def watch(event: Event) -> None:
        seen.append(event)
        if getattr(event.body, "text", "") == "under way":
            scope.cancel()

    with anyio.CancelScope() as scope:
        await callboard.run(load(ENDLESS), tmp_path / "run", observers=[watch])
    assert scope.cancelled_caught
    assert isinstance(seen[-1].body, RunEnded)
    assert not any(temporary.iterdir())  # noqa: ASYNC240 - a look at an empty folder


async def test_an_interruption_before_the_first_action_cancels_every_job(tmp_path: Path) -> None:
    seen: list[Event] = []
    async with callboard.open_group(
        load(ENDLESS), callboard.Setup(tmp_path), observers=[seen.append]
    ) as group:
        group.interrupt("changed my mind")
        ended = await group.wait()
    assert (ended.status, ended.exit_code) == ("canceled", 130)
    jobs = [event.body for event in seen if isinstance(event.body, JobEnded)]
    assert [body.health for body in jobs] == ["canceled", "canceled"]
    assert {body.error.message for body in jobs if body.error} == {"changed my mind"}


async def test_a_node_that_can_not_be_prepared_is_a_fault_of_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = SandboxedNode.prepare

    async def fail(node: SandboxedNode) -> None:
        if node.name == "local-1":
            raise OSError(28, "No space left on device")
        await prepare(node)

    monkeypatch.setattr(SandboxedNode, "prepare", fail)
    text = definition({"a": [Test("t", ["true"])], "b": [Test("t", ["true"])]})
    result = await callboard.run(load(text), tmp_path / "run")
    assert (result.status, result.exit_code) == ("incomplete", 3)
    first, second = result.jobs
    assert first.error is not None
    assert (first.health, first.error.type) == ("incomplete", "InfrastructureError")
    assert "No space left on device" in first.error.message
    assert second.health == "complete"


async def test_a_log_that_fails_ends_the_group_and_is_the_callers_error(tmp_path: Path) -> None:
    def full(event: Event) -> None:
        if event.seq == 40:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await callboard.run(load(ENDLESS), tmp_path / "run", observers=[full])


async def test_groups_can_be_run_one_after_the_other(tmp_path: Path) -> None:
    for number in range(2):
        result = await callboard.run(scenario("single"), tmp_path / str(number))
        assert result.status == "complete"
        assert result.jobs[0].id == 1 + number


async def test_events_come_as_they_happen_and_end_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with callboard.open_group(scenario("wait-all")) as group:
        kinds = [event.kind async for event in group.events()]
        assert [event async for event in group.events()] == []
    [directory] = (tmp_path / "callboard-runs").iterdir()
    assert group.directory == directory.relative_to(tmp_path)
    logged = [event.kind for event in read_log(directory / "events.jsonl")]
    assert kinds == logged[1:]  # the first one is there before the group is
    assert kinds[-1] == "run-ended"


async def test_who_stops_listening_holds_nobody_up(tmp_path: Path) -> None:
    async with callboard.open_group(scenario("wait-all"), callboard.Setup(tmp_path)) as group:
        async with aclosing(group.events()) as events:
            assert (await anext(events)).kind == "job-created"
        assert (await group.wait()).status == "complete"

"""The clients that all of it is for: LAVA's own MultinodeProtocol, a process a job."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.coordinator.dispatcher import Dispatcher, Raised
from tests.coordinator.real import MISSING, Real, ask, present
from tests.coordinator.running import Coordinator

pytestmark = pytest.mark.skipif(not present(), reason=MISSING)

POLLED: Sequence[str] = ()
HELD: Sequence[str] = ("--hold",)
DELAYED = {"request": "lava-start", "expect_role": "server", "timeout": {"seconds": 60}}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is entered ends with the test."""
    with ExitStack() as entered:
        yield entered


@pytest.fixture(params=[POLLED, HELD], ids=["polled", "held"])
def ours(request: pytest.FixtureRequest, tmp_path: Path, stack: ExitStack) -> Coordinator:
    """A coordinator of ours whose groups survive."""
    return stack.enter_context(
        Coordinator(tmp_path, [*request.param, "--state", tmp_path / "state"])
    )


@pytest.fixture(params=["real", "polled", "held"])
def either(request: pytest.FixtureRequest, tmp_path: Path, stack: ExitStack) -> tuple[str, int]:
    """Where LAVA's coordinator listens, or ours."""
    if request.param == "real":
        return stack.enter_context(Real()).address
    options = {"polled": POLLED, "held": HELD}[request.param]
    return stack.enter_context(Coordinator(tmp_path, options)).address


def troupe(
    stack: ExitStack, folder: Path, port: int, roles: Sequence[str], delayed: str = ""
) -> Sequence[Dispatcher]:
    """A dispatcher for each role, jobs 101, 102…; those of the role `delayed` start by command."""
    return [
        stack.enter_context(
            Dispatcher(
                folder,
                port,
                job=str(101 + place),
                role=role,
                group="a-group",
                size=len(roles),
                more=DELAYED if role == delayed else {},
            )
        )
        for place, role in enumerate(roles)
    ]


def together(jobs: Sequence[Dispatcher], begin: Callable[..., None], *arguments: Any) -> list[Any]:
    """Have all of them do the same, and wait until all have."""
    for each in jobs:
        begin(each, *arguments)
    return [each.end() for each in jobs]


def test_dispatchers_join_send_wait_sync_and_leave(
    either: tuple[str, int], tmp_path: Path, stack: ExitStack
) -> None:
    roles = ["server", "client", "client"]
    jobs = troupe(stack, tmp_path, either[1], roles, delayed="client")
    server, first, second = jobs
    for each in jobs:
        each.set_up()
    assert server.end() is None
    assert [_sent(server, "address", ip="::1", port=80), _sent(server, "lava_start")] == ["ack"] * 2
    assert [first.end(), second.end()] == [None] * 2

    found = together([first, second], Dispatcher.wait, "address")
    assert found == [{"101": {"ip": "::1", "port": 80}}] * 2
    assert [_sent(server, "ready"), _sent(first, "ready", number=1)] == ["ack"] * 2
    server.wait_all("ready")
    server.until("told", "wait")
    assert _sent(second, "ready", number=2) == "ack"
    assert server.end() == {"101": {}, "102": {"number": 1}, "103": {"number": 2}}
    assert together(jobs, Dispatcher.sync, "done") == ["done"] * 3
    assert together(jobs, Dispatcher.finalise) == [None] * 3
    assert ask(either, _request("lava_wait", messageID="address"))["response"] == "nack"


def test_a_restart_in_the_middle_of_any_wait_goes_unnoticed(
    ours: Coordinator, tmp_path: Path, stack: ExitStack
) -> None:
    roles = ["server", "client", "client"]
    jobs = troupe(stack, tmp_path, ours.port, roles, delayed="client")
    server, first, second = jobs
    server.set_up()
    first.set_up()
    _crash_while_waiting(ours, server, first)  # the group gathers
    second.set_up()
    assert server.end() is None
    assert _sent(server, "address", ip="10.0.0.1") == "ack"
    _crash_while_waiting(ours, first, second)  # for their start
    assert _sent(server, "lava_start") == "ack"
    assert [first.end(), second.end()] == [None] * 2

    assert [_sent(server, "ready"), _sent(first, "ready", number=1)] == ["ack"] * 2
    first.wait("late")
    server.wait_all("ready")
    _crash_while_waiting(ours, first, server)
    assert _sent(second, "ready", number=2) == "ack"
    assert server.end() == {"101": {}, "102": {"number": 1}, "103": {"number": 2}}
    assert _sent(second, "late", why="{}") == "ack"
    assert first.end() == {"103": {"why": "{}"}}
    assert together([first], Dispatcher.wait, "address") == [{"101": {"ip": "10.0.0.1"}}]

    server.sync("done")
    second.sync("done")
    _crash_while_waiting(ours, server, second)
    assert together([first], Dispatcher.sync, "done") == ["done"]
    assert [server.end(), second.end()] == ["done"] * 2
    assert together([first], Dispatcher.finalise) == [None]
    ours.kill()
    ours.start()
    assert together([server, second], Dispatcher.finalise) == [None] * 2
    assert ask(ours.address, _request("lava_wait", messageID="address"))["response"] == "nack"


def test_a_dispatcher_that_waits_too_long_leaves_its_group(
    either: tuple[str, int], tmp_path: Path, stack: ExitStack
) -> None:
    jobs = troupe(stack, tmp_path, either[1], ["server", "client"])
    assert together(jobs, Dispatcher.set_up) == [None] * 2
    jobs[0].wait("never", timeout=1)
    with pytest.raises(Raised, match="MultinodeProtocolTimeoutError"):
        jobs[0].end()
    assert _sent(jobs[1], "still", there=True) == "ack"
    assert together(jobs[1:], Dispatcher.wait, "still") == [{"102": {"there": True}}]
    assert together(jobs[1:], Dispatcher.finalise) == [None]
    assert ask(either, _request("lava_wait", messageID="still"))["response"] == "nack"


def _sent(job: Dispatcher, id_: str, **message: object) -> object:
    job.send(id_, **message)
    return job.end()


def _crash_while_waiting(ours: Coordinator, *jobs: Dispatcher) -> None:
    """Kill the coordinator while these wait for its answers."""
    for each in jobs:
        each.until("told", "wait")
        os.kill(each.pid, signal.SIGUSR1)
    for each in jobs:
        each.until("stopping")
    ours.kill()
    ours.start()
    for each in jobs:
        os.kill(each.pid, signal.SIGCONT)


def _request(request: str, **fields: object) -> dict[str, object]:
    who = {"client_name": "101", "group_name": "a-group", "role": "server", "hostname": "h"}
    return {"request": request, **who, **fields}

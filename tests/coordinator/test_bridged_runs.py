"""Runs whose group has its coordinator elsewhere: beside other runs, and LAVA's dispatchers."""

import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest
import yaml
from tests.conformance.rule import DEFINITIONS
from tests.coordinator.bridging import delayed, start
from tests.coordinator.dispatcher import Dispatcher
from tests.coordinator.hosting import Host
from tests.coordinator.real import MISSING, Real, ask, present
from tests.coordinator.running import Coordinator, free_port
from tests.system.conftest import callboard
from tests.system.harness import Callboard, Test, definition

from callboard.actors.semantics import DOCUMENTED
from callboard.coordinator import bridge
from callboard.coordinator.answers import WAIT, Call
from callboard.coordinator.exchange import Exchange, Served
from callboard.coordinator.requests import LavaWait, Request
from callboard.coordinator.terms import Terms
from callboard.events import CallAnswered

__all__ = ["callboard"]

_CACHE = "cat /tmp/lava_multi_node_cache.txt"
_SERVER = Test(
    "serve",
    [
        "lava-group",
        "lava-send address ip=10.0.0.1 port=80",
        "lava-send done",
        "lava-send lava_start",
        "lava-wait-all done",
        _CACHE,
        "lava-sync end",
    ],
)
_CLIENT = Test(
    "use",
    [
        "lava-role list",
        "lava-wait address",
        _CACHE,
        "lava-send done by=$(lava-self)",
        "lava-sync end",
    ],
)


def two(*, limit_s: int = 60) -> str:
    """A definition of a server, and of two clients whose start is delayed."""
    own = {"server": [_SERVER], "client": [_CLIENT]}
    text = definition(own, counts={"client": 2}, limit_s=limit_s)
    return delayed(text, "client", "server")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is entered ends with the test."""
    with ExitStack() as entered:
        yield entered


@pytest.fixture(params=["real", pytest.param("lava", marks=pytest.mark.long), "documented"])
def either(request: pytest.FixtureRequest, stack: ExitStack) -> tuple[str, int]:
    """Where LAVA's coordinator listens, or ours, by LAVA's rules or the documented ones."""
    if request.param == "real":
        if not present():
            pytest.skip(MISSING)
        return stack.enter_context(Real()).address
    if request.param == "lava":
        return stack.enter_context(Host()).address
    return stack.enter_context(Host(Terms(hold=1.0), exchange=Exchange(DOCUMENTED))).address


# Groups


def test_two_runs_with_a_role_each_are_one_group(
    callboard: Callboard, stack: ExitStack, either: tuple[str, int]
) -> None:
    text = two()
    clients = start(stack, callboard, text, either, "--roles", "client")
    assert "joining the group g of 3 nodes at lava://127.0.0.1:" in clients.until("joining")
    assert "no wait is given up before its limit" in clients.until("no wait")
    server = start(stack, callboard, text, either, "--roles", "server")
    one, other = server.end(), clients.end()
    assert (one.exit_code, other.exit_code) == (0, 0), one.stderr + other.stderr
    assert [job["id"] for job in one.document["jobs"]] == [101]
    assert [job["id"] for job in other.document["jobs"]] == [102, 103]
    assert one.results("server") == {
        "0_serve/multinode-send-address": "pass",
        "0_serve/multinode-send-done": "pass",
        "0_serve/multinode-send-lava_start": "pass",
        "0_serve/multinode-wait_all-done": "pass",
        "0_serve/multinode-sync-end": "pass",
    }
    printed = one.console("server")
    members = [line for line in printed if "\t" in line]
    assert members == ["101\tserver", "102\tclient", "103\tclient"]
    assert {line for line in printed if ":by=" in line} == {"102:by=102", "103:by=103"}
    assert {"101:ip=10.0.0.1", "101:port=80"} <= set(other.console("client"))
    assert other.console("client").count("client") == 2
    nobody = {"request": "lava_wait", "messageID": "x", "client_name": "9", "group_name": "g"}
    assert ask(either, {**nobody, "hostname": "h", "role": "r"}) == {"response": "nack"}


@pytest.mark.skipif(not present(), reason=MISSING)
def test_a_run_and_a_dispatcher_of_lava_are_one_group(
    callboard: Callboard, stack: ExitStack, either: tuple[str, int]
) -> None:
    steps = ["lava-group", "lava-wait address", _CACHE, "lava-send done k=v", "lava-sync end"]
    text = definition({"server": [], "client": [Test("use", steps)]}, limit_s=60)
    run = start(stack, callboard, text, either, "--roles", "client")
    dispatcher = Dispatcher(callboard.folder, either[1], "7", "server", "g", 2)
    with dispatcher:
        dispatcher.set_up()
        dispatcher.end()
        dispatcher.send("address", ip="10.0.0.1", port=80)
        assert dispatcher.end() == "ack"
        dispatcher.wait_all("done", "client")
        received = dispatcher.end()
        dispatcher.sync("end")
        assert dispatcher.end() == "end"
        dispatcher.finalise()
        dispatcher.end()
    ran = run.end()
    assert received["102"] == {"k": "v"}
    assert ran.exit_code == 0, ran.stderr
    assert {"7\tserver", "102\tclient", "7:ip=10.0.0.1", "7:port=80"} <= set(ran.console("client"))


@pytest.mark.parametrize("either", ["real", "lava"], indirect=True)
def test_a_wait_for_all_before_anybody_has_sent_is_passed_as_lava_has_it(
    callboard: Callboard, either: tuple[str, int]
) -> None:
    text = definition({"a": [Test("t", ["lava-wait-all early", "lava-send late"])]})
    ran = callboard.run(text, "--coordinator", f"lava://127.0.0.1:{either[1]}")
    assert ran.exit_code == 0, ran.stderr
    assert ran.results("a") == {
        "0_t/multinode-wait_all-early": "pass",
        "0_t/multinode-send-late": "pass",
    }
    [answered] = [
        each.body for each in ran.events(CallAnswered) if getattr(each.body, "call", "") != "send"
    ]
    assert isinstance(answered, CallAnswered)
    assert (answered.result, answered.reason) == ("pass", "nobody has sent early yet")


@pytest.mark.parametrize("either", ["real", "lava"], indirect=True)
def test_an_action_goes_on_without_data_that_nobody_has_sent_as_lava_has_it(
    callboard: Callboard, either: tuple[str, int]
) -> None:
    call = {"action": "lava-overlay", "request": "lava-wait-all", "messageID": "early"}
    content = yaml.safe_load(definition({"a": [Test("t", ["lava-send late"])]}))
    content["actions"][0]["deploy"]["protocols"] = {
        "lava-multinode": [call | {"message": {"ip": "$ip"}}]
    }
    url = f"lava://127.0.0.1:{either[1]}"
    ran = callboard.run(yaml.safe_dump(content), "--coordinator", url, "--no-check")
    assert ran.exit_code == 0, ran.stderr
    assert ran.results("a") == {"0_t/multinode-send-late": "pass"}
    [answered, _] = [each.body for each in ran.events(CallAnswered)]
    assert isinstance(answered, CallAnswered)
    assert (answered.result, answered.reason) == ("pass", "nobody has sent early yet")


def test_a_group_of_one_run_alone_gets_a_name_of_its_own(
    callboard: Callboard, stack: ExitStack
) -> None:
    host = stack.enter_context(Host())
    url = f"lava://127.0.0.1:{host.address[1]}"
    test = Test("t", ["lava-sync s"])
    text = definition({"a": [test], "b": [test]})
    ran = callboard.run(text, "--coordinator", url, "--poll-delay", "0.1")
    assert ran.exit_code == 0, ran.stderr
    assert f"joining the group {ran.document['group']} of 2 nodes at {url}" in ran.stderr
    assert host.within(lambda: dict(host.exchange.groups)) == {}


def test_many_nodes_can_wait_where_few_connections_are_granted(
    callboard: Callboard, stack: ExitStack
) -> None:
    host = stack.enter_context(Host(Terms(from_one_address=12)))
    text = definition({"a": [Test("t", ["lava-sync s", "lava-sync t"])]}, counts={"a": 40})
    url = f"lava://127.0.0.1:{host.address[1]}"
    ran = callboard.run(text, "--coordinator", url, "--poll-delay", "0.2")
    assert ran.exit_code == 0, ran.stderr


# Coordinators that go away


def _joined(address: tuple[str, int], client: str, role: str) -> None:
    """Have a client of the test's own join the group of two."""
    document = {"client_name": client, "group_name": "g", "hostname": "h", "role": role}
    ask(address, {"request": "group_data", "group_size": 2, **document})


def _sent(address: tuple[str, int], client: str, id_: str) -> object:
    document = {"client_name": client, "group_name": "g", "messageID": id_, "message": {}}
    return ask(address, {"request": "lava_send", **document})


def _waiting(
    steps: Sequence[str] = ("lava-wait ready", "lava-send more"), limit_s: int = 60
) -> str:
    return definition({"server": [], "client": [Test("use", steps)]}, limit_s=limit_s)


def test_a_wait_goes_on_when_the_coordinator_is_killed_and_started_again(
    callboard: Callboard, stack: ExitStack
) -> None:
    coordinator = Coordinator(callboard.folder, ["--state", callboard.folder / "groups"])
    with coordinator:
        run = start(stack, callboard, _waiting(), coordinator.address, "--roles", "client")
        _joined(coordinator.address, "7", "server")
        run.until("lava-wait ready waits")
        coordinator.kill()
        run.until("it is tried up to the limit")
        coordinator.start()
        run.until("answers again")
        assert _sent(coordinator.address, "7", "ready") == {"response": "ack"}
        ran = run.end()
    assert ran.exit_code == 0, ran.stderr
    assert ran.results("client") == {
        "0_use/multinode-wait-ready": "pass",
        "0_use/multinode-send-more": "pass",
    }


def test_a_wait_in_a_group_that_the_coordinator_has_lost_fails_at_once(
    callboard: Callboard, stack: ExitStack
) -> None:
    with Coordinator(callboard.folder) as coordinator:
        run = start(stack, callboard, _waiting(), coordinator.address, "--roles", "client")
        _joined(coordinator.address, "7", "server")
        run.until("lava-wait ready waits")
        coordinator.kill()
        coordinator.start()
        ran = run.end()
    assert ran.exit_code == 1
    assert ran.results("client") == {"0_use/multinode-wait-ready": "fail"}
    assert "refuses ready: the group g may be over there, or was lost" in ran.stderr


class Fickle(Exchange):
    """Serves up to the answer to a wait for "gate", and calls for its end then.

    What comes before the end is there is to come again, as while a disk takes nothing.
    """

    enough: Callable[[], None]
    over = False

    def serve(self, request: Request, now_s: float, call: Call | None = None) -> Served:
        """See `Exchange.serve`."""
        if self.over:
            return Served(WAIT)
        served = super().serve(request, now_s, call)
        if isinstance(request, LavaWait) and request.id == "gate":
            self.over = True
            self.enough()
        return served


@pytest.mark.parametrize("call", ["wait", "send", "sync"])
def test_limits_hold_while_the_coordinator_can_not_be_reached(
    callboard: Callboard, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(bridge, "FAREWELL_S", 0.1)
    exchange = Fickle(DOCUMENTED)
    host = stack.enter_context(Host(exchange=exchange))
    exchange.enough = host.end
    _joined(host.address, "7", "server")
    assert _sent(host.address, "7", "gate") == {"response": "ack"}
    text = _waiting(["lava-wait gate", f"lava-{call} ready"], limit_s=2)
    url = f"lava://127.0.0.1:{host.address[1]}"
    options = ("--group", "g", "--roles", "client", "--first-id", "101", "--poll-delay", "0.1")
    ran = callboard.run(text, "-v", "--coordinator", url, *options)
    assert ran.exit_code == 1, ran.stderr
    assert ran.results("client") == {
        "0_use/multinode-wait-gate": "pass",
        f"0_use/multinode-{call}-ready": "fail",
    }
    assert ran.document["duration"] < 30
    assert "may not know that the job has ended: connection refused" in ran.stderr


def test_a_coordinator_that_is_not_there_is_told_at_once_and_tried_up_to_the_limit(
    callboard: Callboard, stack: ExitStack
) -> None:
    address = ("127.0.0.1", free_port())
    run = start(stack, callboard, delayed(_waiting(limit_s=2), "client", "server"), address)
    run.until(f"lava://127.0.0.1:{address[1]} doesn't answer: connection refused")
    run.popen.send_signal(signal.SIGINT)
    assert run.end().exit_code == 130
    text = delayed(_waiting(limit_s=1), "client", "server")
    run = start(stack, callboard, text, address, "--roles", "client")
    ran = run.end()
    assert ran.exit_code == 3
    [job] = ran.document["jobs"]
    assert job["error"]["type"] == "InfrastructureError"
    assert "has not answered within 1 s: connection refused" in job["error"]["message"]


def test_a_server_that_accepts_and_never_answers_is_told_within_seconds(
    callboard: Callboard, stack: ExitStack
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = silent.getsockname()
        run = start(stack, callboard, _waiting(limit_s=2), address)
        line = run.until("doesn't answer")
        assert "connected, but nothing has come for 5.1 s; it is tried up to the limit" in line
        run.popen.send_signal(signal.SIGINT)
        assert run.end().exit_code == 130
    assert not any("doesn't answer" in each for each in run.said[:-1])


# Ends


def test_an_interrupted_run_tells_the_coordinator_that_its_jobs_have_ended(
    callboard: Callboard, stack: ExitStack
) -> None:
    host = stack.enter_context(Host(exchange=Exchange(DOCUMENTED)))
    run = start(stack, callboard, _waiting(), host.address, "--roles", "client")
    _joined(host.address, "7", "server")
    run.until("lava-wait ready waits")
    run.popen.send_signal(signal.SIGINT)
    ran = run.end()
    assert ran.exit_code == 130
    left = host.within(lambda: [(c.name, c.left) for c in host.exchange.groups["g"].clients])
    assert sorted(left) == [("102", True), ("7", False)]


def test_a_run_that_is_interrupted_while_its_group_gathers_leaves_it(
    callboard: Callboard, stack: ExitStack
) -> None:
    host = stack.enter_context(Host(exchange=Exchange(DOCUMENTED)))
    run = start(stack, callboard, _waiting(), host.address, "--roles", "client")
    run.until("joining")
    host.until(lambda _statistics: "g" in host.exchange.groups)
    run.popen.send_signal(signal.SIGINT)
    ran = run.end()
    assert ran.exit_code == 130
    assert [job["health"] for job in ran.document["jobs"]] == ["canceled"]
    assert host.within(lambda: dict(host.exchange.groups)) == {}


def test_every_job_leaves_the_group_when_an_essential_one_ends_it(
    callboard: Callboard, stack: ExitStack
) -> None:
    host = stack.enter_context(Host(exchange=Exchange(DOCUMENTED)))
    url = f"lava://127.0.0.1:{host.address[1]}"
    path = DEFINITIONS / "essential-job-error.yaml"
    ran = callboard.run(path, "--coordinator", url, "--poll-delay", "0.1")
    assert ran.exit_code == 3
    healths = {job["role"]: job["health"] for job in ran.document["jobs"]}
    assert healths == {"server": "incomplete", "client": "canceled"}
    assert host.within(lambda: dict(host.exchange.groups)) == {}

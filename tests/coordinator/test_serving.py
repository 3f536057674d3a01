"""A coordinator as a process: how it begins, ends, and lets systemd know."""

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.commandline import CALLBOARD
from tests.coordinator.hosting import PATIENCE_S, document, rest
from tests.coordinator.real import ask
from tests.coordinator.running import Coordinator

from callboard.coordinator.framing import frame
from callboard.coordinator.notify import notify, watchdog_s


def _until(so: Callable[[], bool]) -> None:
    """Wait for what only a file shows."""
    end_s = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def _asked(ours: Coordinator, request: str, client: str, **fields: object) -> socket.socket:
    connection = socket.create_connection(ours.address, PATIENCE_S)
    connection.sendall(frame(document(request, client, **fields)))
    connection.shutdown(socket.SHUT_WR)
    return connection


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_when_all_who_asked_are_answered(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with Coordinator(tmp_path, ["--hold", "--state", tmp_path / "state"]) as ours:
        held = _asked(ours, "lava_wait", "1", messageID="m", poll_delay=40)
        assert ask(ours.address, document("group_data", "2", poll_delay=0)) == {
            "response": "group_data",
            "roles": {"1": "r", "2": "r"},
        }
        begun = socket.create_connection(ours.address, PATIENCE_S)
        data = frame(document("lava_send", "2", messageID="n", message={}))
        begun.sendall(data[:9])
        silent = socket.create_connection(ours.address, PATIENCE_S)
        os.kill(ours.pid, number)
        assert rest(silent) == b""
        assert rest(held) == b'00000014{"response": "wait"}'
        begun.sendall(data[9:])
        assert rest(begun) == b'00000013{"response": "ack"}'
        assert ours.wait() == code
        assert "answering who has asked" in ours.log
        ours.start()
        assert ask(ours.address, document("lava_wait", messageID="n"))["message"] == {"2": {}}


def test_a_second_signal_leaves_those_alone_who_have_not_finished_asking(tmp_path: Path) -> None:
    with Coordinator(tmp_path, ["--state", tmp_path / "state"]) as ours:
        begun = socket.create_connection(ours.address, PATIENCE_S)
        begun.sendall(b"0000")
        ask(ours.address, document("group_data"))
        os.kill(ours.pid, signal.SIGINT)
        _until(lambda: "answering who has asked" in ours.log)
        os.kill(ours.pid, signal.SIGINT)
        assert rest(begun) == b""
        assert ours.wait() == 130
        assert "has ended" in ours.log


def test_what_was_answered_is_there_after_it_was_killed(tmp_path: Path) -> None:
    with Coordinator(tmp_path, ["--state", tmp_path / "state"]) as ours:
        assert ask(ours.address, document("lava_send", messageID="m", message={"k": 1})) == {
            "response": "ack"
        }
        ours.kill()
        ours.start()
        assert ask(ours.address, document("lava_wait", messageID="m"))["message"] == {"1": {"k": 1}}


def test_a_group_that_nobody_asks_for_is_given_up_for_good(tmp_path: Path) -> None:
    with Coordinator(tmp_path, ["--state", tmp_path / "state", "--forget-after", "1"]) as ours:
        ask(ours.address, document("lava_send", messageID="m", message={}))
        _until(lambda: "given up" in ours.log)
        ours.kill()
        ours.start()
        asked = document("lava_wait", messageID="m", group_size=None)
        assert ask(ours.address, asked) == {"response": "nack"}


def test_no_group_is_given_up_because_the_coordinator_stood_still(tmp_path: Path) -> None:
    groups = [f"group-{number}" for number in range(400)]

    def wait(group: str, **fields: object) -> socket.socket:
        return _asked(ours, "lava_wait", "1", messageID="m", group_name=group, **fields)

    with Coordinator(tmp_path, ["--forget-after", "1"]) as ours:
        for group in groups:
            assert b'"wait"' in rest(wait(group))
        os.kill(ours.pid, signal.SIGSTOP)
        try:
            asking = [wait(group, group_size=None) for group in groups]
            select.select([], [], [], 1.5)
        finally:
            os.kill(ours.pid, signal.SIGCONT)
        assert [each for each in asking if b'"wait"' not in rest(each)] == []
        assert "given up" not in ours.log


@pytest.fixture(params=["path", "abstract"])
def notices(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """Where systemd would be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(PATIENCE_S)
        if request.param == "abstract":
            listener.bind("")
            name = "@" + listener.getsockname()[1:].decode()
        else:
            name = str(tmp_path / "notify")
            listener.bind(name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listener


def test_systemd_is_told(notices: socket.socket) -> None:
    notify("READY=1")
    assert notices.recv(100) == b"READY=1"


def test_systemd_is_not_waited_for(notices: socket.socket) -> None:
    for _ in range(10_000):
        notify("WATCHDOG=1")
    notices.close()
    notify("WATCHDOG=1")


def test_the_watchdog_is_told_twice_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert watchdog_s() is None
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert watchdog_s() == 15.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_s() == 15.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_s() is None


def test_a_process_that_lives_lets_the_watchdog_know(notices: socket.socket) -> None:
    with subprocess.Popen(
        [*CALLBOARD, "coordinator", "--port", "0"],
        env=os.environ | {"WATCHDOG_USEC": "200000"},
        stderr=subprocess.DEVNULL,
    ) as process:
        wanted = {b"READY=1", b"WATCHDOG=1", b"STOPPING=1"}
        while wanted != {b"STOPPING=1"}:
            wanted.discard(notices.recv(100))
        process.terminate()
        while wanted:
            wanted.discard(notices.recv(100))
        assert process.wait(PATIENCE_S) == 0

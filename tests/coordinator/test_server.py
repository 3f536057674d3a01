"""Whatever a peer does costs nobody but itself, and the log says what was refused."""

import json
import socket
import time
from ipaddress import ip_network
from itertools import chain, repeat

import pytest
from attrs import define, evolve, field
from tests.coordinator.hosting import PATIENCE_S, Host, document, reset, rest

from callboard.actors.semantics import DOCUMENTED, LAVA, Semantics
from callboard.coordinator.answers import Call
from callboard.coordinator.errors import AddressError
from callboard.coordinator.exchange import Exchange, Served
from callboard.coordinator.framing import frame
from callboard.coordinator.listening import listeners
from callboard.coordinator.requests import Request
from callboard.coordinator.settings import networks
from callboard.coordinator.terms import Terms

ACK = {"response": "ack"}
WAIT = {"response": "wait"}
NACK = {"response": "nack"}


def _framed(text: str) -> bytes:
    return b"%08X%b" % (len(text), text.encode())


def test_requests_are_answered_each_on_a_connection_of_its_own() -> None:
    with Host() as host:
        assert host.ask("group_data") == WAIT
        assert host.ask("group_data", "2") == {
            "response": "group_data",
            "roles": {"1": "r", "2": "r"},
        }
        assert host.ask("lava_send", messageID="m", message={"k": "v"}) == ACK
        assert host.ask("lava_wait", "2", messageID="m") == {
            "response": "ack",
            "message": {"1": {"k": "v"}},
        }


def test_a_request_in_pieces_of_one_byte_is_a_request() -> None:
    with Host() as host, host.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(document("lava_send", messageID="m", message={"k": "v"})):
            connection.send(bytes([byte]))
        assert json.loads(rest(connection)[8:]) == ACK


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"FFFFFFFF", "4294967295 characters"),
        (b"0000000g", "no length"),
        (b"GET / HTTP/1.1\r\n", "no length"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", "no length"),
        (b"00000002\xff\xff", "not UTF-8"),
        (b"00000002{}{}", "announced"),
        (b"00000003{ar", "not JSON"),
        (b"00000000", "not JSON"),
        (b"00000010{}", "ended before"),
        (b"0000", "ended before"),
    ],
)
def test_what_is_no_request_gets_no_reply(sent: bytes, why: str) -> None:
    with Host() as host:
        connection = host.connect()
        name, port = connection.getsockname()
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert rest(connection) == b""
        said = host.refusal()
        assert said.text.startswith(f"{name}:{port}: ")
        assert why in said.text
        assert host.ask("group_data") == WAIT


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "a list, not an object"),
        ("[" * 100_000, "one in another"),
        ('{"request": NaN}', "NaN, which is not JSON"),
        ('"lava_send"', "a text, not an object"),
        ("{}", "'request' is missing"),
        ('{"request": "group_data"}', "'client_name' is missing"),
        (json.dumps({**document("lava_wait"), "messageID": ["m"]}), "'messageID' is a list"),
        (json.dumps({**document("lava_wait"), "group_size": "two"}), "'group_size'"),
        (
            json.dumps(document("lava_wait")),
            ": lava_wait of client '1' of group 'g': the field 'messageID' is missing",
        ),
        (
            json.dumps(document("dance")),
            "of client '1' of group 'g': there is no request 'dance'",
        ),
        (
            json.dumps(document("lava_wait_all", messageID="m", waitrole="nobody")),
            "lava_wait_all of client '1' of group 'g'",
        ),
    ],
)
def test_a_request_that_can_not_be_served_is_refused(text: str, why: str) -> None:
    with Host() as host:
        connection = host.connect()
        connection.sendall(_framed(text))
        assert json.loads(rest(connection)[8:]) == NACK
        assert why in host.refusal().text


def test_silence_and_slowness_end_with_the_time_for_a_request() -> None:
    with Host(Terms(request_s=0.3)) as host:
        silent, slow = host.connect("127.0.0.2"), host.connect("127.0.0.3")
        slow.send(b"00")
        assert host.ask("group_data") == WAIT
        assert rest(silent) == b""
        assert rest(slow) == b""
        said = sorted(host.refusal().text.partition(": ")[::2] for _ in range(2))
        assert [who.partition(":")[0] for who, _ in said] == ["127.0.0.2", "127.0.0.3"]
        assert said[0][1] == "nothing came within 0.3 s"
        assert said[1][1] == "its request was not whole within 0.3 s"


def test_a_byte_now_and_then_gives_no_more_time() -> None:
    with Host(Terms(request_s=0.5)) as host, host.connect() as connection:
        begun_s = time.monotonic()
        connection.settimeout(0.05)
        came: bytes | None = None
        rest_of_it = chain(b"000F0000", repeat(ord(" ")))
        while came is None:
            try:
                connection.send(bytes([next(rest_of_it)]))
                came = connection.recv(1)
            except TimeoutError:
                pass
            except (ConnectionResetError, BrokenPipeError):
                came = b""
        assert came == b""
        assert 0.4 < time.monotonic() - begun_s < PATIENCE_S
        assert "not whole within 0.5 s" in host.refusal().text


def test_a_reset_in_the_middle_is_noted() -> None:
    with Host() as host:
        connection = host.connect()
        connection.send(b"0000")
        host.until(lambda now: now.reading == 1)
        reset(connection)
        assert "reset" in host.refusal().text
        host.until(lambda now: now.connections == 0)


def test_who_only_looks_whether_somebody_listens_is_no_line_in_the_log() -> None:
    with Host() as host:
        host.connect().close()
        host.until(lambda now: now.accepted == 1 and now.connections == 0)
        assert host.facts.empty()


def test_a_refusal_of_one_address_is_said_once_and_the_rest_counted() -> None:
    with Host() as host:
        for _ in range(50):
            connection = host.connect()
            connection.send(b"xxxxxxxx")
            rest(connection)
        first = host.refusal()
        assert host.facts.empty()
        assert host.statistics.refused == 50
    assert first.fields["count"] == 1
    assert host.refusal().text.startswith("127.0.0.1: 49 more; the last one: ")


def test_long_names_make_no_long_lines() -> None:
    with Host() as host:
        assert host.ask("x" * 10_000, "c" * 900) == NACK
        assert len(host.refusal().text) < 500


def test_only_networks_that_are_allowed_are_served() -> None:
    with Host(Terms(networks=(ip_network("127.0.0.8/29"),))) as host:
        assert rest(host.connect("127.0.0.7")) == b""
        assert "none of the networks" in host.refusal().text
        connection = host.connect("127.0.0.9")
        connection.sendall(frame(document("group_data")))
        assert json.loads(rest(connection)[8:]) == WAIT


def test_this_machine_itself_is_served_whatever_its_address_is() -> None:
    with Host(Terms(networks=())) as host:
        connection = host.connect("127.0.0.1")
        connection.sendall(frame(document("group_data")))
        assert json.loads(rest(connection)[8:]) == WAIT
        assert rest(host.connect("127.0.0.7")) == b""


def test_a_network_of_ipv4_may_be_written_as_one_of_ipv6() -> None:
    allowed = networks("allow", ["::ffff:127.0.0.8/125", "::ffff:10.1.0.1", "fd00::/8", "::/0"])
    assert list(map(str, allowed)) == ["127.0.0.8/29", "10.1.0.1/32", "fd00::/8", "::/0"]


def test_an_address_with_too_many_connections_loses_those_that_have_not_asked() -> None:
    with Host(Terms(from_one_address=3)) as host:
        idle = [host.connect() for _ in range(3)]
        host.until(lambda now: now.reading == 3)
        assert host.ask("group_data") == WAIT
        assert rest(idle[0]) == b""
        assert "gave way" in host.refusal().text
        for each in idle:
            each.close()


def test_who_is_not_limited_has_as_many_connections_as_there_may_be() -> None:
    terms = Terms(from_one_address=1, unlimited=(ip_network("127.0.0.0/8"),))
    with Host(terms) as host:
        idle = [host.connect() for _ in range(20)]
        host.until(lambda now: now.reading == 20)
        for each in idle:
            each.close()


def test_with_too_many_connections_in_all_the_longest_silent_gives_way() -> None:
    with Host(Terms(connections=2)) as host:
        first, second = host.connect("127.0.0.2"), host.connect("127.0.0.3")
        host.until(lambda now: now.reading == 2)
        assert host.ask("group_data") == WAIT
        assert rest(first) == b""
        host.until(lambda now: now.connections == 1)
        second.close()


def test_half_read_requests_have_bounded_memory() -> None:
    size = 1 << 20
    with Host(Terms(pending_bytes=4 * size, message_limit=2 * size)) as host:
        halves = [host.connect() for _ in range(12)]
        for each in halves:
            each.sendall(b"%08X" % (2 * size))
            each.sendall(b" " * size)
        host.until(lambda now: now.reading <= 4)
        assert "made room" in host.refusal().text
        assert rest(halves[0]) == b""
        assert host.ask("group_data") == WAIT
        for each in halves:
            each.close()


def _filled(host: Host, size: int, message: str = "m") -> None:
    """Have a message of many characters be there to ask for."""
    assert host.ask("lava_send", messageID=message, message={"k": "v" * size}) == ACK


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    with Host(Terms(answer_s=0.3, message_limit=8 << 20)) as host:
        _filled(host, 6 << 20)
        lazy = host.asked("lava_wait", messageID="m")
        host.until(lambda now: now.answering == 1)
        assert host.ask("group_data") == WAIT
        host.until(lambda now: now.connections == 0)
        assert "was not taken within 0.3 s" in host.refusal().text
        lazy.close()


def test_a_large_answer_comes_whole_to_a_slow_reader() -> None:
    with Host(Terms(message_limit=8 << 20)) as host:
        _filled(host, 6 << 20)
        slow = host.asked("lava_wait", messageID="m")
        host.until(lambda now: now.answering == 1)
        data = rest(slow)
        assert int(data[:8], 16) == len(data) - 8
        assert json.loads(data[8:])["message"] == {"1": {"k": "v" * (6 << 20)}}


def test_answers_that_nobody_takes_have_bounded_memory() -> None:
    with Host(Terms(pending_bytes=5 << 20, message_limit=4 << 20)) as host:
        lazy = []
        for number in range(5):
            _filled(host, 2 << 20, f"m{number}")
            lazy.append(host.asked("lava_wait", messageID=f"m{number}"))
            host.until(lambda now, asked=number + 1: now.answering == min(asked, 2))  # type: ignore[misc]
        assert "its answer was dropped" in host.refusal().text
        assert len(rest(lazy[0])) < 2 << 20
        assert len(rest(lazy[-1])) > 2 << 20
        for each in lazy:
            each.close()


def test_an_answer_that_many_get_is_kept_once() -> None:
    with Host(Terms(pending_bytes=5 << 20, message_limit=4 << 20)) as host:
        _filled(host, 2 << 20)
        lazy = [host.asked("lava_wait", messageID="m") for _ in range(5)]
        host.until(lambda now: now.answering == 5)
        assert [len(rest(each)) > 2 << 20 for each in lazy] == [True] * 5


class Faulty(Exchange):
    """An exchange with a fault."""

    def serve(self, request: Request, now_s: float, call: Call | None = None) -> Served:
        if request.client.name == "bug":
            raise ZeroDivisionError("of ours")
        return super().serve(request, now_s, call)


def test_a_fault_of_ours_costs_one_answer() -> None:
    with Host(exchange=Faulty()) as host:
        assert host.ask("group_data", "bug") == NACK
        said = host.facts.get(timeout=PATIENCE_S)
        assert (said.kind, said.weight) == ("fault", "error")
        assert "ZeroDivisionError" in str(said.fields["traceback"])
        assert host.ask("group_data") == WAIT


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python is made without IPv6")
def test_it_serves_over_ipv6() -> None:
    with Host(host="::1") as host, socket.create_connection(host.address, PATIENCE_S) as connection:
        connection.sendall(frame(document("group_data")))
        assert json.loads(rest(connection)[8:]) == WAIT
        with socket.create_connection(host.address, PATIENCE_S) as other:
            other.sendall(b"xxxxxxxx")
            assert rest(other) == b""
            assert host.refusal().text.startswith("[::1]:")


def test_where_it_can_not_listen_it_says_what_to_do() -> None:
    with Host() as host, pytest.raises(AddressError) as raised:
        listeners(["127.0.0.1"], host.address[1])
    assert raised.value.text == f"port {host.address[1]} of 127.0.0.1 is in use"
    assert "--port" in str(raised.value.cure)
    with pytest.raises(AddressError, match=r"doesn't have the address 192\.0\.2\.1"):
        listeners(["127.0.0.1", "192.0.2.1"], 0)
    with pytest.raises(AddressError, match="can't be found"):
        listeners(["no-such-host.invalid"], 0)


# Held answers

HELD = Terms(hold=1.0)


def test_an_answer_that_is_held_comes_as_soon_as_it_is_there() -> None:
    with Host(HELD) as host:
        host.ask("group_data", poll_delay=0)
        waits = host.asked("lava_wait", messageID="m", poll_delay=30)
        host.until(lambda now: now.held == 1)
        assert host.ask("lava_send", "2", messageID="m", message={"k": "v"}) == ACK
        assert json.loads(rest(waits)[8:])["message"] == {"2": {"k": "v"}}


def test_an_answer_is_held_no_longer_than_agreed() -> None:
    with Host(HELD) as host:
        begun_s = time.monotonic()
        assert host.ask("lava_wait", messageID="m", poll_delay=0.2) == WAIT
        assert time.monotonic() - begun_s >= 0.2
        assert host.ask("lava_wait", messageID="m", poll_delay=0) == WAIT
        assert host.ask("lava_wait", messageID="m", poll_delay=None) == WAIT


def test_who_has_reset_the_connection_is_held_no_longer() -> None:
    with Host(HELD) as host:
        gone = host.asked("lava_wait", messageID="m", poll_delay=60)
        host.until(lambda now: now.held == 1)
        reset(gone)
        host.until(lambda now: now.held == 0)
        assert host.ask("lava_send", "2", messageID="m", message={}) == ACK


def test_a_group_that_syncs_is_released_together() -> None:
    with Host(HELD) as host:
        clients = [str(number) for number in range(200)]
        waiting = [
            host.asked("lava_sync", each, group_size=200, poll_delay=60, messageID="s")
            for each in clients
        ]
        for each in waiting:
            assert json.loads(rest(each)[8:]) == {"response": "ack", "message": "s"}


@pytest.mark.parametrize("semantics", [LAVA, DOCUMENTED], ids=["lava", "documented"])
def test_a_request_that_is_held_brings_no_group_back(semantics: Semantics) -> None:
    """Its client may be gone, which can't be seen; if it isn't, it asks again itself."""
    with Host(HELD, exchange=Exchange(semantics)) as host:
        host.ask("group_data", group_size=1)
        held = host.asked("lava_wait", group_size=1, messageID="m", poll_delay=60)
        host.until(lambda now: now.held == 1)
        assert host.ask("clear_group", group_size=1) == ACK
        assert json.loads(rest(held)[8:]) == WAIT
        assert not host.within(lambda: host.exchange.groups)


def test_a_request_that_is_held_brings_no_client_back_that_has_left() -> None:
    with Host(HELD, exchange=Exchange(DOCUMENTED)) as host:
        for client in "12":
            host.ask("group_data", client, poll_delay=0)
        held = host.asked("lava_wait", messageID="m", poll_delay=60)
        host.until(lambda now: now.held == 1)
        host.ask("clear_group")
        host.ask("lava_send", "2", messageID="m", message={})
        assert json.loads(rest(held)[8:]) == WAIT
        host.ask("clear_group", "2")
        assert not host.within(lambda: host.exchange.groups)


def test_a_client_that_asks_again_from_elsewhere_is_answered_both_times() -> None:
    with Host(HELD) as host:
        once = host.asked("lava_wait", messageID="m", poll_delay=60)
        twice = host.asked("lava_wait", messageID="m", poll_delay=60)
        host.until(lambda now: now.held == 2)
        assert host.ask("lava_send", "2", messageID="m", message={}) == ACK
        assert json.loads(rest(once)[8:]) == json.loads(rest(twice)[8:])


def test_who_is_held_gives_way_with_an_answer() -> None:
    with Host(evolve(HELD, connections=1)) as host:
        held = host.asked("lava_wait", messageID="m", poll_delay=60)
        host.until(lambda now: now.held == 1)
        assert host.ask("group_data", "2", poll_delay=0)["response"] == "group_data"
        assert json.loads(rest(held)[8:]) == WAIT


def test_who_is_held_when_the_server_ends_is_told_to_ask_again() -> None:
    with Host(HELD) as host:
        held = host.asked("lava_wait", messageID="m", poll_delay=60)
        idle = host.connect()
        host.until(lambda now: now.held == 1 and now.reading == 1)
    assert json.loads(rest(held)[8:]) == WAIT
    assert rest(idle) == b""


def test_who_has_begun_to_ask_when_the_server_ends_may_finish() -> None:
    with Host() as host:
        data = frame(document("group_data"))
        begun = host.connect()
        begun.sendall(data[:20])
        host.until(lambda now: now.reading == 1)
        host.end()
        with pytest.raises(ConnectionRefusedError):
            while True:
                host.connect().close()
        begun.sendall(data[20:])
        assert json.loads(rest(begun)[8:]) == WAIT


# What has to survive


@define
class Disk:
    """A disk that settles what it is given when told to."""

    noted: list[Request] = field(factory=list)
    behind_bytes: int = 0
    failure: OSError | None = None
    _waiting: list[Call] = field(factory=list)

    def note_group(self, group: str) -> None:
        raise AssertionError(f"a fault, in {group}")

    def note(self, request: Request) -> None:
        self.noted.append(request)
        self.behind_bytes += 1

    def when_settled(self, callback: Call) -> None:
        if self.behind_bytes:
            self._waiting.append(callback)
        else:
            callback()

    @property
    def waiters(self) -> int:
        return len(self._waiting)

    def settle(self) -> None:
        self.behind_bytes = 0
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()


def test_nothing_is_answered_before_what_it_rests_on_is_on_the_disk() -> None:
    disk = Disk()
    with Host(keeper=disk) as host:
        sends = host.asked("lava_send", messageID="m", message={"k": "v"})
        host.until(lambda now: now.answering == 1)
        waits = host.asked("lava_wait", messageID="m")
        host.until(lambda now: now.answering == 2)
        sends.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sends.recv(1)
        sends.settimeout(PATIENCE_S)
        host.within(disk.settle)
        assert json.loads(rest(sends)[8:]) == ACK
        assert json.loads(rest(waits)[8:])["message"] == {"1": {"k": "v"}}
        assert [type(each).__name__ for each in disk.noted] == ["LavaSend"]


def test_while_the_disk_takes_nothing_answers_are_given_up_in_time() -> None:
    disk = Disk()
    with Host(Terms(answer_s=0.2), keeper=disk) as host:
        assert rest(host.asked("lava_send", messageID="m", message={})) == b""
        assert "could not be written down within 0.2 s" in host.refusal().text
        host.within(disk.settle)
        assert host.ask("lava_wait", messageID="m")["message"] == {"1": {}}


@pytest.mark.parametrize("failure", [None, OSError(28, "No space left on device")])
def test_while_the_disk_takes_nothing_nothing_is_served_and_all_are_told_to_ask_again(
    failure: OSError | None,
) -> None:
    disk = Disk()
    with Host(Terms(pending_bytes=1 << 20), keeper=disk) as host:
        disk.behind_bytes, disk.failure = (2 << 20 if failure is None else 1), failure
        assert host.ask("lava_send", messageID="m", message={}) == WAIT
        assert host.ask("dance") == WAIT
        assert disk.noted == []
        assert host.exchange.groups == {}
        host.within(disk.settle)
        disk.failure = None
        served = host.asked("group_data")
        host.until(lambda now: now.answering == 1)
        host.within(disk.settle)
        assert json.loads(rest(served)[8:]) == WAIT


def test_answers_that_were_given_up_are_not_remembered() -> None:
    disk = Disk()
    with Host(Terms(answer_s=0.05), keeper=disk) as host:
        assert rest(host.asked("lava_send", messageID="m", message={})) == b""
        for _ in range(20):
            assert rest(host.asked("lava_wait", messageID="m")) == b""
        assert disk.waiters <= 2
        host.within(disk.settle)

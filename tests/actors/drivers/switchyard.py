"""A VLANd daemon for tests: real TCP, switches and ports of a model, and failures at will."""

import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from itertools import count
from socket import SHUT_RDWR
from typing import Any, cast

from attrs import define, field

from callboard.definition.model import Place
from callboard.definition.vland import Daemon

BASE = 1
"""Id of the VLAN that all ports are in when nobody uses them."""

Reply = dict[str, Any]
Trouble = Callable[["Conversation", Callable[[], Reply]], None]
"""Answers in place of the daemon; is given what makes the daemon's own answer, and does it."""


@define
class Socket:
    """A port of a switch."""

    switch: str
    number: int
    base: int = BASE
    current: int = BASE
    locked: bool = False
    trunk: bool = False


@define
class Conversation:
    """One connection: what came, and what was sent back."""

    received: bytes
    sent: bytes
    command: str
    data: dict[str, Any]
    connection: Any

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.sent += data
        self.connection.sendall(data)

    def reply(self, reply: object) -> None:
        """Send a frame."""
        body = json.dumps(reply).encode()
        self.send(b"%08X" % len(body) + body)


@define
class Switchyard:
    """The daemon: its records, and what was said to it.

    Attributes:
        sockets: Its ports by id.
        vlans: Name and tag of its VLANs by id.
        knows: Whether it answers how ports are and what VLANs are called.
        troubles: For each command what answers its next requests in place of the daemon.
        said: All conversations, in the order of their beginnings.
        moved: Called after each change, with the command.
    """

    sockets: dict[int, Socket]
    vlans: dict[int, tuple[str, int]] = field(factory=lambda: {BASE: ("DEFAULT", 1)})
    knows: bool = True
    troubles: dict[str, list[Trouble]] = field(factory=dict[str, list[Trouble]])
    said: list[Conversation] = field(factory=list[Conversation])
    moved: Callable[[str], None] = lambda _command: None
    daemon: Daemon = field(factory=lambda: Daemon("127.0.0.1", 1, Place("devices.yaml", 2, 8)))
    _ids: Iterator[int] = field(factory=lambda: count(2))
    _turn: threading.RLock = field(factory=threading.RLock)

    @property
    def commands(self) -> list[str]:
        """What was asked for, without how ports and VLANs are."""
        hidden = ("db.get_port_by_id", "db.get_vlan_id_by_name")
        return [each.command for each in self.said if each.command not in hidden]

    @property
    def untouched(self) -> bool:
        """Whether all ports are in their base VLANs, and no others are there."""
        return list(self.vlans) == [BASE] and all(
            each.current == each.base for each in self.sockets.values()
        )

    def trouble(self, command: str, *troubles: Trouble) -> None:
        """Have the next requests of a command answered otherwise, one trouble each."""
        self.troubles.setdefault(command, []).extend(troubles)

    def answer(self, conversation: Conversation) -> None:
        """Do what is asked for, and reply; or what trouble there is."""
        with self._turn:
            self.said.append(conversation)
            waiting = self.troubles.get(conversation.command)
            trouble = waiting.pop(0) if waiting else None

        def reply() -> Reply:
            with self._turn:
                return self._reply(conversation.command, conversation.data)

        if trouble is not None:
            trouble(conversation, reply)
        else:
            conversation.reply(reply())

    def _reply(self, command: str, data: dict[str, Any]) -> Reply:
        match command:
            case "db.get_switch_id_by_name":
                names = sorted({each.switch for each in self.sockets.values()})
                found: object = names.index(data["name"]) + 1 if data["name"] in names else None
            case "db.get_port_by_switch_and_number":
                found = self._port_id(data["switch_id"], data["number"])
            case "db.get_port_by_id" if self.knows:
                found = self._record(data["port_id"])
            case "db.get_vlan_id_by_name" if self.knows:
                name = data["name"]
                found = next((key for key, each in self.vlans.items() if each[0] == name), None)
            case "api.create_vlan":
                tag = next(each for each in count(100) if each not in self._tags)
                key = next(self._ids)
                self.vlans[key] = (data["name"], tag)
                found = [key, tag]
            case "api.delete_vlan":
                if data["vlan_id"] not in self.vlans:
                    return {"response": "ERROR", "error": "no such VLAN"}
                if any(each.current == data["vlan_id"] for each in self.sockets.values()):
                    return {"response": "ERROR", "error": "the VLAN has ports"}
                del self.vlans[data["vlan_id"]]
                found = data["vlan_id"]
            case "api.set_current_vlan" | "api.restore_base_vlan":
                port = self.sockets[data["port_id"]]
                wanted = data.get("vlan_id", port.base)
                if port.locked:
                    return {"response": "ERROR", "error": "the port is locked"}
                if wanted not in self.vlans:
                    return {"response": "ERROR", "error": "no such VLAN"}
                port.current = wanted
                found = data["port_id"]
            case _:
                return {"response": "ERROR", "error": f"unknown command {command}"}
        if command.startswith("api."):
            self.moved(command)
        return {"response": "ACK", "data": found}

    @property
    def _tags(self) -> set[int]:
        return {tag for _name, tag in self.vlans.values()}

    def _port_id(self, switch_id: int, number: int) -> int | None:
        switch = sorted({each.switch for each in self.sockets.values()})[switch_id - 1]
        found = (k for k, v in self.sockets.items() if (v.switch, v.number) == (switch, number))
        return next(found, None)

    def _record(self, port_id: int) -> Reply:
        port = self.sockets[port_id]
        return {
            "port_id": port_id,
            "number": port.number,
            "current_vlan_id": port.current,
            "base_vlan_id": port.base,
            "is_locked": port.locked,
            "is_trunk": port.trunk,
        }


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        received = b""
        while data := self.request.recv(65_536):
            received += data
        if not received:
            return
        assert int(received[:8], 16) == len(received) - 8
        request = json.loads(received[8:])
        conversation = Conversation(
            received, b"", request["command"], request["data"], self.request
        )
        with contextlib.suppress(OSError):  # the client has left
            cast("_Server", self.server).yard.answer(conversation)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64
    yard: Switchyard


@contextlib.contextmanager
def switchyard(**switches: int) -> Iterator[Switchyard]:
    """A daemon with switches of so many ports each, for as long as the context is open."""
    ports = [Socket(name, number + 1) for name, size in switches.items() for number in range(size)]
    with opened(Switchyard(dict(enumerate(ports, 11)))) as yard:
        yield yard


@contextlib.contextmanager
def opened(yard: Switchyard, port: int = 0) -> Iterator[Switchyard]:
    """Let a daemon listen on a port of this machine; 0 takes a free one."""
    with _Server(("127.0.0.1", port), _Handler) as server:
        server.yard = yard
        yard.daemon = Daemon("127.0.0.1", server.server_address[1], yard.daemon.place)
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
        thread.start()
        try:
            yield yard
        finally:
            server.shutdown()
            thread.join()


def wait(_conversation: Conversation, _reply: Callable[[], Reply]) -> None:
    """The daemon is busy: ask again."""
    _conversation.reply({"response": "wait"})


def lose(_conversation: Conversation, reply: Callable[[], Reply]) -> None:
    """It does what is asked for, and dies before it replies."""
    reply()


def forget(conversation: Conversation, _reply: Callable[[], Reply]) -> None:
    """It dies before it does anything."""
    conversation.connection.shutdown(SHUT_RDWR)


def half(conversation: Conversation, _reply: Callable[[], Reply]) -> None:
    """It dies in the middle of its reply."""
    conversation.send(b'00000020{"response": ')


def pretend(conversation: Conversation, _reply: Callable[[], Reply]) -> None:
    """It says that all is done, and does nothing."""
    conversation.reply({"response": "ACK", "data": conversation.data.get("port_id", 1)})


def raw(data: bytes) -> Trouble:
    """It sends these bytes."""
    return lambda conversation, _reply: conversation.send(data)


def answer(reply: object) -> Trouble:
    """It sends this reply."""
    return lambda conversation, _reply: conversation.reply(reply)


def pieces(conversation: Conversation, reply: Callable[[], Reply]) -> None:
    """It sends its reply byte by byte."""
    body = json.dumps(reply()).encode()
    for byte in b"%08X" % len(body) + body:
        conversation.send(bytes([byte]))


def hang(released: threading.Event) -> Trouble:
    """It doesn't answer before `released` is set."""

    def answer_late(conversation: Conversation, reply: Callable[[], Reply]) -> None:
        released.wait(60)
        conversation.reply(reply())

    return answer_late

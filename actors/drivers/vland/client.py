"""Asks a VLANd daemon: one connection a request, and every reply is looked at."""

import os
import re
import socket

import anyio
from attrs import field, frozen

from callboard.actors.drivers.vland.frame import Decoder, FrameError, brief, encode
from callboard.actors.errors import InfrastructureError, JobError
from callboard.definition.model import Plain
from callboard.definition.vland import Daemon

_READ_BYTES = 65_536
_FAILED = re.compile("error|fail|refus|denied|exception", re.IGNORECASE)


@frozen
class Patience:
    """How long a daemon is waited for; all in seconds.

    Attributes:
        connect_s: For a connection.
        reply_s: For the reply to one request: switches are slow.
        whole_s: For one that is asked again and again, since the daemon is busy or starts anew;
            less than any action that waits for it has (LAVA: 120 s).
        first_pause_s: Before it is asked again; each pause is half as long again as the one before.
        longest_pause_s: At most.
        attempts: Connections that may come to nothing, one after the other.
    """

    connect_s: float = 5.0
    reply_s: float = 60.0
    whole_s: float = 100.0
    first_pause_s: float = 0.1
    longest_pause_s: float = 5.0
    attempts: int = 5


class Refused(InfrastructureError):
    """The daemon has answered that it doesn't do what was asked for.

    Attributes:
        reason: What it says.
    """

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason

    @classmethod
    def kind(cls) -> str:
        """Reports have one word for trouble with the lab."""
        return InfrastructureError.kind()


class Lost(InfrastructureError):
    """The connection ended before the reply: the daemon has done what was asked for, or not."""

    @classmethod
    def kind(cls) -> str:
        """Reports have one word for trouble with the lab."""
        return InfrastructureError.kind()


class _Unreachable(Exception):
    """There is no connection; the text says why not."""


@frozen
class Client:
    """One daemon.

    Attributes:
        daemon: Where it is.
        name: What this machine calls itself there.
        patience: How long the daemon is waited for.
    """

    daemon: Daemon
    name: str = field(factory=socket.gethostname)
    patience: Patience = field(factory=Patience)

    def __str__(self) -> str:
        return f"VLANd at {self.daemon}"

    @property
    def _named(self) -> str:
        """Where somebody has said that the daemon is."""
        place = self.daemon.place
        return "`vland` in the devices file" + (f" ({place})" if place else "")

    async def query(self, command: str, data: dict[str, Plain]) -> Plain:
        """What the daemon's records say, asked until they are there.

        Raises:
            Refused: It doesn't answer that.
            InfrastructureError: It can't be reached, or answers nothing sensible.
            JobError: It was busy for too long.
        """
        return await self._ask("db_query", command, data, repeated=True)

    async def update(self, command: str, data: dict[str, Plain], *, repeated: bool = True) -> Plain:
        """Have the daemon change something; returns what it says of it.

        Args:
            command: What it is to do.
            data: With what.
            repeated: Whether asking twice does the same as once.

        Raises:
            Refused: It doesn't do that.
            Lost: It may have been done; only where the request is not `repeated`.
            InfrastructureError: It can't be reached, or answers nothing sensible.
            JobError: It was busy for too long.
        """
        return await self._ask("vlan_update", command, data, repeated=repeated)

    async def _ask(
        self, kind: str, command: str, data: dict[str, Plain], *, repeated: bool
    ) -> Plain:
        frame = self._frame(kind, command, data)
        pause_s = self.patience.first_pause_s
        deadline_s = anyio.current_time() + self.patience.whole_s
        failures = 0
        while True:
            try:
                reply = await self._exchange(frame, command)
                if (found := self._read(reply, command)) is not None:
                    return found[0]
            except (_Unreachable, Lost) as error:
                failures += 1
                if isinstance(error, Lost) and not repeated:
                    raise
                if failures >= self.patience.attempts:
                    raise InfrastructureError(str(error)) from None
            if anyio.current_time() + pause_s > deadline_s:
                # LAVA's words, since its users know them.
                raise JobError(
                    f"protocol lava-vland timed out: {self} was busy for"
                    f" {self.patience.whole_s:g} s with `{command}`; see what it waits for"
                )
            await anyio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, self.patience.longest_pause_s)

    def _frame(self, kind: str, command: str, data: dict[str, Plain]) -> bytes:
        message: dict[str, Plain] = {
            "port": self.daemon.port,
            "poll_delay": 1,
            "host": self.daemon.host,
            "client_name": self.name,
            "type": kind,
            "command": command,
            "data": data,
        }
        return encode(message)

    async def _exchange(self, frame: bytes, command: str) -> Plain:
        """One request and its reply, on a connection of its own."""
        async with await self._connect() as stream:
            decoder = Decoder()
            try:
                with anyio.fail_after(self.patience.reply_s):
                    await stream.send(frame)
                    await stream.send_eof()
                    while not decoder.feed(await stream.receive(_READ_BYTES)):
                        pass
                    return decoder.message()
            except TimeoutError:
                raise InfrastructureError(
                    f"{self} did not answer `{command}` within {self.patience.reply_s:g} s; see"
                    " what it does, and whether its switches answer it"
                ) from None
            except FrameError as error:
                raise InfrastructureError(
                    f"{self} answers `{command}` with {error}; see that {self._named} names the"
                    " daemon and no other server"
                ) from None
            except (anyio.EndOfStream, anyio.BrokenResourceError, OSError):
                how = "in the middle of its reply" if decoder.started else "without a reply"
                raise Lost(
                    f"{self} closed the connection {how} to `{command}`; its log says why"
                ) from None

    async def _connect(self) -> anyio.abc.SocketStream:
        try:
            with anyio.fail_after(self.patience.connect_s):
                return await anyio.connect_tcp(self.daemon.host, self.daemon.port)
        except TimeoutError:
            reason = f"no connection within {self.patience.connect_s:g} s"
        except socket.gaierror as error:
            reason = f"no address for `{self.daemon.host}`: {error.strerror}"
        except OSError as error:
            reason = _root(error)
        raise _Unreachable(
            f"{self} can't be reached: {reason}; start it there, or mend {self._named}"
        )

    def _read(self, reply: Plain, command: str) -> tuple[Plain] | None:
        """The data of a reply; None when the daemon is to be asked again."""
        if not isinstance(reply, dict) or not isinstance(reply.get("response"), str):
            raise InfrastructureError(
                f"{self} answers `{command}` with {brief(reply)}, which has no `response`; see that"
                f" {self._named} names the daemon and no other server"
            )
        response = str(reply["response"])
        if response == "wait":
            return None
        if "data" not in reply or _FAILED.search(response):
            reason = reply.get("error") or reply.get("data") or response
            said = reason if isinstance(reason, str) else brief(reply)
            raise Refused(f"{self} refuses `{command}`: {said[:200]}", said[:200])
        return (reply["data"],)


def _root(error: OSError) -> str:
    """Why there is no connection: the text of the system, of the first address that was tried."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        elif isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        else:
            cause = cause.__cause__
    return str(error)

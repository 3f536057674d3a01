"""LAVA's coordinator protocol as a client speaks it: a connection a request, and polling.

Nothing here gives up by itself, but a single try: whoever asks says how long it may take, by
cancelling. LAVA: coordinator, client polling.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
from attrs import frozen

from callboard.coordinator.answers import Answer
from callboard.coordinator.framing import PORT, FrameError, FrameReader, frame
from callboard.coordinator.requests import Json, Request, fields
from callboard.coordinator.wording import brief

_SCHEME = "lava"
_BLOCK = 4096
_CONNECT_S = 10.0
_REPLY_S = 60.0
"""How long a coordinator may take over a request, in seconds (LAVA: client polling)."""

_SILENCE_S = 5.0
"""How long nothing may come, beside the poll delay that it may be held back for, in seconds."""

_LONGEST_PAUSE_S = 10.0
_LONGEST_REPLY = 64 * 1024 * 1024
_MOST_POLLS = 16
_MOST_HELD = 256
_MOST_OTHERS = 16


class ClientError(Exception):
    """A request has no answer.

    ClientError
    ├── Unanswered: nothing has come; it is worth another try
    └── Misanswered: what has come is no answer; another try would be in vain
    """


class Unanswered(ClientError):
    """Nobody is there, or nothing came back.

    Attributes:
        sent: Whether the request may have been received all the same.
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class Misanswered(ClientError):
    """What has come back is no answer of a coordinator."""


@frozen
class Address:
    """Where a coordinator listens; `str()` makes its URL."""

    host: str
    port: int = PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{_SCHEME}://{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `lava://HOST` or `lava://HOST:PORT`.

        Raises:
            ValueError: It is neither; the text says what is wrong.
        """
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise ValueError(f"'{url}' is no address: {error}") from None
        if parts.scheme != _SCHEME:
            raise ValueError(f"'{url}' doesn't begin with {_SCHEME}://")
        if not parts.hostname:
            raise ValueError(f"'{url}' names no host")
        if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(f"'{url}' has more than a host and a port")
        try:
            port = PORT if parts.port is None else parts.port
        except ValueError:
            port = 0
        if not port:
            raise ValueError(f"the port in '{url}' is no number from 1 to 65535")
        return cls(parts.hostname, port)


Noticed = Callable[[Request, str | None], None]
"""Is told when a coordinator doesn't answer, with the reason, and with None when it does again;
and of which request. It must not wait."""


class Client:
    """A coordinator, for any number of its clients.

    Of connections for requests that may have to wait there are few at a time, and more once the
    coordinator is seen to hold such requests back; they take no room from the others.

    Args:
        address: Where it listens.
        poll_delay_s: How long to wait before asking again, in seconds.
        noticed: See `Noticed`.
    """

    def __init__(
        self,
        address: Address,
        poll_delay_s: float = 1.0,
        noticed: Noticed = lambda _request, _trouble: None,
    ) -> None:
        self._address = address
        self._poll_delay_s = poll_delay_s
        self._noticed = noticed
        self._polls = anyio.CapacityLimiter(_MOST_POLLS)
        self._others = anyio.CapacityLimiter(_MOST_OTHERS)
        self._trouble: str | None = None
        self._silence_s = _SILENCE_S + poll_delay_s
        self._answered_s = 0.0

    @property
    def trouble(self) -> str | None:
        """Why it doesn't answer; None when it does, as far as known."""
        return self._trouble

    async def ask(self, request: Request) -> Answer:
        """Make a request, once.

        Raises:
            Unanswered: No answer came.
            Misanswered: What came is none.
        """
        sent, asked_s = False, 0.0
        try:
            with anyio.fail_after(_REPLY_S):
                with anyio.fail_after(_CONNECT_S):
                    stream = await anyio.connect_tcp(self._address.host, self._address.port)
                async with stream:
                    sent, asked_s = True, anyio.current_time()
                    await stream.send(frame(self._document(request)))
                    await stream.send_eof()
                    answer = await self._answer(stream, request)
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            why = _why(error, sent=sent)
            self._notice(request, why)
            raise Unanswered(why, sent=sent) from error
        self._notice(request, None)
        self._answered_s = anyio.current_time()
        took_s = self._answered_s - asked_s
        # One that holds answers back for so long will do so again, and isn't silent.
        self._silence_s = max(self._silence_s, took_s + _SILENCE_S)
        if answer.response == "wait" and took_s > self._poll_delay_s / 2:
            self._polls.total_tokens = _MOST_HELD  # so that each is let go when its time has come
        return answer

    async def poll(self, request: Request) -> Answer:
        """Make a request until its answer is not to wait, however long that takes.

        Where nobody answers, the time between two tries grows.

        Raises:
            Misanswered: What came is no answer.
        """
        pauses_s = self.pauses_s()
        while True:
            began_s = anyio.current_time()
            try:
                async with self._polls:
                    answer = await self.ask(request)
            except Unanswered:
                await anyio.sleep(next(pauses_s))
                continue
            if answer.response != "wait":
                return answer
            pauses_s = self.pauses_s()
            # A coordinator that holds a request back has waited already.
            await anyio.sleep(max(0.0, began_s + self._poll_delay_s - anyio.current_time()))

    async def deliver(self, request: Request, *, again: bool) -> Answer:
        """Make a request that never has to wait, until it is answered.

        Args:
            request: The request.
            again: Whether it may be received twice.

        Raises:
            Unanswered: It may have been received, and must not be again.
            Misanswered: What came is no answer.
        """
        for pause_s in self.pauses_s():
            try:
                async with self._others:
                    return await self.ask(request)
            except Unanswered as error:
                if error.sent and not again:
                    raise
                await anyio.sleep(pause_s)
        raise AssertionError("pauses never end")

    def pauses_s(self) -> Iterator[float]:
        """How long to wait after each try at which nobody answered, in seconds."""
        pause_s = self._poll_delay_s
        while True:
            yield pause_s
            pause_s = max(self._poll_delay_s, min(2 * pause_s, _LONGEST_PAUSE_S))

    async def _answer(self, stream: anyio.abc.ByteReceiveStream, request: Request) -> Answer:
        """What comes back; that nothing does is noticed long before it is given up."""
        reader, asked_s = FrameReader(_LONGEST_REPLY), anyio.current_time()
        with anyio.move_on_after(self._silence_s):
            return await _received(stream, reader)
        if self._answered_s < asked_s:  # nor has anybody else been answered
            silent = f"connected, but nothing has come for {self._silence_s:.3g} s"
            self._notice(request, silent)
        return await _received(stream, reader)

    def _document(self, request: Request) -> Mapping[str, Json]:
        """The fields of a request, with those that LAVA's clients give besides."""
        return {
            "host": self._address.host,
            "port": self._address.port,
            "blocksize": _BLOCK,
            "poll_delay": self._poll_delay_s,
            **fields(request),
        }

    def _notice(self, request: Request, trouble: str | None) -> None:
        before, self._trouble = self._trouble, trouble
        if (before is None) != (trouble is None):
            self._noticed(request, trouble)


async def _received(stream: anyio.abc.ByteReceiveStream, reader: FrameReader) -> Answer:
    try:
        while (text := reader.feed(await stream.receive())) is None:
            pass
        return _read(json.loads(text))
    except FrameError as error:
        raise Misanswered(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise Misanswered("it is not JSON") from error


def _read(document: Any) -> Answer:
    if not isinstance(document, dict):
        raise Misanswered("it is JSON, but not an object")
    content: dict[str, Json] = dict(document)
    response = content.pop("response", None)
    match response:
        case "ack" | "nack" | "wait" | "group_data":
            return Answer(response, content)
        case _:
            raise Misanswered(f"its 'response' is {brief(response)}")


def _why(error: Exception, *, sent: bool) -> str:
    """Why nothing came, in a few words."""
    if isinstance(error, TimeoutError):
        return (
            f"no {'answer' if sent else 'connection'} within {_REPLY_S if sent else _CONNECT_S:g} s"
        )
    if isinstance(error, anyio.EndOfStream):
        return "it closed the connection without an answer"
    if isinstance(error, socket.gaierror):
        return f"its name is not known: {error.strerror}"
    cause: BaseException | None = error.__cause__
    if isinstance(cause, ExceptionGroup):  # one for each address of the host
        cause = cause.exceptions[0]
    number = getattr(cause, "errno", None) or getattr(error, "errno", None)
    return os.strerror(number).lower() if number else str(error) or type(error).__name__

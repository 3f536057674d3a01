"""A connection: one request, and its answer."""

from asyncio import TimerHandle
from collections.abc import Callable
from contextlib import suppress
from socket import MSG_MORE, SHUT_WR, socket
from typing import Literal

from callboard.coordinator.admission import Origin
from callboard.coordinator.answers import NACK, WAIT, Answer, Call
from callboard.coordinator.desk import Unsettled
from callboard.coordinator.framing import FrameError, FrameReader, whole
from callboard.coordinator.hall import Hall
from callboard.coordinator.refusals import place
from callboard.coordinator.requests import NotJsonError, Request, RequestError, described, parse

Stage = Literal["reading", "held", "answering", "closed"]

_PIECE = 1 << 16

_PIECES = 2
"""How often is read at a time: clients send the length first, and the message right after it."""

_LONGEST_HOLD_S = 50.0
"""LAVA's dispatchers give a connection up on which nothing has come for a minute."""


class Connection:
    """A client's connection, from the moment it was accepted.

    It is `reading` until its request is whole, `held` while the answer is held back, `answering`
    until the answer is on its way, then `closed`.

    Args:
        sock: The socket; it doesn't block.
        peer: Who has connected: address and port.
        origin: Where it comes from.
        hall: What connections share.
        gone: Told when it has closed.

    Attributes:
        half_read: Bytes of a request that is not whole yet.
        origin: See above.
        stage: See above.
        writing: Whether part of the answer waits to be taken.
    """

    __slots__ = (
        "_answer",
        "_descriptor",
        "_gone",
        "_hall",
        "_hold",
        "_listed",
        "_peer",
        "_reader",
        "_receipt",
        "_request",
        "_sent",
        "_socket",
        "_unsettled",
        "_wake",
        "half_read",
        "origin",
        "stage",
        "writing",
    )

    def __init__(
        self,
        sock: socket,
        peer: tuple[str, int],
        origin: "Origin[Connection]",
        hall: Hall,
        gone: "Callable[[Connection], None]",
    ) -> None:
        self.half_read = 0
        self.origin = origin
        self.stage: Stage = "reading"
        self.writing = False
        self._socket = sock
        self._descriptor = sock.fileno()
        self._peer = peer
        self._hall = hall
        self._gone = gone
        self._listed = False  # among those that are reading, or answering
        self._reader: FrameReader | None = None
        self._request: Request | None = None
        self._wake: Call | None = None
        self._hold: TimerHandle | None = None
        self._answer = b""
        self._receipt: Request | None = None
        self._sent = 0
        self._unsettled: Unsettled | None = None

    # The request

    def begin(self) -> None:
        """Read what is there already; mostly that is all."""
        self._read()
        if self.stage == "reading":
            self._listed = True
            self._hall.reading.join(self)
            self._hall.watch.data(self._descriptor, self._read)

    def read_late(self) -> None:
        """The request has not come in time."""
        seconds = f"within {self._hall.terms.request_s:g} s"
        self.cut(f"{'its request was not whole' if self.begun else 'nothing came'} {seconds}")

    @property
    def begun(self) -> bool:
        """Whether part of its request has come."""
        return self._reader is not None

    def _read(self) -> None:
        for _ in range(_PIECES):
            try:
                data = self._socket.recv(_PIECE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self.cut(f"it broke before its request was whole: {error.strerror}")
                return
            if not data:  # who sends nothing at all only wants to know whether somebody listens
                self.cut("it ended before its request was whole" if self.begun else "")
                return
            self._take(data)
            if self.stage != "reading":
                return

    def _take(self, data: bytes) -> None:
        limit = self._hall.terms.message_limit
        text = whole(data, limit) if self._reader is None else None
        if text is None:
            self._reader = self._reader or FrameReader(limit)
            try:
                text = self._reader.feed(data)
            except FrameError as error:
                self.cut(f"what it sent is no request: {error}")
                return
        if text is None:
            self._count(len(data))
        else:
            self._leave_reading()
            self._parse(text)

    def _count(self, read: int) -> None:
        """Keep the memory of half-read requests bounded: the earliest of them makes room."""
        hall = self._hall
        self.half_read += read
        hall.half_read += read
        while hall.half_read > hall.terms.pending_bytes:
            first = next((each for each in hall.reading if each.half_read), self)
            first.cut("its half-read request made room for others")

    def _leave_reading(self) -> None:
        self._hall.half_read -= self.half_read
        self.half_read = 0
        if self._listed:
            self._listed = False
            self._hall.reading.leave(self)
            self._hall.watch.forget(self._descriptor)

    def _parse(self, text: str) -> None:
        try:
            request = parse(text)
        except NotJsonError as error:
            self.cut(f"what it sent is no request: {error}")
        except RequestError as error:
            self._refuse(f"{error.of or 'its request was refused'}: {error}")
            self._give(NACK, at_once=True)
        else:
            self._ask(request)

    # The answer

    def _ask(self, request: Request) -> None:
        desk, hold = self._hall.desk, self._hall.terms.hold
        self._request = request
        if desk.busy:
            self._give(WAIT, at_once=True)
            return
        hold_s = min(hold * (request.client.poll_delay_s or 0.0), _LONGEST_HOLD_S) if hold else 0.0
        if hold_s:
            self._wake = self._woken  # one object, by which the exchange knows it
        answer = desk.serve(request, self._wake)
        if hold_s and answer.response == "wait":
            self._be_held(hold_s)
        else:
            self._wake = None  # which would keep it until the collector looks
            self._judge(answer)

    def _judge(self, answer: Answer) -> None:
        """Give an answer of the groups, and say so if it refuses the request."""
        if answer.reason:
            self._refuse(f"{_named(self._request)}: {answer.reason}")
        self._give(answer)

    def _give(self, answer: Answer, *, at_once: bool = False) -> None:
        """Give an answer when all is on the disk that it may rest on, or at once if on nothing."""
        hall = self._hall
        self.stage = "answering"
        self._answer, self._receipt = answer.framed, answer.receipt
        if at_once:
            self._send()
        else:
            self._unsettled = hall.desk.when_settled(self._send)
        if self.stage == "answering":
            self._listed = True
            hall.answering.join(self)
            hall.unsent.add(self._answer)
            while hall.unsent.size_bytes > hall.terms.pending_bytes:
                first = next((each for each in hall.answering if each.writing), self)
                first.cut("its answer was dropped, for too much was not taken yet")

    def _send(self) -> None:
        if self.stage != "answering":
            return
        self._unsettled = None
        rest = memoryview(self._answer)[self._sent :] if self._sent else self._answer
        try:
            # The end goes along: one packet wakes the client once.
            self._sent += self._socket.send(rest, MSG_MORE) if rest else 0
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self.cut(f"it broke before its answer was sent: {error.strerror}")
            return
        if self._sent == len(self._answer):
            with suppress(OSError):
                self._socket.shutdown(SHUT_WR)  # before bytes that nobody reads reset it
            self._close()
            if self._receipt is not None:
                self._hall.desk.serve(self._receipt)
        elif not self.writing:
            self.writing = True
            self._hall.loop.add_writer(self._descriptor, self._send)

    def answer_late(self) -> None:
        """The answer could not be given in time."""
        seconds = f"within {self._hall.terms.answer_s:g} s"
        why = "was not taken" if self.writing else "could not be written down"
        self.cut(f"its answer {why} {seconds}")

    # Being held

    def _be_held(self, hold_s: float) -> None:
        self.stage = "held"
        self._hall.held[self] = None
        self._hall.watch.reset(self._descriptor, self._close)
        self._hold = self._hall.loop.call_later(hold_s, self.send_home)

    def send_home(self) -> None:
        """Answer a request that is held with "wait"."""
        self._release()
        self._give(WAIT)

    def _woken(self) -> None:
        self._hall.desk.again(self._ask_again)

    def _ask_again(self) -> None:
        if self.stage != "held" or self._request is None:
            return
        if not self._hall.desk.may_ask_again(self._request):
            self.send_home()
        else:
            answer = self._hall.desk.serve(self._request, self._wake)
            if answer.response != "wait":
                self._let_go()
                self._judge(answer)

    def _release(self) -> None:
        if self._request is not None and self._wake is not None:
            self._hall.desk.release(self._request, self._wake)
        self._let_go()

    def _let_go(self) -> None:
        """Be held no longer."""
        self._wake = None
        self._hall.held.pop(self, None)
        self._hall.watch.forget(self._descriptor)
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None

    # The end

    def give_way(self) -> bool:
        """Leave for the sake of others, where little is lost; whether that is so."""
        if self.stage == "held":
            self.send_home()
        elif self.stage == "reading":
            self.cut("it had not asked yet, and gave way to another")
        return self.stage == "closed"

    def cut(self, reason: str) -> None:
        """Close it without an answer; without a reason nothing is said of that."""
        if self.stage != "closed":
            if reason:
                self._refuse(reason)
            self._close()

    def _refuse(self, reason: str) -> None:
        self._hall.refusals.note(self.origin.name, place(*self._peer), reason)

    def _close(self) -> None:
        match self.stage:
            case "reading":
                self._leave_reading()
            case "held":
                self._release()
            case "answering":
                self._leave_answering()
            case "closed":
                return
        self.stage = "closed"
        self._socket.close()
        self._gone(self)

    def _leave_answering(self) -> None:
        if self._unsettled is not None:
            self._unsettled.pop(self._send, None)
        if self.writing:
            self._hall.loop.remove_writer(self._descriptor)
        if self._listed:
            self._hall.answering.leave(self)
            self._hall.unsent.remove(self._answer)


def _named(request: Request | None) -> str:
    """A request as the log speaks of it."""
    return "its request" if request is None else described(request)

"""What the coordinator answers, and why."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Literal

from attrs import frozen

from callboard.coordinator.framing import frame
from callboard.coordinator.requests import Json, Request

Response = Literal["ack", "nack", "wait", "group_data"]

_PLAIN = {answer: frame({"response": answer}) for answer in ("ack", "nack", "wait")}
"""The answers that say nothing else."""

Call = Callable[[], None]
"""Called when a request that is held should be made again; it must not wait, nor make it itself."""


@frozen
class Answer:
    """The answer to a request.

    Attributes:
        response: Which; None for none: the connection is closed.
        content: Its other fields.
        reason: Why it is a nack, in the words of the one who reads the log; empty otherwise.
        receipt: What is to be served once the answer has left, None for nothing: until then the
            client may ask again, as one that never had it.
    """

    response: Response | None
    content: Mapping[str, Json] = {}
    reason: str = ""
    receipt: Request | None = None

    @property
    def document(self) -> Mapping[str, Json]:
        """What goes over the wire."""
        return {"response": self.response, **self.content}

    @cached_property
    def framed(self) -> bytes:
        """The same as bytes, made once for all who get it; empty if there is none."""
        if self.response is None:
            return b""
        return frame(self.document) if self.content else _PLAIN[self.response]


ACK = Answer("ack")
NACK = Answer("nack")
WAIT = Answer("wait")
NOTHING = Answer(None)


def nack(reason: str) -> Answer:
    """A request that is refused."""
    return Answer("nack", reason=reason)

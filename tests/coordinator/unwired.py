"""Our side of the coordinator's protocol without a connection, as documents or as bytes."""

import json
from collections.abc import Mapping
from typing import Any

from callboard.actors.semantics import LAVA, Semantics
from callboard.coordinator.answers import Answer, nack
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.framing import FrameReader, frame
from callboard.coordinator.limits import USUAL, Limits
from callboard.coordinator.requests import RequestError, parse

LARGEST = 1 << 28


def unframed(data: bytes) -> Any:
    """The document that a message has."""
    text = FrameReader(LARGEST).feed(data)
    assert text is not None
    return json.loads(text)


class Unwired:
    """An exchange, asked as by a server.

    Attributes:
        exchange: The exchange.
        now_s: Its clock.
    """

    def __init__(self, semantics: Semantics = LAVA, limits: Limits = USUAL) -> None:
        self.exchange = Exchange(semantics, limits)
        self.now_s = 0.0

    def answer(self, data: bytes) -> Answer:
        """The answer to the bytes of a request."""
        text = FrameReader(LARGEST).feed(data)
        assert text is not None
        try:
            request = parse(text)
        except RequestError as error:
            return nack(str(error))
        answer = self.exchange.serve(request, self.now_s).answer
        if answer.receipt is not None:
            self.exchange.serve(answer.receipt, self.now_s)
        return answer

    def ask(self, document: Mapping[str, object]) -> Any:
        """The document of the answer to a request; None for none."""
        answer = self.answer(frame(document))
        return None if answer.response is None else unframed(answer.framed)

    def nack(self, document: Mapping[str, object]) -> str:
        """Why a request is refused; empty if it isn't."""
        return self.answer(frame(document)).reason

"""The results that clients give, and that one of them collects.

Who collects waits until as many have given theirs as the group has clients, and is asked to come
again twice after that. LAVA: coordinator, aggregate.
"""

import json
from collections.abc import Mapping

from callboard.actors.sent import text_bytes
from callboard.coordinator.answers import ACK, WAIT, Answer
from callboard.coordinator.requests import Json

_PAUSE_ROUNDS = 2
"""How often who collects is asked to come again although all are there (LAVA)."""


class Bundles:
    """The bundles of one group.

    Args:
        size: How many have to be there before they are collected.

    Attributes:
        pause: How many rounds the collector still has to come again.
        size_bytes: How much is kept; see `Limits`.
    """

    def __init__(self, size: int) -> None:
        self.pause = _PAUSE_ROUNDS
        self.size_bytes = 0
        self._size = size
        self._texts: dict[str, str] = {}

    @property
    def texts(self) -> Mapping[str, str]:
        """What each client has given, as JSON."""
        return dict(self._texts)

    def put(self, client: str, text: str) -> None:
        """Keep what a client gives, in place of what it gave before."""
        self.size_bytes += self.growth_bytes(client, text)
        self._texts[client] = text

    def growth_bytes(self, client: str, text: str) -> int:
        """How much more would be kept then."""
        before = self._texts.get(client)
        return text_bytes(text) - (0 if before is None else text_bytes(before))

    def answer(self, sub_id: str) -> Answer:
        """What a client is told that has given its own."""
        if not sub_id.endswith(".0"):
            return ACK
        if len(self._texts) < self._size:
            self.pause = _PAUSE_ROUNDS
            return WAIT
        if self.pause:
            self.pause -= 1
            return WAIT
        self.pause = _PAUSE_ROUNDS
        bundles: dict[str, Json] = {each: json.loads(text) for each, text in self._texts.items()}
        return Answer("ack", {"message": {"bundle": bundles}})

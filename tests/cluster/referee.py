"""Hears from the nodes of groups themselves what they do, past callboard and its cluster."""

import asyncio
import time
from contextlib import suppress
from typing import Self

from attrs import define, field

SCRIPT = r"""
port=$1 rounds=$2
exec 9<>/dev/tcp/127.0.0.1/$port || exit 1
say() { echo "$*" >&9; }
fail() { say failed "$@"; exit 1; }
me=$(lava-self) || fail self
say claims $me
cache="${LAVA_MULTI_NODE_CACHE:-/tmp/lava_multi_node_cache.txt}"
for round in $(seq $rounds); do
  sleep 0.$((RANDOM % 5))
  value=$RANDOM$RANDOM
  say sends $round $value
  lava-send word-$round value=$value || fail send $round
  say sent $round
  lava-wait word-$round || fail wait $round
  lava-wait-all word-$round || fail wait-all $round
  say heard $round $(sed 's/:value=/=/' "$cache")
  lava-sync round-$round || fail sync $round
done
say done
"""
"""What a node runs, in bash; the referee's port and a number of rounds are its arguments."""


@define(eq=False)
class Stay:
    """A node's use of its device, from when it says so until its last process has ended.

    Attributes:
        begun_s: When it began, by the clock that only goes forward.
        ended_s: When it ended; None while it goes on.
        said: What the node has said, in words.
        job: The job that it runs; None before it has said so.
    """

    begun_s: float = field(factory=time.monotonic)
    ended_s: float | None = None
    said: list[list[str]] = field(factory=list[list[str]])
    job: int | None = None

    def words(self, verb: str) -> list[list[str]]:
        """What follows a verb, each time it was said."""
        return [words[1:] for words in self.said if words[0] == verb]


class Referee:
    """Listens to nodes.

    Attributes:
        port: Where.
        stays: Every use of a device so far.
    """

    def __init__(self) -> None:
        self.port = 0
        self.stays: list[Stay] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Ear(self.stays), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()


class _Ear(asyncio.Protocol):
    """One node's connection; it ends with the last process that has it open."""

    def __init__(self, stays: list[Stay]) -> None:
        self._stays = stays
        self._stay = Stay()
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            words = line.decode().split()
            if words[0] == "claims":
                with suppress(ValueError):
                    self._stay.job = int(words[1])
                # An end that came before is in here already: the loop hears one connection's
                # end no later than that another one is there.
                self._stay.begun_s = time.monotonic()
                self._stays.append(self._stay)
            self._stay.said.append(words)

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, _error: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if self._stay.ended_s is None:
            self._stay.ended_s = time.monotonic()

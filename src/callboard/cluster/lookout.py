"""Whom a group waits for that isn't heard of, for those who follow it."""

from collections.abc import Callable, Mapping

import anyio

from callboard.cluster.client import Client
from callboard.cluster.errors import ClusterError


class Lookout:
    """Tells which of those that a group needs fall silent, and which are back.

    Args:
        client: Of the cluster.
        group: The group's id.
        note: Takes a line of text; what doesn't change is said once.
    """

    def __init__(self, client: Client, group: str, note: Callable[[str], None]) -> None:
        self._client = client
        self._group = group
        self._note = note
        self._done: set[int] = set()
        self._silent: set[str] = set()

    async def run(self) -> None:
        """Look as often as workers are heard of; raises ClusterError."""
        while True:
            await anyio.sleep(self._client.lease_s / 3)
            try:
                await self._look()
            except ClusterError as error:
                if error.code != "CB270":  # they have too much to do
                    raise

    async def _look(self) -> None:
        if not self._client.hears:
            return
        found = await self._client.attendance(self._group, self._done)
        if self._fallen_silent(found):  # it may be one whose jobs have ended
            self._done |= await self._client.ended(self._group)
            found = await self._client.attendance(self._group, self._done)
        silent = self._fallen_silent(found)
        back = [who for who, how in found.items() if how is None and who in self._silent]
        self._silent = (self._silent | silent.keys()).difference(back)
        if silent:
            self._note(f"waiting for {', '.join(silent.values())}")
        if back:
            self._note(f"{', '.join(back)} {'is' if len(back) == 1 else 'are'} back")

    def _fallen_silent(self, found: Mapping[str, str | None]) -> dict[str, str]:
        return {who: how for who, how in found.items() if how and who not in self._silent}

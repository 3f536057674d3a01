"""Has the conditions of a group's links applied, and records each change."""

from typing import Protocol

from callboard.actors.links.links import Links
from callboard.actors.messages import GroupMessage, Interrupt
from callboard.events import LinksChanged
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef


class Cables(Protocol):
    """What the links of a network are made of."""

    async def apply(self) -> None:
        """See that all links are as they are to be now; raises OSError when they can't be."""
        ...


class LinkKeeper(Actor[LinksChanged]):
    """Keeps the links of a group as rules and faults want them.

    When they can't be kept so the group is ended: a run whose links aren't as its log says
    proves nothing.

    Args:
        links: What they are to be like.
        cables: What they are made of; None in a rehearsal, where nothing has to be done.
        group: The group.
        journal: Where changes are recorded.
    """

    def __init__(
        self,
        links: Links,
        cables: Cables | None,
        group: ActorRef[GroupMessage],
        journal: Journal,
    ) -> None:
        self._links = links
        self._cables = cables
        self._journal = journal
        self._group = group

    async def started(self) -> None:
        """Records what holds from the beginning."""
        for rule in self._links.rules:
            self._journal.emit(self.context.address, rule.told())

    async def receive(self, message: LinksChanged) -> None:
        """Something has changed: carry it out, and record it."""
        try:
            if self._cables is not None:
                await self._cables.apply()
            self._journal.emit(self.context.address, message)
        except OSError as error:
            await self._group.tell(Interrupt(f"the links of the network can't be changed: {error}"))
        finally:
            self._links.applied()

"""Something that takes long, done by a child, so that its parent can end it at once."""

from collections.abc import Awaitable, Callable

from attrs import frozen

from callboard.runtime import Actor, Outcome, Request


@frozen
class Perform(Request[Outcome[object]]):
    """Do something, and say how it ended."""

    operation: Callable[[], Awaitable[object]]


class Errand(Actor[Perform]):
    """Does one thing, and ends."""

    async def receive(self, message: Perform) -> Outcome[object]:
        """Do it."""
        self.context.stop()
        try:
            return Outcome(await message.operation())
        except Exception as error:  # whatever goes wrong is for the asker
            return Outcome(error=error)

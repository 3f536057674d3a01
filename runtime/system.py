"""What root actors live in."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from callboard.runtime.actor import MAILBOX_SIZE, Actor
from callboard.runtime.cell import Cell
from callboard.runtime.errors import ActorStopped, NameTaken
from callboard.runtime.messages import DeadLetter
from callboard.runtime.ref import ActorRef
from callboard.runtime.supervision import Supervision
from callboard.runtime.worker import Workers

M = TypeVar("M")


class ActorSystem:
    """An asynchronous context that actors live in; leaving it ends all of them.

    A body that comes to its end stops the actors in order, each after the message that it is
    handling; one that raises or is cancelled cancels what they are handling. When a root actor
    fails, the body is cancelled and the actor's error is raised from the context.

    Args:
        on_dead_letter: Called with each message that found its actor stopped; must not wait.
        order: Chooses, before each message, which of n > 1 actors that have something to do is
            served next (0..n-1); what it raises ends the system. With the same choices on a
            deterministic event loop a program takes the same course. None is first come, first
            served, and faster.
    """

    def __init__(
        self,
        *,
        on_dead_letter: Callable[[DeadLetter], None] = lambda _letter: None,
        order: Callable[[int], int] | None = None,
    ) -> None:
        self.workers = Workers(order, self.fail)
        """Who serves the actors; for the kernel's own use."""
        self.loop: asyncio.AbstractEventLoop
        """The event loop, once the system is entered; for the kernel's own use."""
        self._on_dead_letter = on_dead_letter
        self._roots: dict[str, Cell] = {}
        self._tasks: TaskGroup | None = None
        self._body = anyio.CancelScope()
        self._error: Exception | None = None

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self.workers.open(self._tasks)
        self._body.__enter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._tasks is not None
        self._body.__exit__(exc_type, exc, traceback)
        with anyio.CancelScope(shield=True):
            await self._end(hard=exc_type is not None)
        self.workers.close()
        await self._tasks.__aexit__(None, None, None)
        if self._error is not None:
            raise self._error

    def spawn(
        self,
        factory: Callable[[], Actor[M]],
        name: str,
        *,
        supervision: Supervision | None = None,
        mailbox_size: int = MAILBOX_SIZE,
    ) -> ActorRef[M]:
        """Make a root actor; see `Context.spawn`. Supervision `stop` and `escalate` are alike."""
        address = f"/{name}"
        if name in self._roots:
            raise NameTaken(address)
        if not self.workers.open_for_work:
            raise ActorStopped(address)
        cell = Cell(
            self,
            None,
            address,
            factory,
            supervision or Supervision.stop(),
            mailbox_size,
            endless=False,
        )
        self._roots[name] = cell
        self.workers.put(cell)
        return cell.ref

    async def stop(self) -> None:
        """End every actor in order, the last spawned root first; returns when all have ended."""
        await self._end(hard=False)

    async def _end(self, *, hard: bool) -> None:
        for cell in reversed(self._roots.copy().values()):
            if hard:
                cell.request_cancel()
            else:
                cell.request_stop()
            await cell.wait_ended()

    def forget(self, cell: Cell) -> None:
        """A root actor has ended; for the kernel's own use."""
        self._roots.pop(cell.address[1:], None)

    def dead_letter(self, address: str, message: object) -> None:
        """Report a message that found its actor stopped; for the kernel's own use."""
        self._on_dead_letter(DeadLetter(address, message))

    def fail(self, error: Exception) -> None:
        """A root actor or the order has failed: end everything; for the kernel's own use."""
        self._error = self._error or error
        self._body.cancel()

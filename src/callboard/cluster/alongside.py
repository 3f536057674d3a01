"""Work that goes on while other work does; its errors are raised as they are."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def alongside(work: Callable[[], Coroutine[object, object, None]]) -> AsyncIterator[None]:
    """Do some work while the context is open, and cancel it then.

    What the context raises is raised as it is, which a task group would wrap. Work that fails or
    returns ends the context; its own error is then raised as it is, too.
    """
    working = anyio.CancelScope()

    async def run() -> None:
        with working:  # asks again until it is heard: the NATS client swallows a cancellation
            await work()

    task = asyncio.create_task(run())
    try:
        with anyio.CancelScope() as scope:
            task.add_done_callback(lambda _task: scope.cancel())
            yield
    finally:
        working.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({task})
        failure = None if task.cancelled() else task.exception()
    if scope.cancelled_caught and failure is not None:
        raise failure

"""What a worker does for its cluster: hosts jobs on its devices, and leads groups."""

from functools import partial

import anyio

from callboard.cluster.errors import first
from callboard.cluster.hosting import Hosting
from callboard.cluster.leading import Leading
from callboard.cluster.seated import seated
from callboard.cluster.worker import Worker

_ENDING = "the worker was told to end its jobs"


async def serve(worker: Worker) -> None:
    """Host and lead until the worker is to leave; satisfies `worker.Part`."""
    try:
        await _serve(worker)
    except ExceptionGroup as errors:
        raise first(errors) from errors


async def _serve(worker: Worker) -> None:
    hosting = Hosting(worker, partial(seated, worker))
    leading = Leading(worker) if worker.fleet is not None else None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hosting.serve)
        if leading is not None:
            tasks.start_soon(leading.serve)
        await worker.draining.wait()
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(_end, worker, hosting, leaving.cancel_scope)
            if leading is not None:
                await leading.hand_over()
            await hosting.finished()
            leaving.cancel_scope.cancel()
        tasks.cancel_scope.cancel()


async def _end(worker: Worker, hosting: Hosting, scope: anyio.CancelScope) -> None:
    """When it is enough, jobs are ended, and who leads them gets the time to hear how."""
    await worker.ending.wait()
    hosting.end(_ENDING)
    await hosting.finished()
    await anyio.sleep(worker.cluster.lease_s)
    scope.cancel()

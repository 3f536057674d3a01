"""Rehearsals in a thread of their own."""

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def aside(work: Callable[[], T]) -> T:
    """The value of `work`, which a thread of its own does while this one waits.

    What interrupts the waiting leaves the work where it is: a rehearsal holds nothing real that
    would have to be given back, and with thousands of nodes its orderly end takes its time.
    """
    outcome: list[T | BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # whatever it is, it is raised by the caller
            outcome.append(error)

    thread = threading.Thread(target=run, name="rehearsal", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        gc.freeze()  # else the interpreter looks through it all before it ends
        raise
    found = outcome[0]
    if isinstance(found, BaseException):
        raise found
    return found


def alone(work: Callable[[], T]) -> T:
    """The value of `work`, done aside where this thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    return aside(work)

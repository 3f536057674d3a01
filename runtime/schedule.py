"""What is ready at once in virtual time, and the order in which it runs."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")


class Task(asyncio.Task[T]):
    """A task that knows its creation number."""

    __slots__ = ("number",)

    number: int


class Handle:
    """A callback that is to run.

    Attributes:
        callback: What is called; None once it is cancelled.
        args: With what.
        context: In which context.
        number: The number of the task that it resumes, -1 for none; set by `in_order`.
    """

    __slots__ = ("args", "callback", "context", "number")

    number: int

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = copy_context() if context is None else context

    def cancel(self) -> None:
        """Don't call it."""
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it has been cancelled."""
        return self.callback is None


class Timer(Handle):
    """A callback that is to run at a certain time.

    Attributes:
        when_s: That time.
        dropped: Called when it is cancelled before that time; None afterwards.
    """

    __slots__ = ("dropped", "when_s")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
        when_s: float,
        dropped: Callable[[], None] | None,
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self.when_s = when_s
        self.dropped = dropped

    def when(self) -> float:
        """When it is to run."""
        return self.when_s

    def cancel(self) -> None:
        """Don't call it."""
        if self.callback is not None:
            self.callback = None
            self.args = ()
            if self.dropped is not None:
                self.dropped()


BY_NUMBER = attrgetter("number")


def in_order(batch: Sequence[Handle], draw: Callable[[], float] | None) -> list[Handle]:
    """Order what is ready at once by what it is, not by the order in which it came.

    anyio cancels tasks by walking sets, so what that makes ready comes in the order of addresses.

    Args:
        batch: What is ready.
        draw: Draws a number that decides the place of one of them. None: callbacks as they came,
            then tasks by age.

    Returns:
        The order. Callbacks that resume no task keep theirs among themselves, as asyncio promises.
    """
    plain: list[Handle] = []
    steps: list[Handle] = []
    for handle in batch:
        owner = getattr(handle.callback, "__self__", None)
        if type(owner) is Task:
            handle.number = owner.number
            steps.append(handle)
        else:
            handle.number = -1
            plain.append(handle)
    steps.sort(key=BY_NUMBER)
    if len(plain) > 1 and len(steps) > 1:
        plain = _like_their_tasks(plain, steps)
    ordered = plain + steps
    if draw is not None and steps:
        ordered.sort(key=lambda _handle: draw())
        if len(plain) > 1:
            in_turn = iter(plain)
            ordered = [next(in_turn) if each.number < 0 else each for each in ordered]
    return ordered


def _like_their_tasks(plain: list[Handle], steps: list[Handle]) -> list[Handle]:
    """Bring callbacks of futures into the order of the tasks that the same futures resume.

    A task that is cancelled cancels the future that it waits for, whoever else waits for it.
    """
    resumed = {id(each.args[0]): each.number for each in steps if each.args}
    places = [n for n, each in enumerate(plain) if each.args and id(each.args[0]) in resumed]
    ordered = plain.copy()
    moved = sorted((plain[n] for n in places), key=lambda each: resumed[id(each.args[0])])
    for place, handle in zip(places, moved, strict=True):
        ordered[place] = handle
    return ordered

"""Asking as a task, which takes a coroutine function."""

from typing import Any, TypeVar

from callboard.runtime import ActorRef, Request

R = TypeVar("R")


async def ask(ref: ActorRef[Any], request: Request[R]) -> R:
    """The answer to a request."""
    return await ref.ask(request)

"""The messages that the kernel itself knows."""

from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import frozen

if TYPE_CHECKING:
    from callboard.runtime.ref import ActorRef

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Request(Generic[R_co]):
    """Base of the messages that are asked; `R_co` is the type of the answer.

    Example:
        @frozen
        class Add(Request[int]):
            n: int
    """

    __slots__ = ()


@frozen
class Outcome(Generic[R]):
    """How a piped request ended: with a `value`, or with an `error` (then `value` is None)."""

    value: R | None = None
    error: Exception | None = None


@frozen
class Terminated:
    """A watched actor has ended, in order or not."""

    ref: "ActorRef[object]"


@frozen
class ChildFailed:
    """A child has failed with `error`; `restarted` says whether a fresh one took its place."""

    ref: "ActorRef[object]"
    error: Exception
    restarted: bool


@frozen
class DeadLetter:
    """A message that found its actor stopped."""

    address: str
    message: object

"""What can go wrong between actors.

ActorError
├── ActorStopped   the actor ended, or had ended, without an answer
├── ActorFailed    the actor's handler raised an exception
├── AskTimeout     no answer within the time given
├── MailboxFull    `tell_nowait` found no room
└── NameTaken      a living sibling has the name
"""


class ActorError(Exception):
    """An error between actors; `address` is the actor concerned."""

    def __init__(self, address: str, text: str) -> None:
        super().__init__(f"{address} {text}")
        self.address = address


class ActorStopped(ActorError):
    """The actor has ended, so that the request will never be answered."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "has stopped")


class ActorFailed(ActorError):
    """The actor failed; `cause` is the exception that its handler raised."""

    def __init__(self, address: str, cause: BaseException) -> None:
        super().__init__(address, f"failed: {type(cause).__name__}: {cause}")
        self.cause = cause


class AskTimeout(ActorError):
    """No answer came within `timeout_s` seconds; one that comes later is dropped."""

    def __init__(self, address: str, timeout_s: float) -> None:
        super().__init__(address, f"did not answer within {timeout_s:g} s")
        self.timeout_s = timeout_s


class MailboxFull(ActorError):
    """The mailbox holds as many messages as it may."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "has a full mailbox")


class NameTaken(ActorError):
    """A living actor has that address already."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "is the address of a living actor")

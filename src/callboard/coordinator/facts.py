"""What a running coordinator has to say to whoever looks after it."""

from collections.abc import Callable, Mapping
from typing import Literal

from attrs import frozen

Weight = Literal["note", "warning", "error"]


@frozen
class Fact:
    """Something that has happened, for the log.

    Attributes:
        kind: Its kind, for programs; one word or several with hyphens.
        text: The line for people.
        weight: How much it matters.
        fields: What else programs may want to know; never what clients send to each other.
    """

    kind: str
    text: str
    weight: Weight = "note"
    fields: Mapping[str, str | int | float | None] = {}


Say = Callable[[Fact], None]
"""Takes what is to be in the log; it must neither wait nor raise."""

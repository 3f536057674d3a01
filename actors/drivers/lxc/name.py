"""The names of containers, checked before they meet a command line or a path."""

import re

from attrs import field, frozen

from callboard.definition.containers import NAME

_BASE = re.compile(r"base\.[0-9a-f]{16}")
"""What bases are called, which no container of a definition can be."""


def _allowed(_name: "ContainerName", _attribute: object, text: str) -> None:
    if not NAME.fullmatch(text) and not _BASE.fullmatch(text):
        raise ValueError(
            f"a container can't be called {text[:80]!r}: a name begins with a letter or digit,"
            " goes on with those, `-` and `_`, and has 63 characters at most"
        )


@frozen(order=True)
class ContainerName:
    """A name that may be given to LXC's tools; raises ValueError for any other text.

    The check is no matter of taste: `lxc-destroy` of a container called `..` removes what the
    folder of all containers lies in.
    """

    text: str = field(validator=_allowed)

    def __str__(self) -> str:
        return self.text

    @property
    def is_base(self) -> bool:
        """Whether it is the name of a base."""
        return _BASE.fullmatch(self.text) is not None


def base_name(key: str) -> ContainerName:
    """The name of a base, by 16 hexadecimal digits."""
    return ContainerName(f"base.{key}")

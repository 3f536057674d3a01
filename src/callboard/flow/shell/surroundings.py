"""What a test is given: its text, its files, and the node that it runs on."""

from collections.abc import Mapping

from attrs import field, frozen

from callboard.flow.shell.files import Files
from callboard.flow.shell.script import Script


@frozen
class Surroundings:
    """What a test can ask of its node.

    Attributes:
        role: The node's role; empty in a job without roles.
        counts: How many nodes each role of the group has.
        environment: Variables that every shell of the node has.
        limit_s: How long a call may wait, in seconds.
        hidden: Texts that are never shown.
        vlans: Whether the node has VLANs, and so the helpers that tell of them.
    """

    role: str
    counts: Mapping[str, int]
    environment: Mapping[str, str] = field(factory=dict[str, str])
    limit_s: float | None = None
    hidden: frozenset[str] = frozenset()
    vlans: bool = False


@frozen
class TestText:
    """A test definition on a node: what it runs, and where.

    Attributes:
        suite: The name of its suite, e.g. `0_serve`.
        install: Its install steps.
        run: Its steps.
        parameters: Shell variables that both begin with.
        files: What lies beside it.
        first: Whether its action runs no other definition before it.
    """

    __test__ = False  # keeps pytest from taking it for a test class

    suite: str
    install: Script | None
    run: Script
    parameters: Mapping[str, str]
    files: Files
    first: bool = True

"""Two readings of the MultiNode protocol: as LAVA documents it, and as its coordinator behaves."""

from attrs import evolve, frozen


@frozen
class Semantics:
    """The rules in which the two readings differ; everything else they have in common.

    | rule | documented | lava |
    | --- | --- | --- |
    | a member sends an ID again | merged key by key | replaces what it sent before |
    | `wait_all ID` that nobody has sent | waits | is refused |
    | `wait_all ID, role` | needs all of the role | needs its first, or all of the asker's role |
    | members still to join | are waited for, and find what was sent | only a sync waits |
    | a sync that all have passed, called again | is granted at once | all must meet again |
    | a member ends | waits that need it are hopeless | nobody notices |
    | the group is over | never | after as many ends as it has members, whoever ended |

    A start that is delayed is a `wait_all` with a role. LAVA: coordinator, requests and faults.

    Attributes:
        merges: Whether a second send is merged into the first.
        waits_unsent: Whether a `wait_all` before the first send waits.
        whole_role: Whether `wait_all` with a role needs all of its members.
        whole_group: Whether `wait_all` needs those who are still to join, and they find what was
            sent before.
        passes_again: Whether a repeated sync is granted at once.
        notices_ends: Whether an ended member makes waits hopeless.
        counts_ends: Whether ends are counted, not members, until the group is over.
        fetched: Whether members fetch their answers: who waits is only woken, and has to ask again.
    """

    merges: bool
    waits_unsent: bool
    whole_role: bool
    whole_group: bool
    passes_again: bool
    notices_ends: bool
    counts_ends: bool
    fetched: bool = False


DOCUMENTED = Semantics(
    merges=True,
    waits_unsent=True,
    whole_role=True,
    whole_group=True,
    passes_again=True,
    notices_ends=True,
    counts_ends=False,
)
"""What LAVA's documentation promises; the default."""

LAVA = Semantics(
    merges=False,
    waits_unsent=False,
    whole_role=False,
    whole_group=False,
    passes_again=False,
    notices_ends=False,
    counts_ends=True,
)
"""What LAVA's coordinator does; for real LAVA dispatchers."""


def served(semantics: Semantics) -> Semantics:
    """The same rules for members that poll, and whose end is only what they say of it."""
    return evolve(semantics, notices_ends=False, fetched=True)

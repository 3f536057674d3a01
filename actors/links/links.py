"""The conditions of the links between nodes, as rules and faults have them at the moment."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import frozen

from callboard.definition.links import UNDISTURBED, Conditions, Link
from callboard.events import LinksChange, LinksChanged

Ends = tuple[frozenset[int]] | tuple[frozenset[int], frozenset[int]]
"""Jobs: of one set all links of its nodes are meant, of two the links between their nodes."""


@frozen(eq=False)
class Change:
    """Something that happens to links.

    Attributes:
        kind: `cut` or `impair`, which come on top of what the links are like; `heal`, after which
            no earlier one counts; `set` for what holds from the beginning.
        ends: Which links.
        conditions: What they are like from then on.
    """

    kind: LinksChange
    ends: Ends
    conditions: Conditions = UNDISTURBED

    def concerns(self, one: int, other: int | None) -> bool:
        """Whether it happens to the link between two jobs; without the other, that leads out."""
        first, *second = self.ends
        if not second:
            return one in first or other in first
        return (one in first and other in second[0]) or (other in first and one in second[0])

    def told(self, kind: LinksChange | None = None) -> LinksChanged:
        """As an event; `kind` for that of its end."""
        ends = tuple(tuple(sorted(each)) for each in self.ends)
        like = self.conditions
        return LinksChanged(
            kind or self.kind, ends, like.delay_s, like.jitter_s, like.loss, like.rate_bps, like.cut
        )


class Links:
    """The links between the nodes of a group.

    Args:
        roles: The role of each job.
        rules: What the links are like when nothing happens to them.
    """

    def __init__(self, roles: Mapping[int, str], rules: Sequence[Link] = ()) -> None:
        self._roles = roles
        self._rules = tuple(rules)
        self._changes: list[Change] = []
        self._watcher: Callable[[LinksChanged], None] | None = None
        self._untold: list[LinksChanged] = []
        self._under_way = 0
        self._held: list[Callable[[], None]] = []
        self._known: dict[tuple[str, str | None], Conditions] = {}

    @property
    def rules(self) -> Iterable[Change]:
        """What holds from the beginning."""
        for rule in self._rules:
            first, *second = (self._having(role) for role in rule.ends)
            ends: Ends = (first, second[0]) if second else (first,)
            yield Change("set", ends, rule.conditions)

    def watch(self, watcher: Callable[[LinksChanged], None]) -> None:
        """Have `watcher` called with each change, the earlier ones too; it must not wait."""
        self._watcher = watcher
        untold, self._untold = self._untold, []
        for changed in untold:
            watcher(changed)

    def applied(self) -> None:
        """A change that the watcher was told of has been carried out, or can't be."""
        self._under_way -= 1
        if not self._under_way:
            held, self._held = self._held, []
            for call in held:
                call()

    def settled(self, call: Callable[[], None]) -> None:
        """Call a function when all changes so far are carried out, at once where they are."""
        if self._under_way:
            self._held.append(call)
        else:
            call()

    def begin(self, change: Change) -> None:
        """From now on links are different."""
        self._changes.append(change)
        self._tell(change.told())

    def end(self, change: Change) -> None:
        """From now on they are again as if this had not happened; the second time nothing is."""
        if change in self._changes:
            self._changes.remove(change)
            self._tell(change.told("over"))

    def between(self, one: int, other: int | None) -> Conditions:
        """What the link between the nodes of two jobs is like.

        Args:
            one: The one.
            other: The other; None for the link that leads out of the group's network.
        """
        rule = like = self._ruled(one, other)
        for change in self._changes:
            if change.concerns(one, other):
                like = rule if change.kind == "heal" else like.and_also(change.conditions)
        return like

    def _ruled(self, one: int, other: int | None) -> Conditions:
        """What rules say; the same for all pairs of two roles."""
        role, against = self._roles[one], None if other is None else self._roles[other]
        known = self._known.get((role, against))
        if known is None:
            known = UNDISTURBED
            for rule in self._rules:
                first, *second = rule.ends
                pairs = ((role, against), (against, role))
                if (first, second[0]) in pairs if second else first in (role, against):
                    known = known.and_also(rule.conditions)
            self._known[role, against] = known
        return known

    def _having(self, role: str) -> frozenset[int]:
        return frozenset(job for job, each in self._roles.items() if each == role)

    def _tell(self, changed: LinksChanged) -> None:
        self._under_way += 1
        if self._watcher is None:
            self._untold.append(changed)
        else:
            self._watcher(changed)

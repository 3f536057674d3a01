"""Who counts as lost, for whom that has consequences."""

from collections.abc import Mapping


class Attendance:
    """Which processes have been missing for so long that nobody waits for them any more.

    Only time counts in which somebody looked: when the servers couldn't be reached, or this
    process didn't run itself, nobody can be said to have been missing.

    Args:
        lease_s: Seconds for which a process has to be missing.
        gap_s: Seconds between two looks after which the time between them does not count.
    """

    def __init__(self, lease_s: float, gap_s: float) -> None:
        self._lease_s = lease_s
        self._gap_s = gap_s
        self._looked_s: float | None = None
        self._observed_s = 0.0
        self._present: dict[str, str] = {}
        self._missing_since_s: dict[tuple[str, str], float] = {}

    def look(self, now_s: float, present: Mapping[str, str]) -> None:
        """Note who is there.

        Args:
            now_s: When that was found out, by a clock that only goes forward.
            present: The incarnation of each worker.
        """
        if self._looked_s is not None and now_s - self._looked_s <= self._gap_s:
            self._observed_s += now_s - self._looked_s
        self._looked_s = now_s
        for who in self._present.items() - present.items():
            self._missing_since_s[who] = self._observed_s
        for who in present.items():
            self._missing_since_s.pop(who, None)
        self._present = dict(present)

    def see(self, name: str, incarnation: str) -> None:
        """Note one who is there, between two looks."""
        before = self._present.get(name)
        if before not in (None, incarnation):
            self._missing_since_s[name, str(before)] = self._observed_s
        self._present[name] = incarnation
        self._missing_since_s.pop((name, incarnation), None)

    def lost(self, name: str, incarnation: str) -> bool:
        """Whether this process has been missing for a lease.

        One that was never seen is missing from when it is first asked about.
        """
        if self._present.get(name) == incarnation:
            return False
        since_s = self._missing_since_s.setdefault((name, incarnation), self._observed_s)
        return self._observed_s - since_s >= self._lease_s

"""What a benchmark finds out."""

from attrs import frozen


@frozen
class Measurement:
    """A figure beside a raw baseline that was measured in the same run.

    Attributes:
        name: What was measured.
        figure: Callboard's figure.
        baseline: The same done with raw primitives.
        unit: Unit of both.
        ratio: How callboard compares with the baseline; more is better, 1 is as good.
        goal: The least ratio, or, when `limit` is given, None.
        limit: The most that `figure` may be, in `unit`; None when the ratio has a goal instead.
    """

    name: str
    figure: float
    baseline: float
    unit: str
    ratio: float
    goal: float | None = None
    limit: float | None = None

    @property
    def met(self) -> bool:
        """Whether the goal or the limit is kept."""
        if self.limit is not None:
            return self.figure <= self.limit
        return self.goal is None or self.ratio >= self.goal

    def __str__(self) -> str:
        aim = f"at most {self.limit:g} {self.unit}" if self.limit is not None else ""
        aim = f"ratio at least {self.goal:g}" if self.goal is not None else aim
        return (
            f"{self.name:<44} {self.figure:>12,.1f} {self.unit:<9} raw {self.baseline:>12,.1f}  "
            f"ratio {self.ratio:5.2f}  {'ok' if self.met else 'MISSED'}: {aim}"
        )

"""How long something takes: a fixed time, or one that is drawn.

Every draw takes its randomness from the generator that it is given, so that one seed gives one
rehearsal. No draw keeps state of its own.
"""

from random import Random

from attrs import frozen


@frozen
class Fixed:
    """Always the same, in seconds."""

    value_s: float

    def draw(self, random: Random) -> float:  # noqa: ARG002 - all distributions are drawn alike
        """The time in seconds."""
        return self.value_s

    def scaled(self, factor: float) -> "Fixed":
        """The same, `factor` times as long."""
        return Fixed(self.value_s * factor)

    @property
    def least_s(self) -> float:
        """Nothing shorter is ever drawn."""
        return self.value_s


@frozen
class Uniform:
    """Anything from `low_s` to `high_s`, all equally likely, in seconds."""

    low_s: float
    high_s: float

    def draw(self, random: Random) -> float:
        """A time in seconds."""
        return random.uniform(self.low_s, self.high_s)

    def scaled(self, factor: float) -> "Uniform":
        """The same, `factor` times as long."""
        return Uniform(self.low_s * factor, self.high_s * factor)

    @property
    def least_s(self) -> float:
        """Nothing shorter is ever drawn."""
        return self.low_s


@frozen
class Normal:
    """Around `mean_s`, in seconds; what would be negative is 0."""

    mean_s: float
    deviation_s: float

    def draw(self, random: Random) -> float:
        """A time in seconds."""
        # `gauss` would keep the second of two values for the next draw.
        return max(0.0, random.normalvariate(self.mean_s, self.deviation_s))

    def scaled(self, factor: float) -> "Normal":
        """The same, `factor` times as long."""
        return Normal(self.mean_s * factor, self.deviation_s * factor)

    @property
    def least_s(self) -> float:
        """Nothing shorter is ever drawn."""
        return 0.0 if self.deviation_s else self.mean_s


@frozen
class Exponential:
    """Mostly short, now and then long: the time until something that comes by chance."""

    mean_s: float

    def draw(self, random: Random) -> float:
        """A time in seconds."""
        return random.expovariate(1 / self.mean_s) if self.mean_s else 0.0

    def scaled(self, factor: float) -> "Exponential":
        """The same, `factor` times as long."""
        return Exponential(self.mean_s * factor)

    @property
    def least_s(self) -> float:
        """Nothing shorter is ever drawn."""
        return 0.0


@frozen
class Triangular:
    """From `low_s` to `high_s`, most often about `mode_s`, in seconds."""

    low_s: float
    mode_s: float
    high_s: float

    def draw(self, random: Random) -> float:
        """A time in seconds."""
        return random.triangular(self.low_s, self.high_s, self.mode_s)

    def scaled(self, factor: float) -> "Triangular":
        """The same, `factor` times as long."""
        return Triangular(self.low_s * factor, self.mode_s * factor, self.high_s * factor)

    @property
    def least_s(self) -> float:
        """Nothing shorter is ever drawn."""
        return self.low_s


Distribution = Fixed | Uniform | Normal | Exponential | Triangular

NONE = Fixed(0.0)
"""No time at all."""

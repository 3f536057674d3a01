"""How long the parts of a group take, how they end, and which way they go, in a rehearsal."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from random import Random

from attrs import field, frozen

from callboard.definition.links import Link
from callboard.definition.model import Place
from callboard.definition.source import Source
from callboard.simulation.distribution import NONE, Distribution
from callboard.simulation.pattern import Pattern


@frozen
class Transfer:
    """What a step sends to other nodes, or fetches from them, over the group's network.

    It takes the size divided by what the slowest of the links carries, `rate * (1 - loss)`, and
    the delay of one packet; the other nodes are asked for nothing.

    Attributes:
        to: The role of the nodes at the other ends; all of them but the node itself.
        size_bytes: How much goes over each of the links.
    """

    to: str
    size_bytes: int


@frozen
class Behaviour:
    """What the rules of a model say of something that a node does.

    Attributes:
        takes: How long it takes, None where no rule says it.
        fails: How likely it is to fail, from 0 to 1; None where no rule says it.
        transfers: What it needs of the network, on top of its time; None for nothing.
    """

    takes: Distribution | None = None
    fails: float | None = None
    transfers: Transfer | None = None


@frozen
class Ways:
    """How likely each way of a condition is; those without a weight are never taken."""

    weights: tuple[float, ...]

    def draw(self, random: Random, count: int) -> int:
        """The number, from 0, of one of `count` ways; where none has a weight all are alike."""
        sums = tuple(accumulate(self.weights[:count]))
        if not sums or sums[-1] <= 0:
            return random.randrange(count)
        # A product that is rounded up would lie behind the last way.
        mark = random.random() * sums[-1]
        certain = max(number for number, weight in enumerate(self.weights[:count]) if weight > 0)
        return next((number for number, end in enumerate(sums) if mark < end), certain)


@frozen
class ActionRule:
    """What a model says of actions of the pipeline.

    Attributes:
        action: Their name.
        place: Where the rule stands.
        role: The role that it holds for, None for every role.
        places: Where the values of its keys stand.
    """

    action: Pattern
    place: Place
    role: str | None = None
    takes: Distribution | None = None
    fails: float | None = None
    places: Mapping[str, Place] = field(factory=dict[str, Place], eq=False, repr=False)

    def means(self, text: str) -> bool:
        """Whether it is about an action of this text, whatever its role."""
        return self.action.matches(text)


@frozen
class StepRule:
    """What a model says of commands of test definitions.

    Attributes:
        step: The command as written.
        place: Where the rule stands.
        test: The suite that it is in, e.g. `0_server`; None for every one.
        role: The role that it holds for, None for every role.
        places: Where the values of its keys stand.
    """

    step: Pattern
    place: Place
    test: Pattern | None = None
    role: str | None = None
    takes: Distribution | None = None
    fails: float | None = None
    transfers: Transfer | None = None
    places: Mapping[str, Place] = field(factory=dict[str, Place], eq=False, repr=False)

    def means(self, text: str) -> bool:
        """Whether it is about a command of this text, whatever its role."""
        return self.step.matches(text)


@frozen
class ConditionRule:
    """Which way a node goes where only the run knows it.

    Attributes:
        condition: The text that decides.
        ways: How likely each way is, in the order written.
        place: Where the rule stands.
        test: The suite that it is in, None for every one.
        role: The role that it holds for, None for every role.
        places: Where the values of its keys stand.
    """

    condition: Pattern
    ways: Ways
    place: Place
    test: Pattern | None = None
    role: str | None = None
    places: Mapping[str, Place] = field(factory=dict[str, Place], eq=False, repr=False)

    def means(self, text: str) -> bool:
        """Whether it is about a condition of this text, whatever its role."""
        return self.condition.matches(text)


@frozen
class LoopRule:
    """How often the body of a loop runs where only the run knows it.

    Attributes:
        loop: The text that decides whether it goes on.
        turns: How often, to be rounded to a whole number.
        place: Where the rule stands.
        test: The suite that it is in, None for every one.
        role: The role that it holds for, None for every role.
        places: Where the values of its keys stand.
    """

    loop: Pattern
    turns: Distribution
    place: Place
    test: Pattern | None = None
    role: str | None = None
    places: Mapping[str, Place] = field(factory=dict[str, Place], eq=False, repr=False)

    def means(self, text: str) -> bool:
        """Whether it is about a loop of this text; `while` may stand before it."""
        return self.loop.matches(text) or self.loop.matches(f"while {text}")


Rule = ActionRule | StepRule | ConditionRule | LoopRule
_Key = tuple[str, str, str]


@frozen
class Model:
    """The rules of a model, in the order written: later ones win.

    A question that has been asked before is answered at the cost of looking it up, for the
    nodes of a role all ask the same.

    Attributes:
        actions: What is known of the pipeline's actions.
        steps: What is known of the commands of tests.
        conditions: Which ways are taken.
        loops: How often loops turn.
        latency: How long a message is under way between a node and the coordinator.
        links: What the links between nodes are like.
        source: The file, None for a model that is in none.
    """

    actions: tuple[ActionRule, ...] = ()
    steps: tuple[StepRule, ...] = ()
    conditions: tuple[ConditionRule, ...] = ()
    loops: tuple[LoopRule, ...] = ()
    latency: Distribution = NONE
    links: tuple[Link, ...] = ()
    source: Source | None = field(default=None, eq=False, repr=False)
    _actions: dict[tuple[str, str], Behaviour] = field(
        factory=dict, init=False, eq=False, repr=False
    )
    _steps: dict[_Key, Behaviour] = field(factory=dict, init=False, eq=False, repr=False)
    _ways: dict[_Key, Ways | None] = field(factory=dict, init=False, eq=False, repr=False)
    _turns: dict[_Key, Distribution | None] = field(factory=dict, init=False, eq=False, repr=False)

    def action(self, role: str, name: str) -> Behaviour:
        """What is known of an action of a role."""
        key = role, name
        known = self._actions.get(key)
        if known is None:
            found = (each for each in self.actions if _meant(each.role, role) and each.means(name))
            known = self._actions[key] = _together(found)
        return known

    def step(self, role: str, test: str, text: str) -> Behaviour:
        """What is known of a command as it is written in a test (`0_server`) of a role."""
        key = role, test, text
        known = self._steps.get(key)
        if known is None:
            found = (each for each in self.steps if _applies(each, role, test) and each.means(text))
            known = self._steps[key] = _together(found)
        return known

    def ways(self, role: str, test: str, condition: str) -> Ways | None:
        """How likely the ways of a condition are, None where no rule says it."""
        key = role, test, condition
        if key not in self._ways:
            self._ways[key] = next(
                (
                    each.ways
                    for each in reversed(self.conditions)
                    if _applies(each, role, test) and each.means(condition)
                ),
                None,
            )
        return self._ways[key]

    def turns(self, role: str, test: str, loop: str) -> Distribution | None:
        """How often a loop turns, to be rounded; None where no rule says it."""
        key = role, test, loop
        if key not in self._turns:
            self._turns[key] = next(
                (
                    each.turns
                    for each in reversed(self.loops)
                    if _applies(each, role, test) and each.means(loop)
                ),
                None,
            )
        return self._turns[key]


def _applies(rule: StepRule | ConditionRule | LoopRule, role: str, test: str) -> bool:
    return _meant(rule.role, role) and (rule.test is None or rule.test.matches(test))


def _meant(wanted: str | None, role: str) -> bool:
    return wanted is None or wanted == role


def _together(rules: Iterable[ActionRule | StepRule]) -> Behaviour:
    """What the rules say together: the last word on each of its parts counts."""
    takes, fails, transfers = None, None, None
    for rule in rules:
        takes = takes if rule.takes is None else rule.takes
        fails = fails if rule.fails is None else rule.fails
        if isinstance(rule, StepRule) and rule.transfers is not None:
            transfers = rule.transfers
    return Behaviour(takes, fails, transfers)

"""Every rule of LAVA's documentation of the MultiNode protocol that callboard is measured by."""

from tests.conformance.calls import DATA, LIMITS, WHAT, WHEN
from tests.conformance.roles import ESSENTIAL
from tests.conformance.rule import Topic
from tests.conformance.shell import SHELL
from tests.conformance.starts import FLOW, STARTS
from tests.conformance.systems import CONTAINERS, GUESTS
from tests.conformance.vlans import VLANS

TOPICS: tuple[Topic, ...] = (
    WHEN,
    WHAT,
    DATA,
    LIMITS,
    STARTS,
    FLOW,
    ESSENTIAL,
    SHELL,
    GUESTS,
    CONTAINERS,
    VLANS,
)
"""The rules in the order of the page."""

RULES = tuple(rule for topic in TOPICS for rule in topic.rules)

"""Every rule of LAVA's documentation of the MultiNode protocol that callboard is measured by."""

from tests.conformance.calls import DATA, LIMITS, WHAT, WHEN
from tests.conformance.roles import ESSENTIAL
from tests.conformance.rule import PROTOCOLS, NotYet, Topic
from tests.conformance.shell import SHELL
from tests.conformance.starts import FLOW, STARTS
from tests.conformance.systems import CONTAINERS, GUESTS

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
)
"""The rules in the order of the page."""

RULES = tuple(rule for topic in TOPICS for rule in topic.rules)

_VLAND = f"{PROTOCOLS}, VLANd"

NOT_YET: tuple[NotYet, ...] = (
    NotYet(
        "VLANs are described role by role, beside lava-multinode; each role has one node.", _VLAND
    ),
    NotYet("The request deploy_vlans of an action creates the VLANs and moves the ports.", _VLAND),
    NotYet("The names of the VLANs reach the other nodes as messages of the group.", _VLAND),
    NotYet("finalize moves the ports back and deletes the VLANs.", _VLAND),
)
"""Rules about what callboard does not do yet; a definition that needs it is refused."""

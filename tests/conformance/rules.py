"""Every rule of LAVA's documentation of the MultiNode protocol that callboard is measured by."""

from tests.conformance.calls import DATA, LIMITS, WHAT, WHEN
from tests.conformance.roles import ESSENTIAL
from tests.conformance.rule import PROTOCOLS, NotYet, Topic
from tests.conformance.shell import SHELL
from tests.conformance.starts import FLOW, STARTS

TOPICS: tuple[Topic, ...] = (WHEN, WHAT, DATA, LIMITS, STARTS, FLOW, ESSENTIAL, SHELL)
"""The rules in the order of the page."""

RULES = tuple(rule for topic in TOPICS for rule in topic.rules)

_GUESTS = f"{PROTOCOLS}, secondary connections"
_VLAND = f"{PROTOCOLS}, VLANd"
_LXC = f"{PROTOCOLS}, LXC"

NOT_YET: tuple[NotYet, ...] = (
    NotYet("A role with connection: ssh logs in on the device of its host_role.", _GUESTS),
    NotYet(
        "prepare-scp-overlay takes the host's address from the message that its call waits for, "
        "under the same message ID that the boot action names as hostID.",
        _GUESTS,
    ),
    NotYet("Guests count in the group: they take part in lava-sync and lava-wait-all.", _GUESTS),
    NotYet(
        "VLANs are described role by role, beside lava-multinode; each role has one node.", _VLAND
    ),
    NotYet("The request deploy_vlans of an action creates the VLANs and moves the ports.", _VLAND),
    NotYet("The names of the VLANs reach the other nodes as messages of the group.", _VLAND),
    NotYet("finalize moves the ports back and deletes the VLANs.", _VLAND),
    NotYet(
        "A container is described by name, distribution and release; the rest is optional.", _LXC
    ),
    NotYet(
        "The container's name gets the job id, so that jobs that run at once don't clash.", _LXC
    ),
    NotYet("With persist the name stays, and the container is kept when the job ends.", _LXC),
    NotYet("The requests pre-os-command and pre-power-command run commands of the device.", _LXC),
    NotYet("finalize stops the container, and destroys it unless it persists.", _LXC),
)
"""Rules about what callboard does not do yet; a definition that needs it is refused."""

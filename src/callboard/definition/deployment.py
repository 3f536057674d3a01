"""What `deploy_vlans` comes to: who makes each VLAN, and what the others hear of it.

The others wait for a MultiNode message called like the VLAN, which whoever makes it sends (LAVA:
VLANd protocol, who creates, who waits). In LAVA only the first job of the group makes any; here
each VLAN is made by the first that uses it.
"""

from collections.abc import Iterable, Mapping

from callboard.definition.model import Definition, NodeJob

VLAN_ID, VLAN_TAG = "vlan_name", "vlan_tag"
"""Keys of the message; the first holds what the switches call the VLAN (LAVA: the same)."""


def makers(jobs: Iterable[NodeJob]) -> Mapping[str, int]:
    """By the name of a VLAN, the id of the job that makes it: the first of those that use it."""
    found: dict[str, int] = {}
    for job in sorted(jobs, key=lambda job: job.sub_id):
        for vlan in job.vlans:
            found.setdefault(vlan.vlan, job.id)
    return found


def making_roles(definition: Definition) -> Mapping[str, str]:
    """By the name of a VLAN, the role of the job that makes it; those without nodes are left out.

    Jobs are numbered role by role, so that it takes no split to say so.
    """
    found: dict[str, str] = {}
    for role in definition.roles:
        for each in definition.vlans:
            if role.count and each.role == role.name:
                found.setdefault(each.vlan, role.name)
    return found

"""Rules about VLANs between the nodes."""

from tests.conformance.rule import PROTOCOLS, Rule, Topic

_VLAND = f"{PROTOCOLS}, VLANd"

VLANS = Topic(
    "VLANs",
    (
        Rule(
            "vlan-described",
            "VLANs are described role by role, beside lava-multinode.",
            _VLAND,
            exit_code=2,
            errors=(("CB131", "role `b` is missing in `lava-vland`"),),
        ),
        Rule(
            "vlan-one-node",
            "Each role with VLANs has one node.",
            _VLAND,
            warnings=("role `a` has `count: 2`",),
            printed={"a": ("one,eth1",)},
            today="refuses other counts; here all nodes of a role are in its VLANs",
        ),
        Rule(
            "vlan-deployed",
            "The request deploy_vlans of an action creates the VLANs and moves the ports.",
            _VLAND,
            printed={"a": ("one,eth1", "two,eth2")},
            trace=(
                "a: begins lava-vland-overlay",
                "a: makes VLAN one",
                "a: makes VLAN two",
                "a: is in VLAN one",
                "a: is in VLAN two",
                "a: lava-vland-overlay pass",
            ),
        ),
        Rule(
            "vlan-message",
            "The names of the VLANs reach the other nodes as messages of the group.",
            _VLAND,
            trace=("a: send one", "b: wait one pass", "b: is in VLAN one"),
            today="only the first node of the group makes VLANs, those that it uses",
        ),
        Rule(
            "vlan-finalized",
            "finalize moves the ports back and deletes the VLANs.",
            _VLAND,
            trace=(
                "a: power-off pass",
                "a: has left VLAN one",
                "a: deletes VLAN one",
                "a: ends",
            ),
            today="every node deletes all VLANs that it knows, though others may still use them",
        ),
    ),
)

"""The scenario of two VLANs, run for real: who shares one reaches the other, and nobody else."""

import pytest
from tests.system.boxes import yard
from tests.system.conftest import ROOT
from tests.system.harness import Callboard, Ran

FOLDER = ROOT / "scenarios/two-vlans"
SEEN = {
    "left": {
        "0_look/fetches-from-middle",
        "0_look/reaches-middle",
        "0_look/right-is-elsewhere",
        "0_look/right-serves-others",
    },
    "middle": {"0_serve/reaches-left", "0_serve/reaches-right"},
    "right": {
        "0_look/fetches-from-middle",
        "0_look/left-is-elsewhere",
        "0_look/left-serves-others",
        "0_look/reaches-middle",
    },
}
SYNCS = {"multinode-sync-addressed", "multinode-sync-done"}


def look(ran: Ran) -> None:
    """Each role has seen what it should, and nothing else."""
    assert ran.exit_code == 0, ran.document
    for role, cases in SEEN.items():
        found = ran.results(role)
        assert {case for case in found if case.split("/")[1] not in SYNCS} == cases
        assert set(found.values()) == {"pass"}


def test_vlans_keep_nodes_of_this_machine_apart(anybody: Callboard) -> None:
    look(anybody.run(FOLDER / "two-vlans.yaml"))


@pytest.mark.needs_lxc("debian")
def test_vlans_keep_containers_apart(debian: Callboard) -> None:
    ran = debian.run(
        FOLDER / "two-vlans.yaml", "--devices", str(FOLDER / "containers.yaml"), timeout_s=600
    )
    look(ran)
    assert not [name for name in yard(debian).names() if name.startswith("box-")]

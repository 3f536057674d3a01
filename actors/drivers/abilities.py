"""Which drivers there are, and what each can't do: known before a node is made."""

from collections.abc import Callable, Mapping

from callboard.actors.drivers import local
from callboard.actors.drivers.commanded import abilities as commanded
from callboard.actors.drivers.lxc import node as lxc
from callboard.actors.drivers.ssh import node as ssh
from callboard.definition.devices import Driver

DRIVERS: Mapping[Driver, Callable[[str], str | None]] = {
    "local": local.unable,
    "lxc": lxc.unable,
    "ssh": ssh.unable,
    "command": commanded.unable,
}
"""Why a driver can't execute the action of a name, None when it can."""

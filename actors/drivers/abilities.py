"""Which drivers there are, and what each can't do: known before a node is made.

It loads no driver, for what is only checked needs none.
"""

from collections.abc import Callable, Mapping
from functools import partial

from callboard.actors.drivers import bootless
from callboard.actors.drivers.commanded import abilities as commanded
from callboard.definition.devices import Driver


def _unable_ssh(action: str) -> str | None:
    return None if action == "scp-deploy" else bootless.unable("ssh", action)


DRIVERS: Mapping[Driver, Callable[[str], str | None]] = {
    "local": partial(bootless.unable, "local"),
    "lxc": partial(bootless.unable, "lxc"),
    "ssh": _unable_ssh,
    "command": commanded.unable,
}
"""Why a driver can't execute the action of a name, None when it can."""

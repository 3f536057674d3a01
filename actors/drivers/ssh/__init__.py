"""Logins over ssh: guests on the host of a group, and fixed machines of the devices file.

The system's OpenSSH makes the connections: it knows the lab's own configuration, agents and
jump hosts, and no library has to be trusted with keys. Each node has one connection
(`ControlMaster`), over which its shells and the copying of its files go.
"""

from callboard.actors.drivers.ssh.guest import Guest
from callboard.actors.drivers.ssh.keyring import KeyRing, open_key_ring
from callboard.actors.drivers.ssh.login import Login, Trust
from callboard.actors.drivers.ssh.machine import Machine
from callboard.definition.address import Address

__all__ = ["Address", "Guest", "KeyRing", "Login", "Machine", "Trust", "open_key_ring"]

"""What a job of a real run is to run on, before that is made."""

from attrs import frozen

from callboard.actors.lxc.protocol import Commands
from callboard.actors.wiring import Wiring
from callboard.definition.containers import name_of
from callboard.definition.devices import Device, Driver, LocalLimits, Means
from callboard.definition.lxc_devices import LxcDevice
from callboard.definition.model import NodeJob
from callboard.definition.ssh_devices import SshDevice
from callboard.networks import Resident


@frozen
class Seat:
    """A job, and what it is to run on.

    Attributes:
        job: The job.
        driver: What makes its node.
        number: Which of the group's jobs it is, from 1.
        device: What it has from the devices file, None where it has one of its own.
    """

    job: NodeJob
    driver: Driver
    number: int
    device: Device | None

    @property
    def name(self) -> str:
        """Of the device; without a devices file it has the driver's and a number."""
        return self.device.name if self.device else f"{self.driver}-{self.number}"

    @property
    def role(self) -> str:
        """The job's role, empty in a job without roles."""
        return self.job.role.name if self.job.role else ""

    @property
    def means(self) -> Means | None:
        """What its node is made of, None for the login of a guest."""
        if self.device is not None:
            return self.device.means
        match self.driver:
            case "lxc":
                return LxcDevice()
            case "local":
                return LocalLimits()
            case _:
                return None

    def resident(self, wiring: Wiring) -> Resident:
        """What it has to do with the network of the group; `wiring` is that of its device."""
        beside = None
        if self.driver == "local" and self.job.container is not None:
            beside = name_of(self.job.container, self.job.id)
        made = isinstance(self.means, (LocalLimits, LxcDevice))
        return Resident(self.name, self.role or None, self.job.id, wiring, beside, made_here=made)

    @property
    def lxc(self) -> LxcDevice:
        """What the devices file says of a container of the device."""
        return self.means if isinstance(self.means, LxcDevice) else LxcDevice()

    @property
    def ssh(self) -> SshDevice | None:
        """What it says of a fixed machine, None where it is none."""
        return self.means if isinstance(self.means, SshDevice) else None

    @property
    def commands(self) -> Commands:
        """What requests of definitions run on this machine."""
        if self.device is None:
            return {}
        return {
            "pre-os-command": self.device.pre_os_command,
            "pre-power-command": self.device.pre_power_command,
        }

    @property
    def authorizes(self) -> bool:
        """Whether others may log in on what it deploys."""
        return any(block.authorizes_ssh for block in self.job.blocks)

    @property
    def template(self) -> str | None:
        """What its container is made from, None where it has none."""
        if self.job.container is not None:
            return self.job.container.template
        return self.lxc.template if self.driver == "lxc" else None

    @property
    def logs_in(self) -> bool:
        """Whether keys of the run are needed: it is a login, or others log in on it."""
        return self.driver == "ssh" or self.authorizes

    def is_made_here(self, *, sandbox: bool) -> bool:
        """Whether its system is made for the job, its host key with it."""
        hosts = [block for block in self.job.blocks if block.authorizes_ssh]
        namespaces = self.job.contained_namespaces
        contained = all(block.namespace in namespaces for block in hosts)
        thrown_away = self.driver == "lxc" or (self.driver == "local" and sandbox)
        return bool(hosts) and (contained or thrown_away)

"""How a coordinator is run: where it listens, to whom, by which rules, and within which limits."""

import math
import os
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Literal

from attrs import Attribute, evolve, field, frozen

from callboard.actors.semantics import DOCUMENTED, LAVA, Semantics
from callboard.coordinator.errors import SettingError
from callboard.coordinator.framing import PORT
from callboard.coordinator.limits import Limits
from callboard.coordinator.terms import LOOPBACK, Network, Terms
from callboard.state import state_directory

LogFormat = Literal["text", "json"]

_DAY_S = 86_400.0

_MAPPED = IPv6Network("::ffff:0:0/96")


def _positive(owner: object, attribute: "Attribute[float]", value: float) -> None:  # noqa: ARG001 - attrs
    if not 0 < value < math.inf:
        setting = attribute.name.removesuffix("_s").replace("_", "-")
        raise SettingError(setting, f"{value:g} seconds is no time", "it is more than 0")


@frozen
class Settings:
    """All that can be chosen of a coordinator.

    Attributes:
        bind: The addresses or host names that it listens on.
        port: The port, 0 for any that is free.
        allow: The networks whose clients are served, beside this machine itself.
        rules: How the protocol is read: `lava` as LAVA's coordinator does, `documented` as LAVA's
            documentation has it.
        hold: For how many of its own poll delays a client may be kept waiting for the answer; 0 to
            answer at once, as LAVA's coordinator does.
        poll_delay_s: The poll delay of clients that don't say theirs, in seconds: how long their
            silence is no wonder.
        state: The directory where groups are kept; None to keep them in memory only.
        forget_after_s: After how many seconds without a request a group is given up.
        socket: The Unix socket where its state can be asked for; None for nowhere.
        log_format: Whether the log is for people or for programs.
        limits: What groups may ask for.
        granted: What is granted to those who connect; `terms` has networks and hold, too.

    Raises:
        SettingError: They can't be like this.
    """

    bind: tuple[str, ...] = field(default=("127.0.0.1",))
    port: int = field(default=PORT)
    allow: tuple[Network, ...] = ()
    rules: Literal["lava", "documented"] = "lava"
    hold: float = field(default=0.0)
    poll_delay_s: float = field(default=3.0, validator=_positive)
    state: Path | None = None
    forget_after_s: float = field(default=7 * _DAY_S, validator=_positive)
    socket: Path | None = None
    log_format: LogFormat = "text"
    limits: Limits = field(factory=Limits)
    granted: Terms = field(factory=Terms)

    def __attrs_post_init__(self) -> None:
        public = next((host for host in self.bind if not is_loopback(host)), None)
        if public is not None and not self.allow:
            raise SettingError(
                "bind",
                f"{public} can be reached from elsewhere, and LAVA's protocol knows no passwords",
                "name the networks of the workers, such as --allow 10.1.0.0/16",
            )

    @bind.validator
    def _somewhere(self, _attribute: object, hosts: tuple[str, ...]) -> None:
        if not hosts or not all(hosts):
            raise SettingError("bind", "there is no address to listen on", "such as 127.0.0.1")

    @port.validator
    def _possible(self, _attribute: object, port: int) -> None:
        if not 0 <= port <= 65_535:
            raise SettingError("port", f"{port} is no port", "ports are 1 to 65535")

    @hold.validator
    def _bounded(self, _attribute: object, factor: float) -> None:
        if not 0 <= factor < math.inf:
            text = f"{factor:g} is no number of poll delays"
            raise SettingError("hold", text, "0 is not to hold answers back")

    @property
    def semantics(self) -> Semantics:
        """The rules by which the groups work."""
        return LAVA if self.rules == "lava" else DOCUMENTED

    @property
    def terms(self) -> Terms:
        """What is granted to those who connect."""
        networks = (*LOOPBACK, *self.allow)
        return evolve(self.granted, networks=networks, hold=self.hold)


def networks(setting: str, texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks that a setting names, such as `10.1.0.0/16`, or a single address.

    Raises:
        SettingError: One is no network.
    """
    return tuple(_network(setting, text) for text in texts)


def default_socket() -> Path:
    """Where a coordinator's state can be asked for, if nothing else is said.

    Root's is in /run, another user's where that user's sockets are.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if os.environ.get("CALLBOARD_STATE") or not (runtime or os.geteuid() == 0):
        folder = state_directory()
    elif os.geteuid() == 0:
        folder = Path("/run/callboard")
    else:
        folder = Path(runtime or "") / "callboard"
    return folder / "coordinator.sock"


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches that address; a name counts only as `localhost`."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _plain(network: Network) -> Network:
    """The network of IPv4 that one of IPv6 stands for, as clients are judged by theirs."""
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        bits = network.prefixlen - _MAPPED.prefixlen
        return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, bits))
    return network


def _network(setting: str, text: str) -> Network:
    try:
        return _plain(ip_network(text))
    except ValueError as error:
        try:
            meant = f"{text} is an address in {ip_network(text, strict=False)}: write that"
        except ValueError:
            meant = "such as 10.1.0.0/16, fd00::/8, or one address"
            if "," in text:
                meant = f"separate several by spaces, {meant}"
        raise SettingError(setting, f"'{text}' is no network", meant) from error

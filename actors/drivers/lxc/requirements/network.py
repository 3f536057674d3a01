"""What containers need of a machine's network: the bridge, its addresses, and a free way."""

from collections.abc import Iterator, Sequence

from callboard.actors.drivers.lxc.requirements.machine import Machine
from callboard.actors.drivers.lxc.requirements.requirement import Requirement, as_root, install

BRIDGE = "lxcbr0"
"""What lxc-net calls its bridge."""

_DEFAULTS = "etc/lxc/default.conf"
_CONNECTED = ("lxc.net.0.type = veth", f"lxc.net.0.link = {BRIDGE}", "lxc.net.0.flags = up")
_SETTINGS = "etc/default/lxc-net"
_STARTED = "run/lxc/network_up"
_SERVER = "run/lxc/dnsmasq.pid"
_SCRIPTS = ("usr/libexec/lxc/lxc-net", "usr/lib/*/lxc/lxc-net")
_FILTERED = "proc/sys/net/bridge/bridge-nf-call-iptables"


def network(machine: Machine) -> Iterator[Requirement]:
    """The bridge, then what goes over it; nothing of that where there is no bridge."""
    name = "container network"
    bridge = _link(machine)
    if bridge is None:
        detail = f"/{_DEFAULTS} connects containers to no bridge"
        lines = " ".join(f"'{each}'" for each in _CONNECTED)
        cure = f"printf '%s\\n' {lines} >> /{_DEFAULTS}"
        yield Requirement(name, False, detail, as_root(machine, cure))
    elif machine.exists(f"sys/class/net/{bridge}"):
        yield Requirement(name, True, f"bridge {bridge}")
        if bridge == BRIDGE:
            yield _addresses(machine)
        yield from _traffic(machine, bridge)
    elif bridge == BRIDGE:
        yield _no_bridge(machine)
    else:
        detail = f"there is no bridge {bridge}, to which /{_DEFAULTS} connects containers"
        cure = f"start {bridge}, or have lxc.net.0.link = {BRIDGE} in that file"
        yield Requirement(name, False, detail, cure)


def _link(machine: Machine) -> str | None:
    """The bridge to which new containers are connected."""
    pairs = (line.partition("=") for line in machine.read(_DEFAULTS).splitlines())
    found = {key.strip(): value.strip() for key, _, value in pairs}
    if found.get("lxc.net.0.type") != "veth":
        return None
    return found.get("lxc.net.0.link") or None


def _no_bridge(machine: Machine) -> Requirement:
    detail = f"there is no bridge {BRIDGE}, to which containers are connected"
    if not _is_ours(machine):
        detail = f"{detail}: USE_LXC_BRIDGE is not true in /{_SETTINGS}"
        return _to_mend("container network", detail, machine, ['USE_LXC_BRIDGE="true"'])
    if machine.exists(_STARTED):
        detail = f"{detail}, though /{_STARTED} says that there is"
    return _to_mend("container network", detail, machine)


def _addresses(machine: Machine) -> Requirement:
    name = "container addresses"
    found = _server(machine)
    if found is None:
        if not _is_ours(machine):
            return Requirement(name, True, f"not from lxc-net, which has not made {BRIDGE}")
        detail = f"no dnsmasq runs for {BRIDGE}, so containers never get an address"
        return _to_mend(name, detail, machine)
    _, server = found
    details, settings = [], []
    if "--no-ping" not in server:
        details.append("dnsmasq pings each new one for 3 s, and its container waits for that")
        settings.append('LXC_DHCP_PING="false"')
    pool = _pool(server)
    if pool.count(",") == 1:
        details.append("each is kept for an hour, so some 250 containers an hour get one")
        settings.append(f'LXC_DHCP_RANGE="{pool},2m"')
    if settings:
        return _to_mend(name, "; ".join(details), machine, settings, needed=False)
    return Requirement(name, True, "dnsmasq gives them at once")


def _traffic(machine: Machine, bridge: str) -> Iterator[Requirement]:
    """Whether the firewall lets containers talk; only root can ask it.

    It has a say in what goes over a bridge only while the kernel is told to ask it.
    """
    if not machine.is_root or machine.read(_FILTERED).strip() != "1":
        return
    if machine.tool("iptables"):
        rules = machine.ask("iptables", "-S", "FORWARD")
        dropped = "-P FORWARD DROP" in rules.splitlines()
        let = f"-i {bridge} -j ACCEPT" in rules
        commands = [f"iptables -I FORWARD {way} {bridge} -j ACCEPT" for way in ("-i", "-o")]
    else:
        rules = machine.ask("nft", "list", "chain", "ip", "filter", "FORWARD")
        dropped = "policy drop" in rules
        let = any(bridge in line and "accept" in line for line in rules.splitlines())
        commands = [
            f"nft insert rule ip filter FORWARD {way} {bridge} accept"
            for way in ("iifname", "oifname")
        ]
    if dropped and not let:
        detail = "the firewall drops what it forwards, so containers don't reach each other"
        yield Requirement("container traffic", False, detail, "; ".join(commands), needed=False)
    else:
        yield Requirement("container traffic", True, "the firewall lets containers talk")


def _is_ours(machine: Machine) -> bool:
    """Whether lxc-net is to start the bridge, which it does unless it is told otherwise."""
    return machine.settings(_SETTINGS).get("USE_LXC_BRIDGE", "true") == "true"


def _server(machine: Machine) -> tuple[int, list[str]] | None:
    """The number and the command line of what gives addresses on the bridge."""
    found = machine.processes("dnsmasq")
    return next((each for each in found if f"--interface={BRIDGE}" in each[1]), None)


def _pool(server: list[str]) -> str:
    """The addresses that dnsmasq gives: first, last, and how long if it is told that."""
    at = server.index("--dhcp-range") + 1 if "--dhcp-range" in server else len(server)
    return server[at] if at < len(server) else ""


def _to_mend(
    name: str,
    detail: str,
    machine: Machine,
    settings: Sequence[str] = (),
    *,
    needed: bool = True,
) -> Requirement:
    """What is mended by settings of lxc-net, and by starting it again."""
    commands = [f"echo '{each}' >> /{_SETTINGS}" for each in settings]
    if machine.tool("dnsmasq") is None:
        detail = f"{detail}; dnsmasq, which gives them, is not installed"
        commands.insert(0, install(machine, "dnsmasq-base"))
    commands.append(_start(machine))
    cure = as_root(machine, "; ".join(commands))
    return Requirement(name, False, detail, cure, needed=needed)


def _start(machine: Machine) -> str:
    """The command that starts the bridge and dnsmasq, whatever is left of an earlier start."""
    server = _server(machine)
    # lxc-net believes its files: without them it doesn't end the dnsmasq that runs; with them it
    # starts nothing, or kills whoever has the number of an earlier one now
    before = ""
    if server is not None and not machine.exists(_SERVER):
        before = f"kill {server[0]}; "
    if machine.exists("run/systemd/system"):
        return f"{before}systemctl restart lxc-net"
    script = machine.find(*_SCRIPTS) or _SCRIPTS[0]
    if server is not None:
        return f"{before}/{script} restart"
    left = [f"/{each}" for each in (_STARTED, _SERVER) if machine.exists(each)]
    return f"rm {' '.join(left)}; /{script} start" if left else f"/{script} start"

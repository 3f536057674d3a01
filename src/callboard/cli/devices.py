"""`callboard devices`: what there is to run on, and how it is cabled."""

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import click
from attrs import asdict, field, frozen

from callboard.actors.drivers.abilities import DRIVERS
from callboard.cli.application import output, verb
from callboard.cli.cluster_options import cluster_options, refusing
from callboard.cli.inputs import devices_file
from callboard.cli.options import DEVICES
from callboard.cli.output import Output, plain, refusal
from callboard.definition import Device, DevicesFile
from callboard.definition.interfaces import Interface
from callboard.definition.links import Link
from callboard.definition.links_reading import described

if TYPE_CHECKING:
    from rich.table import Table

    from callboard.cli.listing import Listing
    from callboard.cluster.access import Access


@frozen(order=True)
class _Plugged:
    """A port of a switch that somebody is plugged into; in the order of switches and ports."""

    switch: str
    port: int
    device: str
    interface: Interface = field(order=False)


@verb("devices")
@click.argument("file", required=False, type=click.Path())
@cluster_options
@DEVICES
def command(
    access: "Access | None",
    file: str | None,
    devices: str | None,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """List the devices of a devices FILE: what this version can run, and what is busy.

    Where devices have network interfaces, it shows what is plugged in where, too. With --nats and
    no FILE it lists those of a cluster, and which group has which.
    """
    said = output(json, quiet, verbose, color)
    if access is not None and file is None:
        return _fleet(access, said)
    found = devices_file(file or devices, said)
    taken = _busy(found) if found else frozenset[str]()
    if said.json:
        said.document(_document(found, taken))
    elif found is None:
        click.echo("no devices file: every node gets a throw-away view of this machine (local)")
    else:
        said.listing(_listed(found, taken))
        _draw_network(found, said)
    return 0


def _fleet(access: "Access", said: Output) -> int:
    from callboard.cli.fleet import show_fleet

    with refusing():
        show_fleet(access, said)
    return 0


def _listed(file: DevicesFile, taken: frozenset[str]) -> "Listing":
    from callboard.cli.listing import Listing

    columns = ("device", "type", "driver", "tags", "runs", "busy")
    listing = Listing(*columns, folds=("device", "type", "tags"))
    for each in file.devices:
        runs = "yes" if each.driver in DRIVERS else "in rehearsals"
        tags = ", ".join(sorted(each.tags)) or "-"
        busy_now = "yes" if each.name in taken else "no"
        listing.add(each.name, each.type, each.driver, tags, runs, busy_now)
    return listing


def _draw_network(file: DevicesFile, said: Output) -> None:
    """Say what is plugged in where: each switch with its ports, then what is on none."""
    if file.network.kind is not None:
        _say(said, f"network of the nodes made here: {file.network.kind}")
        for link in file.network.links:
            like = f"  links {described(link.ends)}: {link.conditions}".replace("`", "")
            said.console.print(plain(like), markup=False, highlight=False)
    by = f" (VLANd at {file.vland})" if file.vland else ""
    for switch, ports in groupby(_plugged(file), lambda each: each.switch):
        _say(said, f"switch {switch}{by}")
        table = _table("  port", "device", "interface", "tags")
        for each in ports:
            interface = each.interface
            _add(table, f"  {each.port}", each.device, interface.label, _tags(interface))
        said.console.print(table)
    owned = [(device, each) for device in file.devices for each in device.interfaces]
    if loose := [(device, each) for device, each in owned if each.switch is None]:
        _say(said, "on no switch")
        table = _table("  device", "interface", "tags")
        for device, interface in loose:
            _add(table, f"  {device.name}", interface.label, _tags(interface))
        said.console.print(table)


def _say(said: Output, text: str) -> None:
    said.console.print(f"\n{plain(text)}", markup=False, highlight=False)


def _plugged(file: DevicesFile) -> list[_Plugged]:
    return sorted(
        _Plugged(each.switch, each.port, device.name, each)
        for device in file.devices
        for each in device.interfaces
        if each.switch is not None and each.port is not None
    )


def _tags(interface: Interface) -> str:
    return "primary" if interface.primary else ", ".join(interface.tags)


def _table(*columns: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _add(table: "Table", *cells: str) -> None:
    from rich.text import Text

    table.add_row(*(Text(plain(cell)) for cell in cells))


def _document(file: DevicesFile | None, taken: frozenset[str]) -> dict[str, object]:
    if file is None:
        return {
            "file": None,
            "network": None,
            "links": [],
            "vland": None,
            "devices": [],
            "switches": [],
        }
    vland = file.vland
    return {
        "file": file.file,
        "network": file.network.kind,
        "links": [_link(each) for each in file.network.links],
        "vland": {"host": vland.host, "port": vland.port} if vland else None,
        "devices": [_device(each, taken) for each in file.devices],
        "switches": [
            {"name": switch, "ports": [_port(each) for each in ports]}
            for switch, ports in groupby(_plugged(file), lambda each: each.switch)
        ],
    }


def _link(link: Link) -> dict[str, object]:
    return {"ends": list(link.ends)} | asdict(link.conditions)


def _device(device: Device, taken: frozenset[str]) -> dict[str, object]:
    return {
        "name": device.name,
        "type": device.type,
        "driver": device.driver,
        "tags": sorted(device.tags),
        "runs": device.driver in DRIVERS,
        "busy": device.name in taken,
        "interfaces": list(_interfaces(device)),
    }


def _interfaces(device: Device) -> Iterator[dict[str, object]]:
    for each in device.interfaces:
        yield {
            **asdict(each, filter=lambda attribute, _value: attribute.name != "place"),
            "tags": list(each.tags),
            "primary": each.primary,
        }


def _port(found: _Plugged) -> dict[str, object]:
    return {
        "port": found.port,
        "device": found.device,
        "interface": found.interface.label,
        "primary": found.interface.primary,
    }


def _busy(file: DevicesFile) -> frozenset[str]:
    from callboard.reservation import busy

    try:
        return busy(file, file.devices)
    except OSError as error:
        raise refusal("CB108", f"the state of devices can't be read: {error}") from error

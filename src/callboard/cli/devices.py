"""`callboard devices`: what there is to run on."""

import click

from callboard.actors.drivers.abilities import DRIVERS
from callboard.cli.application import output, verb
from callboard.cli.inputs import devices_file
from callboard.cli.options import DEVICES
from callboard.cli.output import plain, refusal
from callboard.definition import DevicesFile


@verb("devices")
@DEVICES
def command(devices: str | None, json: bool, quiet: bool, verbose: int, color: str) -> int:
    """List the devices of the devices file: what this version can run, and what is busy."""
    said = output(json, quiet, verbose, color)
    file = devices_file(devices, said)
    listed = file.devices if file else ()
    taken = _busy(file) if file else frozenset[str]()
    if said.json:
        rows: list[dict[str, object]] = [
            {
                "name": each.name,
                "type": each.type,
                "driver": each.driver,
                "tags": sorted(each.tags),
                "runs": each.driver in DRIVERS,
                "busy": each.name in taken,
            }
            for each in listed
        ]
        said.document({"file": file.file if file else None, "devices": rows})
        return 0
    if file is None:
        click.echo("no devices file: every node gets a throw-away view of this machine (local)")
        return 0
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("device", "type", "driver", "tags", "runs", "busy"):
        table.add_column(name, overflow="fold")
    for each in listed:
        runs = "yes" if each.driver in DRIVERS else "in rehearsals"
        tags = ", ".join(sorted(each.tags)) or "-"
        busy_now = "yes" if each.name in taken else "no"
        cells = (each.name, each.type, each.driver, tags, runs, busy_now)
        table.add_row(*(Text(plain(cell)) for cell in cells))
    said.console.print(table)
    return 0


def _busy(file: DevicesFile) -> frozenset[str]:
    from callboard.reservation import busy

    try:
        return busy(file, file.devices)
    except OSError as error:
        raise refusal("CB108", f"the state of devices can't be read: {error}") from error

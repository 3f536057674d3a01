"""`callboard list`: the groups of a cluster."""

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio
import click

from callboard.cli.application import output, verb
from callboard.cli.cluster_options import SHORT, cluster_options, named, refusing
from callboard.cli.output import Output
from callboard.cluster.visiting import visiting

if TYPE_CHECKING:
    from callboard.cli.listing import Listing
    from callboard.cluster.access import Access
    from callboard.cluster.records import GroupRecord


@verb("list")
@click.option("--all", "everything", is_flag=True, help="Those that have ended, too.")
@cluster_options
def command(
    everything: bool,
    access: "Access | None",
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """List the groups of a cluster that wait or run, in the order of their submission."""
    said = output(json, quiet, verbose, color)
    with refusing():
        known, waits = anyio.run(_groups, named(access), said)
    shown = [
        (group, record)
        for group, record in sorted(known.items(), key=lambda each: each[1].submitted_at)
        if everything or record.state != "ended"
    ]
    if said.json:
        said.document({"groups": [_document(*each, waits) for each in shown]})
    elif shown:
        said.listing(_listing(shown, waits, _length(known)))
    else:
        more = "" if everything else "; `--all` lists those that have ended"
        said.note(f"no groups{' wait or run' if not everything else ''}{more}")
    return 0


async def _groups(
    access: "Access", said: Output
) -> tuple[Mapping[str, "GroupRecord"], Mapping[str, str]]:
    """All groups, and what those wait for that have no devices yet, or whose workers are silent."""
    async with visiting(access, said.note) as client:
        known = await client.groups()
        queued = [group for group, record in known.items() if _state(record) == "queued"]
        running = [group for group, record in known.items() if record.state == "running"]
        waits = await client.why_queued(*queued)
        return known, waits | await client.why_stalled(*running)


def _length(groups: Mapping[str, object]) -> int:
    """How many characters tell the ids apart."""
    length = SHORT
    while len({each[:length] for each in groups}) < len(groups):
        length += 1
    return length


def _listing(
    groups: list[tuple[str, "GroupRecord"]], waits: Mapping[str, str], length: int
) -> "Listing":
    from callboard.cli.listing import Listing

    columns = ("id", "name", "nodes", "state", "submitted", "verdict")
    listing = Listing(*columns, folds=("name", "verdict"), right=("nodes",))
    for group, record in groups:
        listing.add(
            group[:length],
            record.name,
            f"{record.nodes:,}",
            _state(record),
            _submitted(record),
            waits.get(group) or _verdict(record),
        )
    return listing


def _state(record: "GroupRecord") -> str:
    return "ending" if record.cancel is not None and record.state != "ended" else record.state


def _submitted(record: "GroupRecord") -> str:
    try:
        submitted = dt.datetime.fromisoformat(record.submitted_at).astimezone()
    except ValueError:
        return record.submitted_at
    return f"{submitted:%Y-%m-%d %H:%M}"


def _verdict(record: "GroupRecord") -> str:
    if record.problem is not None:
        return record.problem
    if record.status is None:
        return "-"
    return f"{record.status}, exit code {record.exit_code}"


def _document(group: str, record: "GroupRecord", waits: Mapping[str, str]) -> dict[str, object]:
    return {
        "group": group,
        "name": record.name,
        "file": record.file,
        "nodes": record.nodes,
        "first_id": record.first_id,
        "submitted_at": record.submitted_at,
        "state": _state(record),
        "waits_for": waits.get(group),
        "cancel": record.cancel,
        "status": record.status,
        "exit_code": record.exit_code,
        "problem": record.problem,
    }

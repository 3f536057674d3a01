"""What a group needs that only a run on one machine has, found before it is submitted."""

from collections.abc import Iterator, Mapping, Sequence

from callboard.actors.lxc.delivery import is_delivered
from callboard.actors.support import driver_skips, problems
from callboard.cluster.bundle import UNFIT
from callboard.cluster.records import Seat
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.model import Definition, NodeJob, PipelineAction
from callboard.definition.pipeline import pipeline
from callboard.definition.quoting import with_lines
from callboard.definition.split import one_a_role

_ALONE = "run the group on one machine, without --nats"


def unfit(definition: Definition, *, sandbox: bool = True) -> tuple[Diagnostic, ...]:
    """What of a valid definition can't be run on a cluster; it is not submitted then.

    What its devices can't do is seen when it has them.

    Args:
        definition: The definition.
        sandbox: Whether local nodes are throw-away.
    """
    found = [*_vlans(definition), *_files(definition)]
    return (*problems(definition, sandbox=sandbox), *with_lines(found))


def skipped(jobs: Sequence[NodeJob], seats: Mapping[int, Seat]) -> str | None:
    """What a device would skip of its job, for `--strict`; None for nothing.

    Args:
        jobs: All jobs of a group.
        seats: Where each of them runs.
    """
    for job in jobs:
        seat = seats[job.id]
        for action in _leaves(pipeline(job)):
            if (reason := driver_skips(job, action, seat.driver)) is not None:
                role = f", role {job.role.name}" if job.role else ""
                where = f"job {job.id} on {seat.worker}/{seat.device}{role}"
                return f"{action.name} would be skipped ({where}): {reason}"
    return None


def _vlans(definition: Definition) -> Iterator[Diagnostic]:
    for vlan in definition.vlans[:1]:
        message = f"VLANs such as `{vlan.vlan}` are not made between the machines of a cluster"
        yield Diagnostic(UNFIT, "error", message, vlan.place, _ALONE, role=vlan.role)


def _files(definition: Definition) -> Iterator[Diagnostic]:
    """Files of who submits the group that are for containers: no worker has them."""
    seen = set()
    for job in one_a_role(definition):
        for action in _leaves(pipeline(job)):
            wanted = action.name == "file-download" and is_delivered(job, action)
            if wanted and action.image and action.block and action.image.url not in seen:
                seen.add(action.image.url)
                message = f"`{action.image.label}` is a file of this machine; workers don't have it"
                hint = f"put it on a web server, or {_ALONE}"
                role = job.role.name if job.role else None
                yield Diagnostic(UNFIT, "error", message, action.block.place, hint, role=role)


def _leaves(actions: Sequence[PipelineAction]) -> Iterator[PipelineAction]:
    for action in actions:
        if action.children:
            yield from _leaves(action.children)
        else:
            yield action

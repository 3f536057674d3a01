"""`callboard describe`: the jobs that a definition splits into, and the pipeline of each."""

from collections.abc import Iterator, Sequence

import click

from callboard.actors.support import skip_reason
from callboard.cli.application import output, verb
from callboard.cli.inputs import definition
from callboard.cli.output import as_json, plain, refusal
from callboard.definition import NodeJob, PipelineAction, pipeline, split
from callboard.definition.model import Call

MOST_NODES = 100_000
Planned = tuple[NodeJob, tuple[PipelineAction, ...]]


@verb("describe")
@click.argument("file", type=click.Path())
def command(file: str, json: bool, quiet: bool, verbose: int, color: str) -> int:
    """Show the jobs that the definition FILE splits into, and what each would do."""
    said = output(json, quiet, verbose, color)
    found, warnings = definition(file, said)
    if found.size > MOST_NODES:
        message = f"the group has {found.size:,} jobs; {MOST_NODES:,} can be described"
        raise refusal("CB052", message, "lower a `count`; the jobs of a role are alike")
    jobs = [(job, pipeline(job)) for job in split(found, first_id=1, group="")]
    if said.json:
        said.document(
            {
                "name": found.job_name,
                "multinode": found.multinode,
                "jobs": [_job(*planned) for planned in jobs],
                "diagnostics": [as_json(each) for each in warnings],
            }
        )
        return 0
    what = "a MultiNode group" if found.multinode else "a single node"
    nodes = "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"
    lines = [f"{found.job_name}: {what}, {nodes}"]
    for same in _by_role(jobs):
        lines += ["", _headline(same), *_lines(*same[0])]
    for line in lines:
        said.console.print(plain(line), soft_wrap=True, markup=False)
    return 0


def _job(job: NodeJob, actions: Sequence[PipelineAction]) -> dict[str, object]:
    return {
        "id": job.id,
        "sub_id": job.sub_id,
        "role": job.role.name if job.role else None,
        "device_type": job.device_type,
        "tags": list(job.tags),
        "vlans": [{"name": each.vlan, "tags": list(each.tags)} for each in job.vlans],
        "pipeline": [_action(job, action) for action in actions],
    }


def _action(job: NodeJob, action: PipelineAction) -> dict[str, object]:
    return {
        "level": action.level,
        "name": action.name,
        "namespace": action.namespace,
        "timeout": action.duration_s,
        "skipped": skip_reason(job, action),
        "calls": [_call(call) for call in action.calls],
        "children": [_action(job, child) for child in action.children],
    }


def _by_role(jobs: Sequence[Planned]) -> Iterator[list[Planned]]:
    """The jobs of each role together: they have the same pipeline."""
    roles = dict.fromkeys(job.role.name if job.role else "" for job, _ in jobs)
    for role in roles:
        yield [each for each in jobs if (each[0].role.name if each[0].role else "") == role]


def _headline(same: list[Planned]) -> str:
    first, last = same[0][0], same[-1][0]
    ids = f"job {first.id}" if first is last else f"jobs {first.id}-{last.id}"
    role = f", role {first.role.name}" if first.role else ""
    tags = f", tags {', '.join(first.tags)}" if first.tags else ""
    limit = f", at most {_limit(first.timeouts.job_s)}"
    return f"{ids}{role}: {_device(first)}{tags}{_vlans(first)}{limit}{_rules(first)}"


def _vlans(job: NodeJob) -> str:
    """The job's VLANs, each with what it asks of its interface."""
    shown = (
        f"{each.vlan} ({' '.join(each.tags)})" if each.tags else each.vlan for each in job.vlans
    )
    what = "VLAN" if len(job.vlans) == 1 else "VLANs"
    return f", {what} {', '.join(shown)}" if job.vlans else ""


def _rules(job: NodeJob) -> str:
    """What the job's role means for its group."""
    if job.role is None:
        return ""
    start = f", begins after {job.role.delayed_by}" if job.role.delayed_by else ""
    return start + (", essential" if job.role.essential else "")


def _device(job: NodeJob) -> str:
    role = job.role
    if role is not None and role.connection is not None:
        return f"a guest on the device of {role.host_role}"
    return job.device_type or "no device"


def _lines(job: NodeJob, actions: Sequence[PipelineAction]) -> Iterator[str]:
    for action in actions:
        depth = action.level.count(".") + 1
        reason = skip_reason(job, action)
        note = f"  skipped: {reason}" if reason else f"  {_limit(action.duration_s)}"
        calls = "".join(f"; {_call(call)}" for call in action.calls)
        yield f"{'  ' * depth}{action.level} {action.name}{note}{calls}"
        yield from _lines(job, action.children)


def _call(call: Call) -> str:
    """A call in the words of the definition, e.g. `lava-wait addr`."""
    words = (call.request, call.message_id, call.role, ", ".join(call.roles))
    return " ".join(word for word in words if word)


def _limit(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    return f"{minutes} min" + (f" {second} s" if second else "") if minutes else f"{second} s"

"""Waits of test shells that last longer than what they run in."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from callboard.definition.model import Block, Definition, PipelineAction
from callboard.definition.pipeline import assemble
from callboard.flow.diagnosis.finding import Finding, written
from callboard.flow.diagnosis.ledger import Ledger
from callboard.flow.diagnosis.sighting import Sighting


def limits(definition: Definition, ledger: Ledger) -> list[Finding]:
    """The first call of each block and role that outlasts its test action, or the job.

    Calls of actions are checked when the definition is read (CB094).
    """
    calls: defaultdict[str, list[Sighting]] = defaultdict(list)
    for each in ledger.calls:
        calls[each.role].append(each)
    return [finding for role in ledger.roles for finding in _of_role(definition, role, calls[role])]


def _of_role(definition: Definition, role: str, calls: Sequence[Sighting]) -> Iterator[Finding]:
    blocks = [each for each in definition.blocks if not role or role in each.roles]
    actions = assemble(blocks, definition.timeouts, multinode=bool(role), ssh=False)
    shells: dict[str, tuple[Block, PipelineAction]] = {}
    tests: Counter[str] = Counter()
    for block, top in zip(blocks, actions, strict=False):
        if block.test_kind not in ("shell", "docker"):
            continue
        shell = min(_shells(top), key=lambda each: each.duration_s)
        for source in block.definitions:
            maker = f"{tests[block.namespace]}_{source.name}"
            tests[block.namespace] += 1
            # Namespaces may have tests of one name: the longer limit is no false alarm.
            if maker not in shells or shell.duration_s > shells[maker][1].duration_s:
                shells[maker] = block, shell
    told: set[int] = set()
    job_s = definition.timeouts.job_s
    for each in calls:
        limit_s = each.call.limit_s
        if limit_s is None or each.call.maker not in shells:
            continue
        block, shell = shells[each.call.maker]
        if id(block) in told or limit_s <= min(shell.duration_s, job_s):
            continue
        told.add(id(block))
        end = f"`{shell.name}` ends after {shell.duration_s} s"
        if job_s < shell.duration_s:
            end = f"the whole job ends after {job_s} s"
        yield Finding(
            "CB173",
            each.call.where,
            (role,),
            written(each.call),
            f"may wait for {limit_s:.0f} s, but {end}",
            "shorten the `timeout` of the role or group, or lengthen that of the test block",
        )


def _shells(action: PipelineAction) -> Iterator[PipelineAction]:
    """The actions in which a test block's definitions run, outer ones first."""
    if action.stage is not None:
        yield action
        for child in action.children:
            yield from _shells(child)

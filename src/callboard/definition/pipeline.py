"""A node job as LAVA's pipeline: which actions run, at which level, under which limits."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from attrs import define, frozen

from callboard.definition.actions import (
    ActionTree,
    Prepared,
    Surroundings,
    finalize,
    is_known,
    tree_of,
)
from callboard.definition.model import Block, Call, NodeJob, PipelineAction, Timeouts
from callboard.definition.summaries import summary_of
from callboard.definition.timeouts import DEFAULT_S


def pipeline(job: NodeJob, *, ssh: bool = False) -> tuple[PipelineAction, ...]:
    """The actions of a node job, in order, `finalize` last (LAVA: pipeline description).

    Args:
        job: One of the split's jobs.
        ssh: Whether the node's device has an `ssh` deploy method; `to: ssh` and
            `authorize: ssh` imply it.
    """
    return assemble(job.blocks, job.timeouts, multinode=job.role is not None, ssh=ssh)


def assemble(
    blocks: Sequence[Block], timeouts: Timeouts, *, multinode: bool, ssh: bool
) -> tuple[PipelineAction, ...]:
    """The pipeline of the blocks of one job."""
    ssh = ssh or any(_wants_ssh(block) for block in blocks)
    actions = []
    placed = _surroundings(blocks, multinode=multinode, ssh=ssh)
    for number, (block, around) in enumerate(placed, 1):
        tree = tree_of(block, around)
        calls = _calls_by_action(block, tree)
        actions.append(_Numbering(block, timeouts, calls).number(tree, str(number), None))
    end = _Numbering(None, timeouts, {})
    return (*actions, end.number(finalize(), str(len(actions) + 1), None))


def _wants_ssh(block: Block) -> bool:
    ssh = block.method == "ssh" or block.parameters.get("authorize") == "ssh"
    return block.kind == "deploy" and ssh


@define
class _Namespace:
    """What the tests of one namespace need."""

    prepared: tuple[Prepared, ...] = ()
    shell: bool = False
    stages: int = 0


def _surroundings(
    blocks: Sequence[Block], *, multinode: bool, ssh: bool
) -> Iterator[tuple[Block, Surroundings]]:
    """Each block with what its actions depend on."""
    spaces: defaultdict[str, _Namespace] = defaultdict(_Namespace)
    stages: list[int | None] = []
    for block in blocks:
        space = spaces[block.namespace]
        if block.test_kind == "shell":
            space.shell = True
            spaces[block.connection_namespace or block.namespace].shell = True
        if block.test_kind not in {"shell", "docker"}:
            stages.append(None)
            continue
        stages.append(space.stages)
        first = len(space.prepared)
        space.prepared += tuple(
            Prepared(source, space.stages, index)
            for index, source in enumerate(block.definitions, first)
        )
        space.stages += 1
    for block, stage in zip(blocks, stages, strict=True):
        space = spaces[block.namespace]
        yield block, Surroundings(multinode, ssh, space.prepared, space.shell, stage)


def _calls_by_action(block: Block, tree: ActionTree) -> dict[str, tuple[Call, ...]]:
    names = set(_names_in(tree))
    stray = "" if is_known(block) else tree.name
    calls: dict[str, tuple[Call, ...]] = {}
    for call in block.calls:
        name = call.action if call.action in names else stray
        calls[name] = (*calls.get(name, ()), call)
    return calls


def _names_in(tree: ActionTree) -> Iterator[str]:
    yield tree.name
    for child in tree.children:
        yield from _names_in(child)


@frozen
class _Numbering:
    """Gives the actions of one block their levels, limits and calls."""

    block: Block | None
    timeouts: Timeouts
    calls: dict[str, tuple[Call, ...]]

    def number(self, tree: ActionTree, level: str, parent: "_Limits | None") -> PipelineAction:
        block = self.block
        retries = block.failure_retry if block and tree.retry else None
        limits = _Limits(self._duration_s(tree.name, parent), retries or 1)
        return PipelineAction(
            name=tree.name,
            level=level,
            summary=summary_of(tree.name),
            block=block,
            namespace=block.namespace if block else "common",
            duration_s=limits.duration_s,
            connection_s=self._connection_s(tree.name),
            children=tuple(
                self.number(child, f"{level}.{position}", limits)
                for position, child in enumerate(tree.children, 1)
            ),
            max_retries=limits.max_retries,
            repeat=block.repeat if block and tree.retry else None,
            retry=tree.retry,
            calls=self.calls.get(tree.name, ()),
            source=tree.source,
            stage=tree.stage,
            image=tree.image,
            index=tree.index,
        )

    def _duration_s(self, name: str, parent: "_Limits | None") -> int:
        """LAVA's order, later ones win: built in, job, block, retries of the parent, by name."""
        duration = self.timeouts.action_s or DEFAULT_S
        if self.block and self.block.timeout_s:
            duration = self.block.timeout_s
        if parent and parent.max_retries > 1:
            duration = parent.duration_s // parent.max_retries
        duration = self.timeouts.actions_s.get(name, duration)
        return self.block.timeouts_s.get(name, duration) if self.block else duration

    def _connection_s(self, name: str) -> int:
        own = self.block.connection_timeout_s if self.block else None
        default = self.timeouts.connection_s or own or DEFAULT_S
        return self.timeouts.connections_s.get(name, default)


@frozen
class _Limits:
    duration_s: int
    max_retries: int

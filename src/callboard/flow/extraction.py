"""From a definition to the program of each role."""

from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from callboard.definition.calls import DEPLOY_VLANS, START, calls_after, calls_before
from callboard.definition.deployment import VLAN_ID, VLAN_TAG, making_roles
from callboard.definition.model import (
    Block,
    Definition,
    NodeJob,
    PipelineAction,
    Place,
    Plain,
    TestSource,
    VlanInterface,
)
from callboard.definition.model import Call as WrittenCall
from callboard.definition.pipeline import pipeline
from callboard.definition.source import Source, decode, read_source
from callboard.definition.split import split
from callboard.events import CallName, Where
from callboard.flow.program import UNKNOWN, Call, Item, Leave, Program, Scope, Unseen, Word
from callboard.flow.shell import Files, Surroundings, TestText, test_scope
from callboard.flow.shell.known import CALLS
from callboard.flow.shell.script import Script

_REQUESTS: Mapping[str, CallName] = {**CALLS, "lava-start": "send"}
"""The requests of actions, and what they ask."""

_TEST_SHELLS = frozenset(
    {
        "multinode-test",
        "lava-test-shell",
        "lava-docker-test-shell",
        "lava-multinode-docker-test-shell",
    }
)
"""Actions that run test definitions in a shell."""


@frozen
class Extraction:
    """What a definition's roles do.

    Attributes:
        programs: One a role, in the order of the definition, roles without nodes included.
        sources: The text of each file that a call may stand in, by the name in its `Where`.
    """

    programs: tuple[Program, ...]
    sources: Mapping[str, Source] = field(repr=False)


def extract(definition: Definition) -> Extraction:
    """Read what the roles of a definition do; its test sources may have been fetched.

    A source that has not been fetched is something that nobody can read.
    """
    reader = _Reader(definition)
    return Extraction(tuple(reader.programs()), reader.sources)


class _Reader:
    """Reads one definition, role by role."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._hidden = frozenset({*definition.secrets.values(), *definition.hidden})
        self._counts = {role.name: role.count for role in definition.roles}
        self._makers = making_roles(definition)
        self.sources: dict[str, Source] = {}
        own = decode(definition.masked_text or definition.text, definition.file)
        if isinstance(own, Source):
            own.secrets = self._hidden
            self.sources[definition.file] = own

    def programs(self) -> Iterator[Program]:
        """The program of each role."""
        definition = self._definition
        # What roles without nodes would do tells why others wait for them in vain.
        one_each = dict.fromkeys(self._counts, 1)
        for job in split(definition, first_id=1, group="", counts=one_each):
            name, count = (job.role.name, job.role.count) if job.role else ("", 1)
            yield Program(name, count, self._items(job))

    def _items(self, job: NodeJob) -> tuple[Item, ...]:
        items: list[Item] = []
        role = job.role
        if role is not None and role.delayed_by is not None:
            place = role.place
            where = Where(place.file, place.line, place.column, f"role {role.name}")
            started = Word.of(role.delayed_by)
            limit_s = job.start_limit_s
            items.append(
                Call("start", Word.of(START), where, "start", role=started, limit_s=limit_s)
            )
        actions = pipeline(job)
        indices = {
            action.source.place: action.index or 0
            for action in _walk(actions)
            if action.source is not None
        }
        for action in actions:
            items += self._action(job, action, indices)
        return (Scope(role.name if role else "job", tuple(items)),)

    def _action(
        self, job: NodeJob, action: PipelineAction, indices: Mapping[Place, int]
    ) -> Iterator[Item]:
        for call in calls_before(action):
            yield from self._calls(job, action, call)
        if action.name in _TEST_SHELLS and action.block is not None:
            yield from self._tests(job, action.block, indices)
        if action.name == "lava-test-interactive" and action.block is not None:
            place = action.block.place
            where = Where(place.file, place.line, place.column, "interactive")
            yield Unseen("interactive tests are not read", where)
        for child in action.children:
            yield from self._action(job, child, indices)
        for call in calls_after(action):
            yield from self._calls(job, action, call)

    def _calls(self, job: NodeJob, action: PipelineAction, call: WrittenCall) -> Iterator[Item]:
        if call.request != DEPLOY_VLANS:
            yield _call(job, action, call)
            return
        role = job.role.name if job.role else ""
        for vlan in job.vlans:
            yield _deployed(vlan, action, call, makes=self._makers.get(vlan.vlan) == role)

    def _tests(self, job: NodeJob, block: Block, indices: Mapping[Place, int]) -> Iterator[Item]:
        environment = {name: _shown(value) for name, value in job.environment.items()}
        around = Surroundings(
            job.role.name if job.role else "",
            self._counts,
            {name: value for name, value in environment.items() if value is not None},
            job.wait_limit_s,
            self._hidden,
            bool(job.vlans),
        )
        failed: list[Leave] = []
        for source in block.definitions:
            suite = f"{indices.get(source.place, 0)}_{source.name}"
            text = self._text(source, suite)
            if text is None:
                place = source.place
                where = Where(place.file, place.line, place.column, f"name: {source.name}")
                reason = f"the definition `{source.name}` has not been fetched"
                yield Scope(suite, (Unseen(reason, where),), test=True)
                continue
            scope = test_scope(evolve(text, first=source is block.definitions[0]), around)
            failed += [item for item in scope.items if isinstance(item, Leave)]
            yield scope
            self.sources |= text.files.read
        yield from failed[:1]  # a failed installation ends the job behind the last definition

    def _text(self, source: TestSource, suite: str) -> TestText | None:
        definition = source.definition
        if definition is None:
            return None
        file = definition.place.file
        label = file.removesuffix(source.path)
        fetched = source.fetched
        files = Files(
            fetched.folder if fetched else None,
            label,
            dict(fetched.repositories) if fetched else {},
            self._hidden,
        )
        if file not in self.sources and fetched is not None and fetched.folder is not None:
            found = read_source(fetched.folder / source.path, file)
            if isinstance(found, Source):
                found.secrets = self._hidden
                self.sources[file] = found
        written = self.sources.get(file)
        skipped = source.skip_install & {"steps", "all"}
        steps = () if skipped else definition.install.steps
        return TestText(
            suite,
            Script.of_steps(steps, suite, written) if steps else None,
            Script.of_steps(definition.run, suite, written),
            dict((*definition.parameters, *source.parameters)),
            files,
        )


def _call(job: NodeJob, action: PipelineAction, written: WrittenCall) -> Call:
    """A call of an action; `written` is as the definition has it."""
    name = _REQUESTS[written.request]
    starts = written.request == "lava-start"
    message_id = START if starts else written.message_id or ""
    place = written.place
    names = ", ".join(written.roles) if starts else message_id
    limit_s = written.timeout_s or job.wait_limit_s
    return Call(
        name,
        Word.of(message_id),
        Where(place.file, place.line, place.column, f"{written.request} {names}"),
        f"{action.level} {action.name}",
        role=Word.of(written.role) if name == "wait-all" and written.role else None,
        roles=written.roles if starts else None,
        data=tuple((key, Word.of(value or "")) for key, value in (written.message or {}).items()),
        limit_s=None if name == "send" else limit_s,
    )


def _deployed(
    vlan: VlanInterface, action: PipelineAction, written: WrittenCall, *, makes: bool
) -> Call:
    """What `deploy_vlans` asks of the group for one VLAN: its maker tells the others of it.

    Of several nodes of the making role only the first makes it. But all come to the request
    on the same way, so whether the calls return does not depend on which of them sends.
    """
    place = written.place
    keys = (VLAN_ID, VLAN_TAG) if makes else ()
    return Call(
        "send" if makes else "wait",
        Word.of(vlan.vlan),
        Where(place.file, place.line, place.column, f"{DEPLOY_VLANS} {vlan.vlan}"),
        f"{action.level} {action.name}",
        data=tuple((key, UNKNOWN) for key in keys),
        limit_s=None if makes else written.timeout_s or action.connection_s,
        deploys=True,
    )


def _walk(actions: Sequence[PipelineAction]) -> Iterator[PipelineAction]:
    for action in actions:
        yield action
        yield from _walk(action.children)


def _shown(value: Plain) -> str | None:
    """A variable's value as the node's shell has it; None for lists and maps, which become more."""
    match value:
        case bool():
            return "1" if value else "0"
        case str() | int() | float():
            return str(value)
        case _:
            return None

"""What models, faults and scenarios can speak of: the roles of a group, and what they do."""

from collections.abc import Iterable, Iterator, Mapping

from attrs import define, field, frozen

from callboard.definition.model import Definition, NodeJob, PipelineAction
from callboard.definition.pipeline import pipeline
from callboard.definition.split import split
from callboard.flow.program import (
    Background,
    Call,
    Choice,
    Command,
    Item,
    Loop,
    Program,
    Scope,
)


@frozen
class Fork:
    """A condition in a test, and how many ways lead on from it."""

    test: str
    condition: str
    ways: int


@frozen
class Part:
    """What the nodes of a role do, each name once and in the order in which they come to it.

    Attributes:
        role: The role; empty in a job without roles.
        count: How many nodes it has.
        ends_s: Its jobs have ended by then, in virtual seconds.
        actions: Names of the pipeline's actions.
        tests: Suites of test definitions, e.g. `0_server`.
        steps: Commands of tests, each with its test.
        forks: Conditions that only the run knows.
        loops: The texts that decide on loops, each with its test.
        calls: The calls that it makes, as written.
    """

    role: str
    count: int
    ends_s: float
    actions: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()
    forks: tuple[Fork, ...] = ()
    loops: tuple[tuple[str, str], ...] = ()
    calls: tuple[str, ...] = ()


@frozen
class Cast:
    """Everybody in a group.

    Attributes:
        parts: What each role does, in the order of the definition; one part, of the role "", in
            a job without roles.
        secrets: Texts that no message may show.
    """

    parts: tuple[Part, ...]
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def roles(self) -> tuple[str, ...]:
        """The names of the roles; none in a job without roles."""
        return tuple(part.role for part in self.parts if part.role)

    def part(self, role: str) -> Part | None:
        """What a role does, None if there is no such role."""
        return next((part for part in self.parts if part.role == role), None)

    def of(self, role: str | None) -> tuple[Part, ...]:
        """The parts that a rule is about: that of its role, or of every role."""
        return (
            self.parts if role is None else tuple(each for each in self.parts if each.role == role)
        )


def cast_of(
    definition: Definition,
    programs: Iterable[Program],
    counts: Mapping[str, int] | None = None,
) -> Cast:
    """Who is in a group and what they do.

    Args:
        definition: The definition.
        programs: What was extracted from it (`callboard.flow.extraction`).
        counts: How many nodes roles have, where that isn't what the definition says.
    """
    by_role = {program.role: program for program in programs}
    one_each = {role.name: 1 for role in definition.roles}
    parts = []
    for job in split(definition, first_id=1, group="", counts=one_each):
        role = job.role.name if job.role else ""
        count = (counts or {}).get(role, job.role.count if job.role else 1)
        parts.append(_part(job, role, count, by_role.get(role)))
    return Cast(tuple(parts), frozenset({*definition.secrets.values(), *definition.hidden}))


def _part(job: NodeJob, role: str, count: int, program: Program | None) -> Part:
    survey = _Survey()
    if program is not None:
        survey.walk(program.items, "")
    delayed = job.role is not None and job.role.delayed_by is not None
    # A device may add actions of its own kind to the pipeline.
    pipelines = (pipeline(job), pipeline(job, ssh=True))
    return Part(
        role,
        count,
        job.timeouts.job_s + (job.start_limit_s if delayed else 0),
        tuple(dict.fromkeys(name for actions in pipelines for name in _names(actions))),
        tuple(survey.tests),
        tuple(survey.steps),
        tuple(survey.forks),
        tuple(survey.loops),
        tuple(survey.calls),
    )


def _names(actions: Iterable[PipelineAction]) -> Iterator[str]:
    for action in actions:
        yield action.name
        yield from _names(action.children)


@define
class _Survey:
    """Collects what is in a program; what is unreached does not happen and is left out."""

    tests: dict[str, None] = field(factory=dict[str, None])
    steps: dict[tuple[str, str], None] = field(factory=dict[tuple[str, str], None])
    forks: dict[Fork, None] = field(factory=dict[Fork, None])
    loops: dict[tuple[str, str], None] = field(factory=dict[tuple[str, str], None])
    calls: dict[str, None] = field(factory=dict[str, None])

    def walk(self, items: Iterable[Item], test: str) -> None:
        """Collect what is in the items of a test."""
        for item in items:
            match item:
                case Command(text=text):
                    self.steps[test, text] = None
                case Call():
                    self.calls[item.written] = None
                case Choice(condition=condition, ways=ways):
                    self.forks[Fork(test, condition, len(ways))] = None
                    for way in ways:
                        self.walk(way, test)
                case Loop(condition=condition, body=body):
                    self.loops[test, condition] = None
                    self.walk(body, test)
                case Scope(title=title, items=inner, test=whole):
                    if whole:
                        self.tests[title] = None
                    self.walk(inner, title if whole else test)
                case Background(items=inner):
                    self.walk(inner, test)
                case _:
                    pass

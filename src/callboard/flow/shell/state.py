"""What is known of a shell at one point of its script."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from attrs import define, evolve, field, frozen
from tree_sitter import Node

from callboard.events import Where
from callboard.flow.program import UNKNOWN, Word
from callboard.flow.shell.arguments import Arguments
from callboard.flow.shell.script import Script

_HERE = PurePosixPath()
_NONE = Arguments()
SEPARATORS = Word.of(" \t\n")
"""What `IFS` is at first."""

MANY_JOBS = 2
"""How many jobs are told apart: a loop that starts one each turn settles."""

Status = bool | None
"""Whether a command succeeds; None when only the run knows."""


@frozen
class Function:
    """A function of a script: where it is written, and its body."""

    script: Script
    body: Node


Alternatives = tuple[Function | None, ...]


@frozen
class Trap:
    """What a shell does at its end: the text, as far as it is known, and who has set it."""

    text: Word
    where: Where


@define
class State:
    """A shell, as far as its future depends on it.

    Attributes:
        variables: What is known of variables; one that is absent may hold anything.
        exported: Names of the variables that programs are known to see.
        locals: Variables of the function that is run, with what they were before it.
        functions: What each function may be here; None where it may not be defined.
        arguments: `$1` and so on.
        folder: The working folder, below the test's own; None when it is somewhere else.
        errexit: Whether a command that fails ends the shell (`set -e`).
        pipefail: Whether a pipeline fails when one of its stages does.
        reads_console: Whether standard input is the console.
        writes_console: Whether standard output comes to the console.
        trap: What is done when the shell ends.
        jobs: How many jobs of this shell may run in the background, up to `MANY_JOBS`.
        strays: Whether something runs in the background that `wait` may not wait for.
        strange: Whether it has read a script that nobody can see, which may define functions.
        dead: Whether this point is never reached.
        failed: Whether it is dead because something has failed.
        last: Whether the last command has succeeded, which `$?` tells.
    """

    variables: dict[str, Word] = field(factory=lambda: {"IFS": SEPARATORS})
    exported: set[str] = field(factory=set[str])
    locals: dict[str, Word] = field(factory=dict[str, Word])
    functions: dict[str, Alternatives] = field(factory=dict[str, Alternatives])
    arguments: Arguments = _NONE
    folder: PurePosixPath | None = _HERE
    errexit: bool | None = False
    pipefail: bool | None = False
    reads_console: bool = True
    writes_console: bool = True
    trap: Trap | None = None
    jobs: int = 0
    strays: bool = False
    strange: bool = False
    dead: bool = False
    failed: bool = False
    last: Status = field(default=True, eq=False)

    def value(self, name: str) -> Word:
        """What is known of a variable."""
        return self.variables.get(name, UNKNOWN)

    def assign(self, name: str, word: Word) -> None:
        """Give a variable a value; one of which nothing is known is left out."""
        if word == UNKNOWN:
            self.variables.pop(name, None)
        else:
            self.variables[name] = word

    def forget(self) -> None:
        """Something that nobody can see may have changed any variable."""
        self.variables.clear()
        self.exported.clear()

    def copy(self) -> "State":
        """The same state, to be changed on its own."""
        return evolve(
            self,
            variables=self.variables.copy(),
            exported=self.exported.copy(),
            locals=self.locals.copy(),
            functions=self.functions.copy(),
        )

    def subshell(self) -> "State":
        """The state of a copy of this shell, which has neither its traps nor its jobs."""
        return evolve(self.copy(), trap=None, jobs=0)

    def child(self, arguments: Arguments) -> "State":
        """The state of a shell that this one starts: it inherits what is exported."""
        exported = {name: self.variables[name] for name in self.exported & self.variables.keys()}
        return State(
            variables={**exported, "IFS": SEPARATORS},
            exported=self.exported.copy(),
            arguments=arguments,
            folder=self.folder,
            reads_console=self.reads_console,
            writes_console=self.writes_console,
            strays=self.strays,
        )


def merged(states: Sequence[State]) -> State:
    """What is known where several ways meet; there must be one at least."""
    first, *others = states
    if not others:
        return first
    found = first.copy()
    found.variables = {
        name: word
        for name, word in first.variables.items()
        if all(state.variables.get(name) == word for state in others)
    }
    found.exported = first.exported.intersection(*(state.exported for state in others))
    for name in {name for state in states for name in state.locals}:
        found.locals[name] = _common([state.locals.get(name, UNKNOWN) for state in states])
    for name in {name for state in states for name in state.functions}:
        each = (function for state in states for function in state.functions.get(name, (None,)))
        found.functions[name] = tuple(dict.fromkeys(each))
    for state in others:
        if state.arguments != found.arguments:
            found.arguments = Arguments(more=True)
        if state.folder != found.folder:
            found.folder = None
        if state.errexit != found.errexit:
            found.errexit = None
        if state.pipefail != found.pipefail:
            found.pipefail = None
        if state.last != found.last:
            found.last = None
        if state.trap != found.trap:
            trap = found.trap or state.trap
            found.trap = trap and evolve(trap, text=UNKNOWN)
        found.reads_console &= state.reads_console
        found.writes_console &= state.writes_console
        found.jobs = max(found.jobs, state.jobs)
        found.strays |= state.strays
        found.strange |= state.strange
    return found


def _common(words: Sequence[Word]) -> Word:
    """The word that all are, unknown if they differ."""
    return words[0] if len(set(words)) == 1 else UNKNOWN

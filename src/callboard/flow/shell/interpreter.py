"""Runs a script with what is known before the run, and notes what it calls."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from posixpath import normpath

from tree_sitter import Node

from callboard.flow.program import (
    INSTALLATION,
    STEPS,
    UNKNOWN,
    Item,
    Leave,
    Scope,
    Unreached,
    Word,
)
from callboard.flow.shell.arguments import Arguments
from callboard.flow.shell.branches import Branches
from callboard.flow.shell.commands import Commands
from callboard.flow.shell.course import Course
from callboard.flow.shell.items import calls
from callboard.flow.shell.known import names_call
from callboard.flow.shell.loops import Loops
from callboard.flow.shell.redirections import Redirections
from callboard.flow.shell.script import Script
from callboard.flow.shell.state import Function, State, Status, Trap
from callboard.flow.shell.surroundings import Surroundings, TestText
from callboard.flow.shell.syntax import assigned, name_of, short, statements, text_of
from callboard.flow.shell.words import Words, changed_by, joined

_MOST_NODES = 6_000
_DEEPEST_NODES = 100

Statement = Callable[[Node], Status]
"""Runs one kind of node."""


def test_scope(test: TestText, around: Surroundings) -> Scope:
    """What a test definition does: its installation, then its steps (LAVA: generated scripts).

    The steps are left out if the installation surely fails: the last item is then a `Leave`.
    """
    items: list[Item] = []
    state = State(exported=set(around.environment))
    for name, value in (*around.environment.items(), *test.parameters.items()):
        state.assign(name, Word.of(value))
    interpreter = Interpreter(test, around)
    fails = False
    if test.install is not None:
        interpreter.outside = True if test.first else None
        installation = interpreter.run(test.install, state.copy(), INSTALLATION)
        kept = len(installation) == 1 and isinstance(installation[0], Scope)
        items += installation if kept else [Scope(INSTALLATION, tuple(installation))]
        interpreter.outside = False
        fails = interpreter.state.dead or interpreter.state.last is False
        state.strays = interpreter.state.strays or interpreter.state.jobs > 0
    state.errexit = True
    steps = interpreter.run(test.run, state, STEPS)
    if fails and test.install is not None:
        end = Leave(1, test.install.where(test.install.tree), failed=True)
        steps = [Unreached(tuple(calls(steps))), end]
    return Scope(test.suite, (*items, *steps), test=True)


test_scope.__test__ = False  # type: ignore[attr-defined]  # keeps pytest from taking it for a test


class Interpreter(Course):
    """One shell of a test, and those that it starts.

    Args:
        test: The test that it runs.
        around: The node.

    Attributes:
        branches: Runs statements that have several ways.
        commands: Runs commands.
        redirections: Runs what is redirected.
        outside: Whether no definition is running, as before the steps and behind the last: then
            signals to LAVA end the job. None if one before may not have come to its own end.
    """

    def __init__(self, test: TestText, around: Surroundings) -> None:
        super().__init__(test.run, around.hidden)
        self.test = test
        self.around = around
        self.branches = Branches(self)
        self.commands = Commands(self)
        self.redirections = Redirections(self)
        self.outside: bool | None = False
        self._left = _MOST_NODES
        self._depth = 0
        self._written: set[PurePosixPath] = set()
        self._substituted: Status = True
        self._kinds: Mapping[str, Statement] = {
            "command": self._command,
            "declaration_command": self._command,
            "unset_command": self._command,
            "variable_assignment": self._assignments,
            "variable_assignments": self._assignments,
            "subshell": self._subshell,
            "function_definition": self._function,
            "compound_statement": self._compound,
            "do_group": self._group,
            "program": self._group,
            **self.branches.statements,
            **Loops(self).statements,
            **self.redirections.statements,
        }

    @property
    def words(self) -> Words:
        """Expands words in the present state."""
        return Words(self.state, self._substitute)

    def file(self, name: str) -> Path | None:
        """The file of the test that a name means in the working folder; None if there is none."""
        found = self.test.files.path(self.state.folder, name)
        return None if self._place(name) in self._written else found

    def wrote(self, name: str) -> None:
        """The script has written a file, which is not what it was."""
        self._written.add(self._place(name))

    def _place(self, name: str) -> PurePosixPath:
        return PurePosixPath(normpath((self.state.folder or PurePosixPath()) / name))

    def run(self, script: Script, state: State, title: str) -> list[Item]:
        """The items of a script that is run from `state` on."""
        self.state = state
        with self.collected() as items:
            try:
                self.whole(title, partial(self._to_end, script))
            except RecursionError:
                first = script.tree
                self.obscure(first, f"`{title}` is nested deeper than is read", "bound")
        return items

    def _to_end(self, script: Script) -> Status:
        """All of a script; what a shell that comes to its last line does then is told no more."""
        status = self.text(script)
        if not self.state.dead and self.state.trap is not None:
            before, self.outside = self.outside, True
            self.at_end(self.state.trap)
            self.outside = before
        return status

    def at_end(self, trap: Trap) -> None:
        """Run what a shell is to do at its end, or say that only the run knows it."""
        self.state.trap = None
        text = trap.text.text
        script = Script.of_text(text or "", trap.where)
        if text is None:
            with self.reading(script):
                self.obscure(script.tree, "only the run knows what is done at the end")
        else:
            self.scope({"process"}, "trap", partial(self.text, script))

    def text(self, script: Script) -> Status:
        """Run another text in the present shell; what its nodes mean is told by it."""
        with self.reading(script):
            return self.statements(script.tree.children)

    def call_function(self, words: Sequence[Word], node: Node) -> Status:
        """Run a function of the script, or what else its name may mean at this point."""
        if self.too_deep(node):
            self.state.forget()
            return None
        functions = self.state.functions[str(words[0])]
        ways = [partial(self._call, each, words, node) for each in functions]
        return ways[0]() if len(ways) == 1 else self.choose(node, text_of(node), ways)

    def _call(self, function: Function | None, words: Sequence[Word], node: Node) -> Status:
        if function is None:
            return self.commands.dispatch(words, node, functions=False)
        name, arguments = str(words[0]), self.state.arguments
        outer, self.state.locals = self.state.locals, {}
        self.state.arguments = Arguments.of(words[1:], arguments.name)
        with self.reading(function.script):
            status = self.scope({"function"}, name, partial(self.statement, function.body))
        for variable, word in self.state.locals.items():
            self.state.assign(variable, word)
        self.state.arguments, self.state.locals = arguments, outer
        return status

    def statements(self, nodes: Sequence[Node]) -> Status:
        """Run the statements among the children of a node."""
        status: Status = True
        found = list(statements(nodes))
        for number, (node, background) in enumerate(found):
            if self.state.dead:
                self._skip([each for each, _ in found[number:]])
                break
            # The grammar puts what it can't read of a statement behind it.
            torn = any(each.type == "ERROR" for each, _ in found[number + 1 : number + 2])
            if node.type == "ERROR" and number:
                continue
            if node.has_error or torn:
                self.obscure(node, f"`{short(node)}` is no shell that can be read", "unparsed")
            elif background:
                self.background(node, partial(self.statement, node))
                status = self.state.last = True
            else:
                status = self.statement(node)
        return status

    def _skip(self, nodes: Sequence[Node]) -> None:
        """Note the calls of statements that are never reached."""
        if self._left < 0 or not any(names_call(text_of(each)) for each in nodes):
            return

        def revived() -> Status:
            self.state.dead = self.state.failed = False
            return self.statements(nodes)

        if missed := tuple(calls(self.attempt(revived).items)):
            self.add(Unreached(missed))

    def statement(self, node: Node) -> Status:
        """Run one statement."""
        self._left -= 1
        if self._left < 0 or self._depth > _DEEPEST_NODES:
            self.obscure(node, "the script is longer than is read", "bound")
            self.state.dead = True
            return None
        self._depth += 1
        try:
            status = self._kinds.get(node.type, self.odd)(node)
        finally:
            self._depth -= 1
        self.state.last = status
        return status

    def ended(self, node: Node, status: Status) -> Status:
        """A command has ended: one that fails ends the shell, unless somebody asks for it."""
        if status is not False or self.state.errexit is False or self.guarded or self.state.dead:
            return status
        if self.state.errexit:
            self.leave("process", node, False, failed=True)
            return False
        return self.choose(node, text_of(node), [partial(self._left_by, node), lambda: False])

    def _left_by(self, node: Node) -> Status:
        """The way of a command that fails for certain, if failing ends the shell."""
        self.leave("process", node, False)
        return False

    def odd(self, node: Node) -> Status:
        """A statement that is not looked into."""
        if names_call(text_of(node)):
            self.obscure(node, f"`{short(node)}` may make calls", "unparsed")
        else:
            self.note(node)
        for name in assigned(node):
            self.state.assign(name, UNKNOWN)
        return None

    def assign(self, node: Node, *, export: bool = False) -> Status:
        """Carry out `NAME=value`; its status is that of a command substitution in it."""
        name = node.child_by_field_name("name")
        value = node.child_by_field_name("value")
        self._substituted = True
        if name is None:
            return True
        word = self.words.word(value) if value is not None else Word.of("")
        variable = text_of(name)
        if any(text_of(each) == "+=" for each in node.children):
            word = joined(self.state.value(variable), word)
        if name.type == "subscript":
            variable, word = variable.partition("[")[0], UNKNOWN
        self.state.assign(variable, word)
        if export:
            self.state.exported.add(variable)
        return self._substituted

    def _command(self, node: Node) -> Status:
        return self.ended(node, self.commands.run(node))

    def _assignments(self, node: Node) -> Status:
        nodes = node.named_children if node.type == "variable_assignments" else [node]
        return self.ended(node, [self.assign(each) for each in nodes][-1])

    def _subshell(self, node: Node) -> Status:
        return self.ended(node, self.subshell("( )", partial(self.statements, node.children)))

    def _group(self, node: Node) -> Status:
        return self.statements(node.children)

    def _compound(self, node: Node) -> Status:
        is_arithmetic = text_of(node).startswith("((")
        return self.compute(node) if is_arithmetic else self.statements(node.children)

    def compute(self, node: Node) -> Status:
        """Run `(( ))`: what that changes is not known any more."""
        for name in changed_by(text_of(node)):
            self.state.assign(name, UNKNOWN)
        self.note(node)
        return None

    def _function(self, node: Node) -> Status:
        name = node.child_by_field_name("name")
        body = node.child_by_field_name("body")
        if name is None or body is None:
            return self.odd(node)
        redirected = any(each.type.endswith("redirect") for each in node.children)
        if redirected and names_call(text_of(node)):
            reason = f"the function `{text_of(name)}` has its output elsewhere"
            self.obscure(node, reason, "console")
        self.state.functions[text_of(name)] = (Function(self.script, body),)
        return True

    def _substitute(self, node: Node) -> Word:
        """What a command substitution prints, as far as that is known."""
        inside = [each for each, _ in statements(node.children)]
        if len(inside) == 1 and node.type == "command_substitution":
            printed = self.commands.printed(inside[0])
            if printed is not None:
                self._substituted = printed.text != "" or name_of(inside[0]) != "lava-group"
                return printed
        with self.redirected(reads=True, writes=False), self.guard():
            self._substituted = self.subshell("$( )", partial(self.statements, node.children))
        return UNKNOWN

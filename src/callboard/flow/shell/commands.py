"""What single commands do: who runs which, and what is known of those that nobody looks into."""

from collections.abc import Callable, Mapping, Sequence
from posixpath import basename
from typing import TYPE_CHECKING

from tree_sitter import Node

from callboard.flow.program import UNKNOWN, Word
from callboard.flow.shell.helpers import Helpers
from callboard.flow.shell.intrinsics import Intrinsics
from callboard.flow.shell.known import (
    CALLS,
    QUIET,
    REPORTS,
    SHELLS,
    TOOLS,
    WRAPPERS,
    names_call,
    runs_language,
    written_by,
)
from callboard.flow.shell.launching import Launching
from callboard.flow.shell.printing import printed
from callboard.flow.shell.script import Script
from callboard.flow.shell.state import Status
from callboard.flow.shell.syntax import (
    are_misread,
    assignments_of,
    name_of,
    short,
    text_of,
    words_of,
)
from callboard.flow.shell.words import spaced

if TYPE_CHECKING:
    from callboard.flow.shell.interpreter import Interpreter

_KEEPING = frozenset(
    {".", ":", "break", "continue", "eval", "exec", "export", "set", "shift", "trap"}
)

Run = Callable[[Sequence[Word], Node], Status]
"""Runs a command: its arguments, and where it is written."""


class Commands:
    """Runs commands for a shell.

    Args:
        shell: The shell that they belong to.
    """

    def __init__(self, shell: "Interpreter") -> None:
        self._shell = shell
        self._helpers = Helpers(shell, self)
        self._launching = Launching(shell, self)
        self._intrinsics = Intrinsics(shell, self)
        self._named: Mapping[str, Run] = {
            **self._intrinsics.commands,
            **self._helpers.commands,
        }

    def run(self, node: Node) -> Status:
        """Run a command of the script."""
        shell = self._shell
        if node.type == "unset_command":
            return self._intrinsics.unset(node)
        if node.type == "declaration_command":
            return self._intrinsics.declare(node)
        nodes, assignments = words_of(node), assignments_of(node)
        if not nodes:
            statuses = [shell.assign(each) for each in assignments]
            return statuses[-1] if statuses else True
        if are_misread([*assignments, *nodes]):
            return self._misread(node, assignments)
        words = shell.words.all(nodes)
        reads, writes = shell.redirections.console(node.children)
        before = shell.state.copy()
        names = [text_of(each.children[0]) for each in assignments]
        for each in assignments:
            shell.assign(each, export=True)
        with shell.redirected(reads=reads, writes=writes):
            status = self.dispatch(words, node)
        for name in names:
            kept = words and words[0].text in _KEEPING  # by some shells
            shell.state.assign(name, UNKNOWN if kept else before.value(name))
            if name not in before.exported:
                shell.state.exported.discard(name)
        return status

    def dispatch(self, words: Sequence[Word], node: Node, *, functions: bool = True) -> Status:
        """Run the command that these words are.

        Args:
            words: Its name and its arguments.
            node: Where it is written.
            functions: Whether the name may be that of a function.
        """
        shell = self._shell
        name = words[0].text if words else ""
        if not name:
            return self.computed(words, node)
        if functions and name in shell.state.functions:
            return shell.call_function(words, node)
        tool = basename(name)
        if "/" in name and shell.file(name) is not None:
            return self._launching.run_file(words, node)
        run = self._named.get(tool if tool.startswith("lava-") else name)
        if run is not None:
            return run(words[1:], node)
        if tool in SHELLS:
            return self._launching.run_shell(words, node)
        if tool in WRAPPERS:
            return self._launching.wrapped(words, node)
        if "/" in name:
            return self._launching.run_file(words, node)
        return self.ordinary(words, node)

    def _misread(self, node: Node, assignments: Sequence[Node]) -> Status:
        """A command whose words are not those that the grammar tells."""
        for each in assignments:
            self._shell.state.assign(text_of(each.children[0]), UNKNOWN)
        is_harmless = bool(assignments) or name_of(node) in {*QUIET, *TOOLS}
        if is_harmless and not names_call(text_of(node)):
            self._shell.note(node)
        else:
            reason = f"`{short(node)}` is no shell that can be read"
            self._shell.obscure(node, reason, "unparsed")
        return None

    def ordinary(self, words: Sequence[Word], node: Node) -> Status:
        """Run a command that is not looked into; given a call as an argument, it may make it."""
        name = basename(words[0].text or "")
        for target in written_by(name, [word.text for word in words[1:]]):
            self._shell.wrote(target)
        if runs_language(name):
            return self._launching.interpreted(words, node)
        if name not in QUIET and names_call(str(spaced(words[1:]))):
            self._shell.obscure(node, f"`{name}` may make the call that it is given")
        else:
            unknown = name not in TOOLS and not name.startswith("lava-")
            self._shell.note(node, unknown=unknown, report=words if name in REPORTS else ())
        return None

    def computed(self, words: Sequence[Word], node: Node) -> Status:
        """Run a command whose name only the run knows."""
        name = words[0] if words else UNKNOWN
        known = [part for part in name.parts if part]
        may_be_call = known and any(name.may_be(helper) for helper in CALLS)
        is_file = any("/" in part or part in SHELLS for part in known)
        if may_be_call or is_file or names_call(str(spaced(words))):
            self._shell.obscure(node, f"only the run knows what `{short(node)}` runs")
        else:
            self._shell.note(node, unknown=True)
        return None

    def missing(self, words: Sequence[Word], node: Node) -> Status:
        """Run a file that nobody can read."""
        what = short(node) if words[0].text is None else str(words[0])
        self._shell.obscure(node, f"`{what}` is not among the files of the test")
        return None

    def run_text(self, words: Sequence[Word], node: Node) -> Status:
        """Run words as a line of shell, as `eval` does."""
        text = spaced(words).text
        if text is None:
            self._shell.state.forget()
            return self.computed([spaced(words)], node)
        if self._shell.too_deep(node):
            return None
        return self._shell.text(Script.of_text(text, self._shell.where(node)))

    def printed(self, node: Node) -> Word | None:
        """What a command prints, None unless it is one that only prints and is known to."""
        nodes = words_of(node) if node.type == "command" else []
        if not nodes or assignments_of(node):
            return None
        words = self._shell.words.all(nodes)
        if not words or words[0].text in self._shell.state.functions:
            return None
        return printed(words, self._shell.around)

    def is_looked_into(self, name: str) -> bool:
        """Whether it is known what a command of this name does, so that it can be run."""
        tool = basename(name)
        is_known = tool in SHELLS or tool in WRAPPERS or tool in self._named
        return is_known or runs_language(tool) or name.startswith(("./", "../"))

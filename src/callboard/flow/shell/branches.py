"""Statements of which the run takes one way: chains, `if`, `case`, and tests in brackets."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen
from tree_sitter import Node

from callboard.flow.program import UNKNOWN, Word
from callboard.flow.shell.conditions import decide, matches, opposite
from callboard.flow.shell.course import Body
from callboard.flow.shell.state import Status
from callboard.flow.shell.syntax import body_of, chain, parts, text_of, texts

if TYPE_CHECKING:
    from callboard.flow.shell.interpreter import Interpreter, Statement


@frozen
class Link:
    """A command of a chain: the operator before it, where it is written, and what runs it."""

    operator: str
    node: Node
    run: Callable[[Node], Status]


class Branches:
    """Runs statements that have several ways.

    Args:
        shell: The shell that runs them.

    Attributes:
        statements: What runs each kind of node.
    """

    def __init__(self, shell: "Interpreter") -> None:
        self._shell = shell
        self.statements: Mapping[str, Statement] = {
            "list": self._list,
            "negated_command": self._negated,
            "test_command": self._test,
            "if_statement": self._if,
            "case_statement": self._case,
        }

    def run(self, links: Sequence[Link]) -> Status:
        """Run a chain of `&&` and `||`."""
        first, *others = links
        mark = self._shell.mark
        with self._shell.guard() if others else contextlib.nullcontext():
            status = first.run(first.node)
        return self._behind(mark, status, others, text_of(first.node))

    def _behind(self, mark: int, status: Status, others: Sequence[Link], condition: str) -> Status:
        """What stands behind a command in a chain, which may have been a call that fails."""
        passed = partial(self._follow, status, others, condition)
        if not others or status is None or self._shell.state.dead:
            return passed()
        failed = partial(self._known, not status, others, condition)
        return self._shell.unless(mark, failed, passed)

    def _follow(self, status: Status, others: Sequence[Link], condition: str) -> Status:
        """What stands behind a command in a chain; each way goes on by itself.

        Args:
            status: Of the command.
            others: What stands behind it.
            condition: Its text.
        """
        while others and not self._shell.state.dead:
            if status is None:
                ways = [partial(self._known, known, others, condition) for known in (True, False)]
                return self._shell.choose(others[0].node, condition, ways)
            link, *others = others
            if status is (link.operator == "&&"):
                mark = self._shell.mark
                with self._shell.guard() if others else contextlib.nullcontext():
                    status = link.run(link.node)
                return self._behind(mark, status, others, text_of(link.node))
        return status

    def _known(self, status: bool, others: Sequence[Link], condition: str) -> Status:
        """The way that is taken if the command before has this status."""
        self._shell.state.last = status
        return self._follow(status, others, condition)

    def _list(self, node: Node) -> Status:
        return self.run([Link(each, other, self._shell.statement) for each, other in chain(node)])

    def _negated(self, node: Node) -> Status:
        with self._shell.guard():
            status = self._shell.statement(node.named_children[0])
        return opposite(status)

    def _test(self, node: Node) -> Status:
        if text_of(node).startswith("(("):
            return self._shell.compute(node)
        double = text_of(node).startswith("[[")
        found = decide(self._double(node) if double else self._single(node), patterns=double)
        self._shell.note(node)
        return self._shell.ended(node, found)

    def _single(self, node: Node) -> list[Word]:
        """The words of `[ ]`."""
        return self._shell.words.all(list(parts(node)))[1:-1]

    def _double(self, node: Node) -> list[Word]:
        """The words of `[[ ]]`, which are never divided; a pattern is what `==` compares with."""
        found: list[Word] = []
        for part in parts(node):
            pattern = bool(found) and found[-1].text in {"=", "==", "!="}
            expanded = self._shell.words
            found.append(expanded.pattern(part) if pattern else expanded.word(part))
        return found[1:-1]

    def _if(self, node: Node) -> Status:
        return self._branch(node.children)

    def _branch(self, clause: Sequence[Node]) -> Status:
        """An `if` or `elif` with all that follows it up to `fi`."""
        shell = self._shell
        then = next((n for n, each in enumerate(clause) if each.type == "then"), len(clause))
        rest = next(
            (n for n, each in enumerate(clause) if each.type in {"elif_clause", "else_clause"}),
            len(clause),
        )
        head, body, others = clause[1:then], clause[then + 1 : rest], clause[rest:]
        mark = shell.mark
        with shell.guard():
            status = shell.statements(head)
        shell.state.last = None
        if shell.state.dead:
            return status
        yes, no = partial(shell.statements, body), partial(self._otherwise, others)
        if status is not None:
            ways = (yes, no) if status else (no, yes)
            return shell.unless(mark, ways[1], ways[0])
        return shell.choose(head[0] if head else clause[0], texts(head), [yes, no])

    def _otherwise(self, clauses: Sequence[Node]) -> Status:
        """The clauses behind a condition that does not hold."""
        if not clauses:
            return True
        first, *others = clauses
        if first.type == "elif_clause":
            return self._branch([*first.children, *others])
        return self._shell.statements(first.children[1:])

    def _case(self, node: Node) -> Status:
        if any(each.type in {";&", ";;&"} for item in node.children for each in item.children):
            return self._shell.odd(node)
        value = node.child_by_field_name("value")
        word = self._shell.words.word(value) if value else UNKNOWN
        ways: list[Body] = []
        for item in (each for each in node.children if each.type == "case_item"):
            found = [matches(word, each) for each in self._shell.words.patterns(item)]
            if any(found) or None in found:
                ways.append(partial(self._shell.statements, body_of(item)))
            if any(found):
                break
        else:
            ways.append(lambda: True)
        condition = f"case {text_of(value)}" if value else "case"
        return ways[0]() if len(ways) == 1 else self._shell.choose(node, condition, ways)

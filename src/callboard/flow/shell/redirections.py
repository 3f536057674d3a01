"""Redirections, pipelines and here-documents: what of them still reads and writes the console."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve, frozen
from tree_sitter import Node

from callboard.flow.shell.branches import Link
from callboard.flow.shell.conditions import opposite
from callboard.flow.shell.known import QUIET, SHELLS, names_call
from callboard.flow.shell.state import Status
from callboard.flow.shell.syntax import (
    chain,
    chain_behind,
    document_of,
    documents,
    ends_alone,
    name_of,
    short,
    stages_of,
    text_of,
)

if TYPE_CHECKING:
    from callboard.flow.shell.interpreter import Interpreter, Statement

_CONSOLES = ("/dev/console", "/dev/tty")


class Redirections:
    """Runs statements whose input or output is redirected.

    Args:
        shell: The shell that runs them.

    Attributes:
        statements: What runs each kind of node.
    """

    def __init__(self, shell: "Interpreter") -> None:
        self._shell = shell
        self.statements: Mapping[str, Statement] = {
            "pipeline": self._pipeline,
            "redirected_statement": self._redirected,
        }

    def console(self, nodes: Sequence[Node]) -> tuple[bool, bool]:
        """Whether the console is still read and written after the redirections among `nodes`."""
        ends = [self._ends_at_console(each) for each in nodes if each.type.endswith("redirect")]
        return all(reads for reads, _ in ends), all(writes for _, writes in ends)

    def _pipeline(self, node: Node) -> Status:
        return self._piped(node, [_Stage(each) for each in node.named_children])

    def _piped(self, node: Node, stages: Sequence["_Stage"]) -> Status:
        """Run the stages of a pipeline, of which there may be one."""
        if len(stages) == 1:
            return self._run(stages[0], stages[0].reads, stages[0].writes, self._shell.statement)
        first, *others = stages
        if first.node.type != "negated_command":
            return self._shell.ended(node, self._joined(stages))
        with self._shell.guard():  # the grammar takes the `!` for a part of the first stage
            inner = evolve(first, node=first.node.named_children[0])
            return opposite(self._joined([inner, *others]))

    def _joined(self, stages: Sequence["_Stage"]) -> Status:
        shell = self._shell
        statuses: list[Status] = []
        for number, stage in enumerate(stages):
            heard = all(each.passes_on for each in stages[number + 1 :])
            reads, writes = stage.reads and number == 0, stage.writes and heard
            statuses.append(self._run(stage, reads, writes, self._stage))
        if shell.state.pipefail is False or all(statuses):
            return statuses[-1]
        surely = shell.state.pipefail and False in statuses
        return False if surely or statuses[-1] is False else None

    def _run(self, stage: "_Stage", reads: bool, writes: bool, run: "Statement") -> Status:
        with self._shell.redirected(reads=reads, writes=writes):
            return run(stage.node)

    def _stage(self, node: Node) -> Status:
        return self._shell.subshell("pipe", partial(self._shell.statement, node))

    def _redirected(self, node: Node) -> Status:
        """A statement with redirections; of a chain, the grammar has them around the whole."""
        body = node.child_by_field_name("body")
        if body is None:
            self.console(node.children)
            return True
        *before, (operator, last) = chain(body) if body.type == "list" else [("", body)]
        behind = [each for heredoc in documents(node) for each in chain_behind(heredoc)]
        links = [
            *(Link(each, other, self._shell.statement) for each, other in before),
            Link(operator, last, partial(self._last, node)),
            *(Link(each, other, self._shell.statement) for each, other in behind),
        ]
        return self._shell.branches.run(links)

    def _last(self, node: Node, body: Node) -> Status:
        """What the redirections of a node are meant for."""
        shell = self._shell
        reads, writes = self.console(node.children)
        if body.type == "command" and text_of(body) == "exec":
            shell.state.reads_console &= reads
            shell.state.writes_console &= writes
            return True
        here = documents(node)
        for heredoc in here:
            self._expand(heredoc)
        *before, last = body.named_children if body.type == "pipeline" else [body]
        heard = {*QUIET, *SHELLS}  # shells run what they read as a script
        if any(names_call(document_of(each)) for each in here) and name_of(last) not in heard:
            shell.obscure(node, f"`{short(last)}` may run what it reads")
        behind = [each for heredoc in here for each in stages_of(heredoc)]
        stages = [*map(_Stage, before), _Stage(last, reads, writes), *map(_Stage, behind)]
        return self._piped(node, stages)

    def _expand(self, heredoc: Node) -> None:
        """Run what is substituted in a here-document."""
        if not ends_alone(heredoc, self._shell.script.text):
            reason = "the here-document does not end where it seems to"
            self._shell.obscure(heredoc, reason, "unparsed")
        for body in heredoc.children:
            for child in body.children if body.type == "heredoc_body" else ():
                if child.is_named:
                    self._shell.words.word(child)

    def _ends_at_console(self, redirect: Node) -> tuple[bool, bool]:
        """Whether input still comes from, and output still goes to, the console."""
        if redirect.type in {"heredoc_redirect", "herestring_redirect"}:
            inner = [each for each in redirect.children if each.type == "file_redirect"]
            writes = all(self._ends_at_console(each)[1] for each in inner)
            return False, writes
        descriptor = next(
            (text_of(c) for c in redirect.children if c.type == "file_descriptor"), ""
        )
        operator = next((text_of(c) for c in redirect.children if not c.is_named), "")
        destination = redirect.child_by_field_name("destination")
        target = self._shell.words.word(destination).text if destination else None
        console = target is not None and target.startswith(_CONSOLES)
        if operator.startswith("<"):
            return descriptor not in {"", "0"} or console, True
        if operator == ">&" and target is not None and (target.isdigit() or target == "-"):
            return True, target in {"1", "2"} or descriptor not in {"", "1"}
        if target is not None and not console:
            self._shell.wrote(target)
        both = operator.startswith("&>")
        return True, console or (not both and descriptor not in {"", "1"})


@frozen
class _Stage:
    """A stage of a pipeline, and whether its own redirections leave it the console."""

    node: Node
    reads: bool = True
    writes: bool = True

    @property
    def passes_on(self) -> bool:
        """Whether it prints what it reads, each line as soon as it is there."""
        return self.writes and name_of(self.node) in {"cat", "tee", "ts"}

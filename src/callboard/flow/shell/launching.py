"""Commands that run others: shells, wrappers such as `timeout`, and files of the test."""

import contextlib
import re
from collections.abc import Iterator, Sequence, Set
from functools import partial
from pathlib import Path
from posixpath import basename
from typing import TYPE_CHECKING

from tree_sitter import Node

from callboard.flow.program import UNKNOWN, Word
from callboard.flow.shell.arguments import Arguments
from callboard.flow.shell.known import CALLS, WRAPPERS, Wrapper, names_call
from callboard.flow.shell.script import Script
from callboard.flow.shell.state import Status
from callboard.flow.shell.syntax import document_of, documents, is_quoted
from callboard.flow.shell.words import joined, spaced

if TYPE_CHECKING:
    from callboard.flow.shell.commands import Commands
    from callboard.flow.shell.interpreter import Interpreter

_OPTION = re.compile(r"[-+][a-zA-Z]+|--[a-z-]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_CHANGING = frozenset({"doas", "env", "sudo"})  # give other variables to what they run
_AWAY = frozenset({"nohup", "setsid"})  # take the console from what they run
_FILE = re.compile(r"[\w./-]+\.\w+")


class Launching:
    """Runs commands that run others.

    Args:
        shell: The shell that they belong to.
        others: Runs what they are given to run.
    """

    def __init__(self, shell: "Interpreter", others: "Commands") -> None:
        self._shell = shell
        self._others = others

    def run_shell(self, words: Sequence[Word], node: Node) -> Status:
        """Run `sh FILE` or `sh -c TEXT`; the options before them may be `-e`."""
        shell = self._shell
        at, errexit, is_text, reads = 1, False, False, False
        while at < len(words) and _OPTION.fullmatch(words[at].text or ""):
            option = words[at].text or ""
            at += 1
            if option.startswith("--"):
                at += option in {"--rcfile", "--init-file"}
                continue
            errexit |= option[0] == "-" and "e" in option
            is_text |= "c" in option
            reads |= "s" in option
            at += option.endswith(("o", "O"))
        if reads or at >= len(words):
            script = self._document(node)
            if script is not None and not shell.too_deep(node):
                arguments = Arguments.of(words[at:], words[0])
                return self._run_script("sh", script, arguments, errexit=errexit)
            if not shell.state.reads_console:
                shell.obscure(node, f"`{words[0]}` runs what it reads")
                return None
            return self._others.ordinary(words, node)
        if not is_text:
            return self.run_file(words[at:], node, errexit=errexit, by_shell=True)
        text = words[at].text
        if text is None:
            return self._others.computed(words, node)
        if shell.too_deep(node):
            return None
        script = Script.of_text(text, shell.where(node))
        arguments = Arguments.of(words[at + 2 :], words[at + 1] if at + 1 < len(words) else UNKNOWN)
        return self._run_script("sh -c", script, arguments, errexit=errexit)

    def wrapped(self, words: Sequence[Word], node: Node) -> Status:
        """Run what a wrapper runs: its own options end where a command begins."""
        name = basename(words[0].text or "")
        at, assigned = _behind_options(words, WRAPPERS[name])
        options, inner = {word.text for word in words[1:at]}, words[at:]
        if name == "command" and options & {"-v", "-V"}:
            self._shell.note(node)
            return None
        if not inner:
            return self._others.ordinary(words, node)
        if (name in {"doas", "sudo"} or "-i" in options) and basename(inner[0].text or "") in CALLS:
            self._shell.obscure(node, f"`{name}` may not find `{inner[0]}`")
            return None
        reads = name not in _AWAY and (name != "timeout" or bool(options & {"--foreground", "-f"}))
        with (
            self._environment(name, options, assigned),
            self._shell.redirected(reads=reads, writes=name != "nohup"),
        ):
            status = self._inner(name, inner, node)
        if name == "exec" and not self._shell.state.dead:
            self._shell.leave("process", node, status)
        is_call = basename(inner[0].text or "") in CALLS
        return None if name == "timeout" and status is True and not is_call else status

    def _inner(self, wrapper: str, words: Sequence[Word], node: Node) -> Status:
        name = words[0].text
        if name is None:
            return self._others.computed(words, node)
        function = wrapper == "time" and name in self._shell.state.functions
        if function or self._others.is_looked_into(name):
            return self._others.dispatch(words, node, functions=function)
        return self._others.ordinary([Word.of(wrapper), *words], node)

    @contextlib.contextmanager
    def _environment(
        self, name: str, options: Set[str | None], assigned: Sequence[Word]
    ) -> Iterator[None]:
        """What is run inside sees other variables than the shell has."""
        changes = name in _CHANGING
        before = self._shell.state.copy()
        if changes and (name != "env" or options):
            self._shell.state.forget()
        for word in assigned:
            self._export(word)
        yield
        if changes:
            state = self._shell.state
            state.variables, state.exported = before.variables, before.exported

    def _export(self, assignment: Word) -> None:
        """`env NAME=value`."""
        first, *others = assignment.parts
        name, _, value = (first or "").partition("=")
        self._shell.state.assign(name, joined(Word((value, *others), assignment.filled)))
        self._shell.state.exported.add(name)

    def run_file(
        self, words: Sequence[Word], node: Node, *, errexit: bool = False, by_shell: bool = False
    ) -> Status:
        """Run a file, by its own interpreter or by a shell that is named before it."""
        shell, name = self._shell, words[0].text
        path = None if name is None else shell.file(name)
        if path is None:
            is_system = name is not None and name.startswith("/") and not by_shell
            if is_system:
                return self._others.ordinary(words, node)
            return self._others.missing(words, node)
        if not (by_shell or shell.test.files.is_shell(path)):
            return self._foreign(path, words, node)
        script = shell.test.files.script(path)
        if script is None:
            shell.obscure(node, f"`{words[0]}` can't be read as a script")
            return None
        if shell.too_deep(node):
            return None
        first = script.text.partition("\n")[0]
        errexit |= first.startswith("#!") and re.search(r"\s-\w*e", first) is not None
        arguments = Arguments.of(words[1:], words[0])
        return self._run_script(name or "", script, arguments, errexit=errexit)

    def interpreted(self, words: Sequence[Word], node: Node) -> Status:
        """Run a script in another language: `python3 FILE`, or `python3 -m MODULE`."""
        at = next((at for at, word in enumerate(words) if at and not str(word).startswith("-")), 0)
        name = words[at].text if at else None
        is_module = str(words[at - 1]) == "-m" if at else False
        if name and is_module:
            name = f"{name.replace('.', '/')}.py"
        path = self._shell.file(name) if name else None
        if path is not None:
            return self._foreign(path, [Word.of(name or ""), *words[2:]], node)
        # modules that are no files of the test, such as `http.server`, are installed
        if name and not is_module and not name.startswith("/") and _FILE.fullmatch(name):
            return self._others.missing([Word.of(name)], node)
        if names_call(str(spaced(words[1:]))):
            self._shell.obscure(node, f"`{words[0]}` may make the call that it is given")
        else:
            self._shell.note(node, unknown=True)
        return None

    def _document(self, node: Node) -> Script | None:
        """The here-document that a command reads; None unless it is known to the letter."""
        found = documents(node.parent) if node.parent is not None else []
        text = "".join(map(document_of, found))
        if len(found) != 1 or (re.search(r"[$`\\]", text) and not is_quoted(found[0])):
            return None
        return Script.of_text(text.removesuffix("\n"), self._shell.where(node))

    def _run_script(
        self, title: str, script: Script, arguments: Arguments, *, errexit: bool
    ) -> Status:
        body = partial(self._shell.text, script)
        return self._shell.process(title, body, arguments, errexit=errexit)

    def _foreign(self, path: Path, words: Sequence[Word], node: Node) -> Status:
        """A program that is no shell script: one that names no helper calls none."""
        if self._shell.test.files.names_call(path):
            self._shell.obscure(node, f"`{words[0]}` makes calls, and is no shell script")
        else:
            self._shell.note(node, unknown=True)
        return None


def _behind_options(words: Sequence[Word], wrapper: Wrapper) -> tuple[int, list[Word]]:
    """Where the command of a wrapper begins, and the assignments before it."""
    at, operands, assigned = 1, wrapper.operands, list[Word]()
    while at < len(words):
        text = str(words[at])
        if text in wrapper.valued:
            at += 1
        elif wrapper.assigns and _ASSIGNMENT.match(text):
            assigned.append(words[at])
        elif text == "--" or not text.startswith("-"):
            if text != "--" and operands == 0:
                break
            operands -= text != "--"
        at += 1
    return min(at, len(words)), assigned

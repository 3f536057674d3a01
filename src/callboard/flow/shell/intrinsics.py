"""The commands that are part of the shell itself."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING

from tree_sitter import Node

from callboard.flow.program import UNKNOWN, Join, Word
from callboard.flow.shell.arguments import Arguments
from callboard.flow.shell.conditions import decide
from callboard.flow.shell.items import may_call
from callboard.flow.shell.known import names_call
from callboard.flow.shell.script import Script
from callboard.flow.shell.state import Status, Trap
from callboard.flow.shell.syntax import short, text_of
from callboard.flow.shell.words import spaced

if TYPE_CHECKING:
    from callboard.flow.shell.commands import Commands, Run
    from callboard.flow.shell.interpreter import Interpreter

_BORDERS = frozenset({"process", "function"})  # shells differ in whether a loop is left there
_OPTIONS = re.compile(r"[-+][a-zA-Z]+")


class Intrinsics:
    """Runs what the shell does itself.

    Args:
        shell: The shell that they belong to.
        others: Runs what they are given to run.

    Attributes:
        commands: What runs each of them.
    """

    def __init__(self, shell: "Interpreter", others: "Commands") -> None:
        self._shell = shell
        self._others = others
        self.commands: Mapping[str, Run] = {
            ":": self._true,
            "true": self._true,
            "false": self._false,
            "test": self._test,
            "[": self._test,
            "cd": self._cd,
            "set": self._set,
            "shift": self._shift,
            "read": self._read,
            "getopts": self._read,
            "let": self._read,
            "mapfile": self._read,
            "readarray": self._read,
            "exit": self._exit,
            "return": self._return,
            "break": partial(self._turned, "loop"),
            "continue": partial(self._turned, "turn"),
            "wait": self._wait,
            "eval": self._eval,
            "trap": self._trap,
            "alias": self._alias,
            "printf": self._printf,
            "pushd": self._cd,
            "popd": self._popd,
            ".": self._source,
            "source": self._source,
            "kill": self._kill,
            "xargs": self._xargs,
        }

    def unset(self, node: Node) -> Status:
        """Run `unset`."""
        for each in node.named_children:
            name = text_of(each)
            self._shell.state.assign(name, Word.of(""))
            self._shell.state.functions.pop(name, None)
        return True

    def declare(self, node: Node) -> Status:
        """Run `export`, `local`, `readonly` and so on."""
        shell, kind = self._shell, text_of(node.children[0])
        options = {text_of(each) for each in node.named_children if each.type == "word"}
        is_plain = options <= {"-x", "-r", "-g", "-p"}
        for each in node.named_children:
            name = text_of(each.child_by_field_name("name") or each)
            if not re.fullmatch(r"\w+", name):
                continue
            if kind not in {"export", "readonly"} and "-g" not in options:
                shell.state.locals.setdefault(name, shell.state.value(name))
                if each.type == "variable_name":
                    shell.state.assign(name, UNKNOWN)
            if each.type == "variable_assignment":
                shell.assign(each)
            if not is_plain:
                shell.state.assign(name, UNKNOWN)
            if kind == "export" and is_plain:
                shell.state.exported.add(name)
        return True

    def _true(self, _words: Sequence[Word], _node: Node) -> Status:
        return True

    def _false(self, _words: Sequence[Word], _node: Node) -> Status:
        return False

    def _test(self, words: Sequence[Word], node: Node) -> Status:
        self._shell.note(node)
        bracket = bool(words) and words[-1].text == "]" and text_of(node).startswith("[")
        return decide(words[:-1] if bracket else words)

    def _cd(self, words: Sequence[Word], _node: Node) -> Status:
        shell, state = self._shell, self._shell.state
        target = words[-1].text if words else None
        if not target or target.startswith(("/", "-", "+")) or state.folder is None:
            state.folder = None
            return None
        folder = PurePosixPath(normpath(state.folder / target))
        state.folder = None if ".." in folder.parts else folder
        there = state.folder is not None and shell.test.files.has_folder(state.folder)
        return True if there else None

    def _popd(self, _words: Sequence[Word], _node: Node) -> Status:
        self._shell.state.folder = None
        return None

    def _set(self, words: Sequence[Word], _node: Node) -> Status:
        state, at = self._shell.state, 0
        while at < len(words):
            text = words[at].text
            if text is None or not _OPTIONS.fullmatch(text):
                break
            at += 1
            on = text[0] == "-"
            if "e" in text:
                state.errexit = on
            if "o" in text and at < len(words):
                option, at = words[at].text, at + 1
                state.errexit = on if option == "errexit" else state.errexit
                state.pipefail = on if option == "pipefail" else state.pipefail
        if at < len(words):
            start = at + (words[at].text in {"--", "-"})
            state.arguments = Arguments.of(words[start:], state.arguments.name)
        return True

    def _shift(self, words: Sequence[Word], _node: Node) -> Status:
        state = self._shell.state
        count = (words[0].text or "") if words else "1"
        known = re.fullmatch("[0-9]{1,4}", count)
        unknown = Arguments(more=True, name=state.arguments.name)
        if known and not state.arguments.more and int(count) > len(state.arguments.words):
            return False
        state.arguments = state.arguments.without(int(count)) if known else unknown
        return None if state.arguments.more else True

    def _read(self, words: Sequence[Word], node: Node) -> Status:
        """`read`, `getopts` and others, which assign the variables that they are given."""
        self._shell.note(node)
        for word in words:
            for name in re.findall(r"[A-Za-z_]\w*", word.text or ""):
                self._shell.state.assign(name, UNKNOWN)
        for name in ("REPLY", "OPTARG", "OPTIND", "MAPFILE"):
            self._shell.state.assign(name, UNKNOWN)
        return None

    def _printf(self, words: Sequence[Word], node: Node) -> Status:
        if len(words) > 1 and words[0].text == "-v":
            return self._read(words[1:2], node)
        return self._others.ordinary([Word.of("printf"), *words], node)

    def _exit(self, words: Sequence[Word], node: Node) -> Status:
        status = self._status(words, node)
        self._shell.leave("process", node, status, failed=status is False)
        return status

    def _return(self, words: Sequence[Word], node: Node) -> Status:
        status = self._status(words, node)
        self._shell.leave("function", node, status, failed=status is False)
        return status

    def _status(self, words: Sequence[Word], node: Node) -> Status:
        """The status that `exit` and `return` are given, or else that of the command before."""
        text = words[0].text if words else None
        if text is None:
            return self._shell.state.last if not words or "$?" in text_of(node) else None
        return int(text) % 256 == 0 if re.fullmatch("[0-9]{1,9}", text) else False

    def _turned(self, kind: str, words: Sequence[Word], node: Node) -> Status:
        """`break` and `continue`; what they do in a subshell of the loop differs."""
        shell = self._shell
        depth, around = shell.depth_of(kind, _BORDERS), shell.depth_of(kind, frozenset())
        text = words[0].text if words else "1"
        count = int(text) if text and re.fullmatch("[1-9][0-9]{0,3}", text) else None
        if count is None or (count > depth and around > depth):
            reason = f"it is not known which loop `{short(node)}` means"
            shell.obscure(node, reason, "unparsed")
        if not depth:
            return True
        count = count or 1
        shell.leave(kind, node, True, count=min(count, depth))
        return True

    def _wait(self, words: Sequence[Word], node: Node) -> Status:
        """Wait for what is in the background: for all of it, if there is just one job."""
        shell, state = self._shell, self._shell.state
        if not state.jobs:
            shell.note(node)
            return True if not words else None
        join = partial(self._join, node)
        if state.strays or (words and state.jobs > 1):
            shell.choose(node, short(node), [join, partial(shell.note, node)])
        else:
            join()
        state = shell.state
        if not words:
            state.jobs = 0
        return None if words else True

    def _join(self, node: Node) -> Status:
        self._shell.add(Join(self._shell.where(node)))
        return True

    def _eval(self, words: Sequence[Word], node: Node) -> Status:
        return self._others.run_text(words, node) if words else True

    def _trap(self, words: Sequence[Word], node: Node) -> Status:
        """`trap ACTION SIGNAL...`: at the end of the shell the action is run."""
        shell = self._shell
        if len(words) < 2 or words[0].text in {"-l", "-p"}:
            return True
        action, *signals = words[words[0].text == "--" :]
        nothing = action.text in {"-", ""}
        if any(signal.text in {"EXIT", "0", "exit"} for signal in signals):
            shell.state.trap = None if nothing else Trap(action, shell.where(node))
        others = [each for each in signals if each.text not in {"EXIT", "0", "exit"}]
        if others and not nothing and self._would_call(action, node):
            shell.obscure(node, f"`{short(node)}` makes its call some time later")
        return True

    def _would_call(self, action: Word, node: Node) -> bool:
        if action.text is None:
            return names_call(str(action))
        script = Script.of_text(action.text, self._shell.where(node))
        return may_call(self._shell.attempt(partial(self._shell.text, script)).items)

    def _alias(self, words: Sequence[Word], node: Node) -> Status:
        if names_call(str(spaced(words))):
            self._shell.obscure(node, f"shells differ in whether `{short(node)}` has an effect")
        return True

    def _source(self, words: Sequence[Word], node: Node) -> Status:
        shell = self._shell
        if not words:
            return True
        name = words[0].text
        path = None if name is None else shell.file(name)
        script = None if path is None else shell.test.files.script(path)
        if script is None:
            shell.state.strange = True
            shell.state.forget()
            return self._others.missing(words, node)
        if shell.too_deep(node):
            return None
        before = shell.state.arguments
        if len(words) > 1:
            shell.state.arguments = Arguments.of(words[1:], before.name)
        body = partial(shell.text, script)
        status = shell.scope({"function"}, name or "", body)
        if len(words) > 1:
            shell.state.arguments = before
        return status

    def _kill(self, words: Sequence[Word], node: Node) -> Status:
        """A shell that kills itself ends; any other kill is an ordinary command."""
        if re.search(r"\s\$\$$", text_of(node)):
            self._shell.leave("process", node, False, failed=True)
            return False
        self._shell.state.strays |= self._shell.state.jobs > 0  # what is killed ends by itself
        return self._others.ordinary([Word.of("kill"), *words], node)

    def _xargs(self, words: Sequence[Word], node: Node) -> Status:
        return self._others.ordinary([Word.of("xargs"), *words], node)

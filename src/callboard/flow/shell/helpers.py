"""The helpers of LAVA's test shell that make calls, run commands, or end the job."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tree_sitter import Node

from callboard.events import CallName
from callboard.flow.program import Call, Refused, Word
from callboard.flow.shell.arguments import Arguments
from callboard.flow.shell.items import reported
from callboard.flow.shell.known import CALLS
from callboard.flow.shell.state import Status

if TYPE_CHECKING:
    from callboard.flow.shell.commands import Commands, Run
    from callboard.flow.shell.interpreter import Interpreter


class Helpers:
    """Runs helpers.

    Args:
        shell: The shell that they belong to.
        others: Runs what helpers are given to run.

    Attributes:
        commands: What runs each helper.
    """

    def __init__(self, shell: "Interpreter", others: "Commands") -> None:
        self._shell = shell
        self._others = others
        self.commands: Mapping[str, Run] = {
            **{helper: partial(self._call, helper, name) for helper, name in CALLS.items()},
            "lava-test-case": self._test_case,
            "lava-test-raise": self._raise,
            "lava-background-process-start": self._start_process,
        }

    def _call(self, helper: str, name: CallName, words: Sequence[Word], node: Node) -> Status:
        shell = self._shell
        if not shell.state.writes_console:
            shell.obscure(
                node, f"`{helper}` prints its call elsewhere than on the console", "console"
            )
            return True
        if name != "send" and not shell.state.reads_console:
            shell.obscure(node, f"`{helper}` can't read its answer from the console", "console")
            return True
        words = [Word(word.parts, word.filled) for word in words]
        identity = words[0] if words else Word.of("")
        role = words[1] if name == "wait-all" and len(words) > 1 and words[1].text != "" else None
        refused, reason = self._refusal(name, identity, role, words[1:])
        call = Call(
            name,
            identity,
            shell.where(node),
            shell.test.suite,
            role=role,
            data=tuple(_pairs(words[1:])) if name == "send" else (),
            limit_s=None if name == "send" else shell.around.limit_s,
            inside=shell.inside,
            refused=refused,
            reason=reason,
            surplus=_surplus(name, words),
            ends=shell.ends,
        )
        shell.add(call)
        if refused is None:
            self._signalled(node)
        return refused is None

    def _signalled(self, node: Node) -> None:
        """A signal has been sent to LAVA, which ends the job if no definition is running."""
        if self._shell.outside:
            self._shell.end(node)
        elif self._shell.outside is None:
            self._shell.may_end(node)

    def _refusal(
        self, name: CallName, identity: Word, role: Word | None, words: Sequence[Word]
    ) -> tuple[Refused | None, str | None]:
        """Why a helper fails at once, as the helpers check what they are given."""
        wrong = _wrong("the message ID", identity)
        if wrong is None and name == "send" and identity.text and "=" in identity.text:
            wrong = f"the message ID `{identity}` has a `=`; the ID comes first, then KEY=VALUE"
        if wrong is not None:
            return "id", wrong
        if name == "send":
            for key, value in _pairs(words):
                if not key:
                    return "key", f"the word `={value}` has no key before its `=`"
                if not re.fullmatch(r"\w+", key, re.ASCII):
                    return "key", f"the key `{key}` may only have letters, digits and `_`"
                if value.text and ">" in value.text:
                    return "key", f"the value of `{key}` has a `>`, which would end the signal"
        if role is not None and role.text is not None:
            counts = self._shell.around.counts
            if role.text not in counts:
                return "role", f"there is no role `{role}`"
            if not counts[role.text]:
                return "role", f"role `{role}` has no nodes"
        return None, None

    def _test_case(self, words: Sequence[Word], node: Node) -> Status:
        """`lava-test-case ID --shell ...` runs a command and succeeds whatever it does."""
        self._signalled(node)
        if self._shell.state.dead:
            return False
        if len(words) < 3 or words[1].text != "--shell":
            self._shell.note(node, report=(Word.of("lava-test-case"), *words))
            return True
        with self._shell.collected() as items, self._shell.within("lava-test-case"):
            status = self._run(words[2:], node)
        self._shell.add_all(reported(items, words[0], fails=status is False))
        return True

    def _start_process(self, words: Sequence[Word], node: Node) -> Status:
        if len(words) < 3 or words[1].text != "--cmd":
            self._shell.note(node)
            return True
        with self._shell.within("lava-background-process-start"):
            self._shell.background(node, partial(self._run, words[2:], node), job=False)
        return True

    def _run(self, words: Sequence[Word], node: Node) -> Status:
        """What a helper runs, which sees what is exported; one word is a line of shell."""
        run = self._others.run_text if len(words) == 1 else self._others.dispatch
        unknown = Arguments(more=True)
        return self._shell.process("--shell", partial(run, words, node), unknown)

    def _raise(self, _words: Sequence[Word], node: Node) -> Status:
        self._shell.end(node)
        return False


def _surplus(name: CallName, words: Sequence[Word]) -> tuple[str, ...]:
    """The words that a helper has no use for: it takes an ID, a wait-all a role too."""
    if name == "send":
        return ()
    return tuple(map(str, words[2 if name == "wait-all" else 1 :]))


def _pairs(words: Sequence[Word]) -> list[tuple[str, Word]]:
    """The data of a send; what is no KEY=VALUE is not sent."""
    found: list[tuple[str, Word]] = []
    for word in words:
        first = word.parts[0] if word.parts else None
        key, equals, start = (first or "").partition("=")
        if equals:
            found.append((key, Word((start, *word.parts[1:]), word.filled)))
    return found


def _wrong(what: str, word: Word) -> str | None:
    """What a helper has against a word of a signal; None when that is not known to be so."""
    text = word.text
    if text == "":
        return f"{what} is missing"
    if text is not None and re.search(r"\s", text):
        return f"{what} `{text}` has white space"
    if text is not None and ">" in text:
        return f"{what} `{text}` has a `>`, which would end the signal"
    return None

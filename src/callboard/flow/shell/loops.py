"""Loops: turn by turn as long as it is known how they go on, and as a whole after that."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tree_sitter import Node

from callboard.flow.program import UNKNOWN, Choice, Item, Loop, Word, walk
from callboard.flow.shell.arguments import Several
from callboard.flow.shell.course import Body, Way
from callboard.flow.shell.items import escapes, is_unknown, leaves, matters, may_call
from callboard.flow.shell.state import Status, merged
from callboard.flow.shell.syntax import assigned, short, text_of, texts

if TYPE_CHECKING:
    from callboard.flow.shell.interpreter import Interpreter, Statement

_MOST_TURNS = 1_000


class Loops:
    """Runs loops.

    Args:
        shell: The shell that runs them.

    Attributes:
        statements: What runs each kind of node.
    """

    def __init__(self, shell: "Interpreter") -> None:
        self._shell = shell
        self.statements: Mapping[str, Statement] = {
            "for_statement": self._for,
            "c_style_for_statement": self._count,
            "while_statement": self._while,
        }

    def _for(self, node: Node) -> Status:
        shell = self._shell
        name = node.child_by_field_name("variable")
        body = node.child_by_field_name("body")
        if name is None or body is None:
            return shell.odd(node)
        variable = text_of(name)
        values = node.children_by_field_name("value")
        words = self._values(node, values)
        known = len(words) <= _MOST_TURNS and not any(isinstance(each, Several) for each in words)
        asks = node.children[0].type == "select"
        if known and not asks:
            return shell.scope({"loop"}, "for", partial(self._turns, variable, words, body))
        surely = len(words) == 1 and words[0].filled and not asks
        word = Word((None,), filled=True)

        def turn() -> Status:
            shell.state.assign(variable, word)
            return self._turn(body)

        return self._repeat(node, f"for {variable} in {texts(values)}", turn, surely=surely)

    def _values(self, node: Node, values: Sequence[Node]) -> list[Word]:
        """The words that a `for` goes through."""
        if not values and not any(text_of(each) == "in" for each in node.children):
            return self._shell.state.arguments.fields()
        return self._shell.words.all(values)

    def _turns(self, variable: str, words: Sequence[Word], body: Node) -> Status:
        status: Status = True
        for word in words:
            if self._shell.state.dead:
                break
            self._shell.state.assign(variable, word)
            status = self._turn(body)
        return status

    def _turn(self, body: Node) -> Status:
        return self._shell.scope({"turn"}, "turn", partial(self._shell.statement, body))

    def _count(self, node: Node) -> Status:
        """`for (( ))`: nobody computes how often it turns."""
        body = node.child_by_field_name("body")
        if body is None:
            return self._shell.odd(node)
        return self._repeat(node, short(node), partial(self._turn, body))

    def _while(self, node: Node) -> Status:
        body = node.child_by_field_name("body")
        if body is None:
            return self._shell.odd(node)
        heads = node.children[1 : node.children.index(body)]
        return self._shell.scope({"loop"}, "while", partial(self._rounds, node, heads, body))

    def _rounds(self, node: Node, heads: Sequence[Node], body: Node) -> Status:
        """Turns as long as the condition is known to hold."""
        shell = self._shell
        until = node.children[0].type == "until"
        last: Status = True
        for _ in range(_MOST_TURNS):
            before = shell.state.copy()
            with shell.guard():
                status = shell.statements(heads)
            if shell.state.dead:
                return status
            if status is None:
                return last if self._unknown_rounds(node, heads, body) is last else None
            if status is until:
                return last
            with shell.collected() as items:
                last = self._turn(body)
            shell.add_all(items)
            if shell.state.dead:
                return None
            if shell.state == before:
                self._go_round(node, items)
                return None
        shell.obscure(node, f"the loop `{short(node)}` has too many turns", "bound")
        shell.state.dead = True
        return None

    def _go_round(self, node: Node, turn: Sequence[Item]) -> None:
        """A loop whose turns are all alike ends when something in it leaves it, or never."""
        shell = self._shell
        if shell.has_exits() or shell.state.strange:
            if any(_stays(each) for each in walk(turn)):
                shell.add(Loop(short(node), shell.where(node), tuple(turn)))
            shell.leave("loop", node, True)
        elif leaves(turn):
            shell.leave("process", node, True)
        else:
            shell.obscure(node, f"the loop `{short(node)}` has no end", "endless")
            shell.state.dead = True

    def _unknown_rounds(self, node: Node, heads: Sequence[Node], body: Node) -> Status:
        shell = self._shell
        condition = texts(heads)

        def turn() -> Status:
            status = self._turn(body)
            if not shell.state.dead:
                with shell.guard():
                    shell.statements(heads)
            return status

        until = node.children[0].type == "until"
        return self._repeat(node, f"until {condition}" if until else condition, turn)

    def _repeat(self, node: Node, condition: str, turn: Body, *, surely: bool = False) -> Status:
        """A loop of which nobody knows how often it turns: what it changes is not known.

        Args:
            node: The loop.
            condition: What it depends on, for messages.
            turn: Runs one turn.
            surely: Whether it turns at least once, and a second turn makes no difference.
        """
        shell = self._shell
        for name in assigned(node):
            shell.state.assign(name, UNKNOWN)
        way = self._settled(partial(shell.scope, {"loop"}, "loop", turn))
        if surely:
            shell.take(way)
            return True
        before = shell.state
        with shell.collected():
            shell.take(way)
        if matters(way.items):
            shell.add(Loop(shell.shown(condition), shell.where(node), tuple(way.items)))
        else:
            shell.note(node, unknown=is_unknown(way.items))
        shell.state = before if way.state.dead else merged([before, way.state])
        return True if way.state.dead or way.status is True else None

    def _settled(self, turn: Body) -> Way:
        """A turn from a state that another turn does not change any more."""
        shell = self._shell
        while True:
            way = shell.attempt(turn)
            after = shell.state if way.state.dead else merged([shell.state, way.state])
            if after == shell.state:
                return way
            shell.state = after


def _stays(item: Item) -> bool:
    """Whether one way of a choice makes calls and goes on in the loop, so that turns differ."""
    if not isinstance(item, Choice):
        return False
    return any(may_call(way) and not escapes(way) for way in item.ways)

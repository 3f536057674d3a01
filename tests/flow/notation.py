"""Items as a line that one can read, for tables of expectations."""

from collections.abc import Iterable, Iterator, Sequence

from callboard.flow.program import (
    INSTALLATION,
    Background,
    Call,
    Choice,
    Command,
    Item,
    Join,
    Leave,
    Loop,
    Scope,
    Unseen,
    walk,
)


def shown(items: Iterable[Item]) -> list[str]:
    """Each item that matters, and each command of which nothing is known.

    | item | is shown as |
    | --- | --- |
    | call | `send a k=v`, behind it `!id` if it is refused for its ID |
    | command of which nothing is known | `?make` |
    | what nobody can read | `<unseen>`, by the kind of reason |
    | choice, loop, scope | `(send a \\| send b)`, `(send a)*`, `{send a}` |
    | leaving one scope, after a failure | `^1`, `^1!` |
    | background, waiting for it | `&(send a)`, `join` |
    """
    return list(_shown(items))


def line(items: Iterable[Item]) -> str:
    """All of them in one line."""
    return "; ".join(shown(items))


def _shown(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        match item:
            case Call():
                yield _call(item)
            case Command(text=text, unknown=True):
                yield f"?{text.split()[0]}"
            case Unseen(obscurity=obscurity):
                yield f"<{obscurity}>"
            case Choice(ways=ways):
                yield f"({' | '.join(map(_way, ways))})"
            case Loop(body=body):
                yield f"({line(body)})*"
            case Scope(items=inner) if _only_tells(item):
                yield from _shown(inner)
            case Scope(items=inner):
                yield f"{{{line(inner)}}}"
            case Leave(levels=levels, failed=failed):
                yield f"^{levels}{'!' if failed else ''}"
            case Background(items=inner):
                yield f"&({line(inner)})"
            case Join():
                yield "join"
            case _:
                pass


def _only_tells(scope: Scope) -> bool:
    """Whether a scope is there for what is told of it, and nothing leaves it."""
    tells = scope.case is not None or scope.title in (INSTALLATION, "unless")
    return tells and not any(isinstance(each, Leave) for each in walk(scope.items))


def _call(call: Call) -> str:
    data = "".join(f" {key}={value}" for key, value in call.data)
    refused = f" !{call.refused}" if call.refused else ""
    return f"{call.written.removeprefix('lava-')}{data}{refused}"


def _way(way: Sequence[Item]) -> str:
    return line(way) or "-"

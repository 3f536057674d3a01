"""Whole numbers as shells compute them."""

import ast
import operator
import re
from collections.abc import Callable, Mapping

_PLAIN = re.compile(r"[\d\s()+*/%<>=!-]{1,200}")
_COMPUTE: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: int(left / right),
    ast.Mod: lambda left, right: left - right * int(left / right),
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_LARGEST = 2**31


def evaluate(text: str) -> int | None:
    """The value of an expression of numbers, None for what is not understood."""
    if not _PLAIN.fullmatch(text) or "**" in text or re.search(r"\b0\d", text):
        return None
    try:
        found = _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, RecursionError, OverflowError):
        return None
    return found if found is None or abs(found) < _LARGEST else None


def _value(node: ast.expr) -> int | None:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _value(operand)
            return None if value is None else -value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _COMPUTE:
            values = _value(left), _value(right)
            if values[0] is None or values[1] is None or max(map(abs, values)) >= _LARGEST:  # type: ignore[arg-type]
                return None
            return _COMPUTE[type(op)](values[0], values[1])
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            values = _value(left), _value(right)
            if values[0] is None or values[1] is None:
                return None
            return int(_COMPARE[type(op)](values[0], values[1]))
        case _:
            return None

"""Set algebra as data: `(regular | lapsed) - unsubscribed`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Operator = Literal["|", "&", "-"]


class Expression:
    """A set, or sets combined: `|` union, `&` intersection, `-` difference.

    Working it out costs as much as the sets it has to go through: both sides of a union, the left one of
    an intersection (put the smaller one there) or difference.
    """

    __slots__ = ()

    def __or__(self, other: "Expression") -> "Combined":
        return Combined("|", self, other)

    def __and__(self, other: "Expression") -> "Combined":
        return Combined("&", self, other)

    def __sub__(self, other: "Expression") -> "Combined":
        return Combined("-", self, other)


@dataclass(frozen=True, slots=True)
class Combined(Expression):
    """Two expressions and what is between them."""

    operator: Operator
    left: Expression
    right: Expression


def compile_expression(
    expression: Expression, key_of: Callable[[Expression], str]
) -> tuple[list[str], list[str], list[int]]:
    """For the script: keys of the sets, the expression in postfix (sets as numbers from 1), and the numbers
    of those sets that between them have every member of the result."""
    keys: list[str] = []
    program: list[str] = []

    def visit(node: Expression) -> list[int]:
        if isinstance(node, Combined):
            left, right = visit(node.left), visit(node.right)
            program.append(node.operator)
            return left + [base for base in right if base not in left] if node.operator == "|" else left
        key = key_of(node)
        if key not in keys:
            keys.append(key)
        number = keys.index(key) + 1
        program.append(str(number))
        return [number]

    bases = visit(expression)
    return keys, program, bases

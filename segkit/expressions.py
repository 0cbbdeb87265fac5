r"""Named expressions over a table's columns, such as ``PURCHASES / PURCHASES_TRX``.

An expression is parsed into Python's syntax tree, and every node is checked against a short list.
None of it is ever executed as Python.

What can be written
    numbers; column names; a name that is not a Python identifier in backticks or as
    ``col("name")``; ``+ - * / **``, unary minus, parentheses; comparisons, which give 0 or 1; and
    the functions ``abs(x)``, ``exp(x)``, ``log(x)``, ``log1p(x)``, ``sqrt(x)``, ``min(a, b)``,
    ``max(a, b)``, ``clip(x, low, high)``, ``where(condition, a, b)`` and ``isnull(x)``.

What has no value
    A missing operand makes the result missing, in comparisons too. There are two exceptions:
    ``isnull``, and the branch that ``where`` does not take. The result is missing as well for
    ``log`` of zero or less, ``log1p`` of -1 or less, ``sqrt`` of less than zero, a negative number
    to a fractional power, and whatever overflows. Division:

    ====================== =======
    expression             value
    ====================== =======
    0 / 0                  0
    x / 0 with x not 0     missing
    missing / anything     missing
    ====================== =======

    So the average purchase of a customer who bought nothing is 0, and an unknown one is imputed.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segkit.errors import UsageError, did_you_mean

# Evaluation recurses, and Python allows about 1,000 levels.
MAX_DEPTH = 100
MAX_LENGTH = 10_000
# The largest float is 1.8e308.
_MOST = 1e308

# A column of shape (n,), or a number that stands in the expression.
Operand = NDArray[np.float64] | np.float64
Function = Callable[..., Any]


def _divide(a: Operand, b: Operand) -> Operand:
    return np.where((a == 0) & (b == 0), 0.0, np.true_divide(a, b))


def _power(a: Operand, b: Operand) -> Operand:
    # In NumPy missing ** 0 and 1 ** missing are 1.
    return np.where(np.isnan(a) | np.isnan(b), np.nan, np.power(a, b))


def _where(condition: Operand, a: Operand, b: Operand) -> Operand:
    return np.where(np.isnan(condition), np.nan, np.where(condition != 0, a, b))


def _clip(x: Operand, low: Operand, high: Operand) -> Operand:
    clipped: Operand = np.minimum(np.maximum(x, low), high)
    return clipped


_OPERATORS: dict[type, Function] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: _divide,
    ast.Pow: _power,
}
_SIGNS: dict[type, Function] = {ast.USub: np.negative, ast.UAdd: np.positive}
_COMPARISONS: dict[type, Function] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
# Each function, and the number of its arguments.
_FUNCTIONS: dict[str, tuple[Function, int]] = {
    "abs": (np.abs, 1),
    "clip": (_clip, 3),
    "exp": (np.exp, 1),
    "isnull": (np.isnan, 1),
    "log": (np.log, 1),
    "log1p": (np.log1p, 1),
    "max": (np.maximum, 2),
    "min": (np.minimum, 2),
    "sqrt": (np.sqrt, 1),
    "where": (_where, 3),
}
# Text in quotes, where a backtick is an ordinary character, or a name in backticks.
_QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|`([^`]*)`""")


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes
    ----------
    text : str
        As it was written.
    columns : tuple of str
        The columns it names, in order of appearance.
    tree : ast.expr
        Its syntax tree.
    """

    text: str
    columns: tuple[str, ...]
    tree: ast.expr

    def evaluate(self, columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Evaluate the expression over columns of equal length.

        Parameters
        ----------
        columns : mapping of str to array of shape (n,)
            float64 values of at least the columns that the expression names; missing and infinite
            values count as missing.

        Returns
        -------
        array of shape (n,)
            float64; finite or nan.
        """
        with np.errstate(all="ignore"):
            return np.asarray(_evaluate(self.tree, columns), dtype=np.float64)


@lru_cache(maxsize=4096)
def parse(text: str, where: str = "expression") -> Expression:
    """Parse an expression and check it as far as that needs no table.

    Parameters
    ----------
    text : str
        The expression.
    where : str
        What to call it in an error.

    Returns
    -------
    Expression

    Raises
    ------
    UsageError
        If it cannot be parsed, uses anything that the module's description does not list, or names
        no column.
    """
    tree = _syntax_tree(text, where)
    names = tuple(dict.fromkeys(_column_names(tree, where)))
    if not names:
        raise UsageError(
            f"{where}: {quoted(text)} names no column, so it is the same for all customers"
        )
    return Expression(text, names, tree)


def _syntax_tree(text: str, where: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise UsageError(f"{where}: at most {MAX_LENGTH} characters are allowed, given {len(text)}")
    source = _QUOTED.sub(_quote_backticks, re.sub(r"[\r\n]", " ", text)).strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, mode="eval").body
        too_deep = _depth(tree) > MAX_DEPTH
    except (SyntaxError, ValueError) as error:
        reason = getattr(error, "msg", None) or str(error)
        raise UsageError(f"{where}: {quoted(text)} cannot be read: {reason:.80}") from None
    except (RecursionError, MemoryError):
        too_deep = True
    if too_deep:
        raise UsageError(
            f"{where}: {quoted(text)} is nested too deeply, at most {MAX_DEPTH} levels are allowed"
        )
    return tree


def _quote_backticks(match: re.Match[str]) -> str:
    text, name = match[1], match[2]
    return text if text is not None else f"col({name!r})"


def _depth(tree: ast.expr) -> int:
    level: list[ast.AST] = [tree]
    depth = 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def _column_names(node: ast.expr, where: str) -> Iterator[str]:
    """Yield the columns' names in order of appearance; refuse every node that is not listed."""
    column = _column(node)
    if column is not None:
        yield column
        return
    for operand in _operands(node, where):
        yield from _column_names(operand, where)


def _column(node: ast.expr) -> str | None:
    """Return the column that a node stands for, or None."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Call(func=ast.Name(id="col"), args=[ast.Constant(value=str(name))], keywords=[]):
            return name
    return None


def _operands(node: ast.expr, where: str) -> list[ast.expr]:
    """Return the nodes that a node is computed from."""
    match node:
        case ast.Constant(value=value):
            _check_number(value, where)
            return []
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return [left, right]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _SIGNS:
            return [operand]
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in _COMPARISONS for op in ops
        ):
            return [left, *others]
        case ast.Call(func=ast.Name(id=name)):
            _check_call(node, name, where)
            return node.args
    raise UsageError(
        f"{where}: {quoted(ast.unparse(node))} is not allowed; only numbers, column names, + - * / "
        f"**, comparisons and the functions {', '.join([*_FUNCTIONS, 'col'])} are"
    )


def _check_number(value: object, where: str) -> None:
    if isinstance(value, str):
        raise UsageError(
            f"{where}: the text {quoted(value)} is not allowed; a column is `name` or col('name')"
        )
    # Python counts True and False as whole numbers.
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not abs(number) < _MOST:
        raise UsageError(f"{where}: {quoted(str(value))} is not a finite number")


def _check_call(node: ast.Call, name: str, where: str) -> None:
    if name == "col":
        raise UsageError(
            f"{where}: col takes one column name in quotes, given {quoted(ast.unparse(node))}"
        )
    if name not in _FUNCTIONS:
        allowed = [*_FUNCTIONS, "col"]
        raise UsageError(
            f"{where}: there is no function '{name}'{did_you_mean(name, allowed)} (functions: "
            f"{', '.join(allowed)})"
        )
    count = _FUNCTIONS[name][1]
    if node.keywords or len(node.args) != count:
        arguments = "1 unnamed argument" if count == 1 else f"{count} unnamed arguments"
        raise UsageError(f"{where}: {name} takes {arguments}, given {quoted(ast.unparse(node))}")


def _evaluate(node: ast.expr, columns: Mapping[str, NDArray[np.float64]]) -> Operand:
    match node:
        case ast.Constant(value=int() | float() as number):
            return np.float64(number)
        case ast.Compare():
            return _compare(node, columns)
    column = _column(node)
    if column is not None:
        return _finite(columns[column])
    function, operands = _operation(node)
    return _finite(function(*[_evaluate(operand, columns) for operand in operands]))


def _operation(node: ast.expr) -> tuple[Function, list[ast.expr]]:
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)], [left, right]
        case ast.UnaryOp(op=op, operand=operand):
            return _SIGNS[type(op)], [operand]
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name][0], arguments
    raise TypeError(f"{type(node).__name__}: a node that `parse` refuses")


def _compare(node: ast.Compare, columns: Mapping[str, NDArray[np.float64]]) -> Operand:
    values = [_evaluate(operand, columns) for operand in (node.left, *node.comparators)]
    result: Operand = np.float64(1.0)
    # As in Python, 0 < a < 1 holds where both comparisons do.
    for op, a, b in zip(node.ops, values[:-1], values[1:], strict=True):
        holds = _COMPARISONS[type(op)](a, b)
        result = result * np.where(np.isnan(a) | np.isnan(b), np.nan, holds)
    return result


def _finite(values: Operand) -> Operand:
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def quoted(value: object, width: int = 60) -> str:
    """Return a value as it stands in a message: quoted, on one line, shortened to `width`."""
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."

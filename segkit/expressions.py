r"""Named expressions over a table's columns, such as ``PURCHASES / PURCHASES_TRX``.

An expression is read into Python's syntax tree and every node is checked against a short list;
nothing of it is ever executed as Python.

What can be written
    numbers; column names; a name that is not a Python identifier in backticks or as
    ``col("name")``; ``+ - * / **``, unary minus, parentheses; comparisons, which give 0 or 1; and
    the functions ``abs(x)``, ``exp(x)``, ``log(x)``, ``log1p(x)``, ``sqrt(x)``, ``min(a, b)``,
    ``max(a, b)``, ``clip(x, low, high)``, ``where(condition, a, b)`` and ``isnull(x)``.

What has no value
    A missing operand makes the result missing, in comparisons too; only ``isnull`` and the branch
    that ``where`` leaves out see past it. Missing as well are ``log`` of zero or less, ``log1p`` of
    -1 or less, ``sqrt`` of less than zero, a negative number to a fractional power, and whatever
    overflows. Division:

    ====================== =======
    expression             value
    ====================== =======
    0 / 0                  0
    x / 0 with x not 0     missing
    missing / anything     missing
    ====================== =======

    so that the average purchase of a customer who bought nothing is 0, and one that cannot be told
    is imputed.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from segkit.errors import UsageError, did_you_mean

MAX_DEPTH = 100
MAX_LENGTH = 10_000


def _divide(a, b):
    return np.where((a == 0) & (b == 0), 0.0, np.true_divide(a, b))


def _power(a, b):
    # NumPy says missing ** 0 = 1 and 1 ** missing = 1
    return np.where(np.isnan(a) | np.isnan(b), np.nan, np.power(a, b))


def _where(condition, a, b):
    return np.where(np.isnan(condition), np.nan, np.where(condition != 0, a, b))


def _clip(x, low, high):
    return np.minimum(np.maximum(x, low), high)


_OPERATORS: dict[type, Callable] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: _divide,
    ast.Pow: _power,
}
_SIGNS: dict[type, Callable] = {ast.USub: np.negative, ast.UAdd: np.positive}
_COMPARISONS: dict[type, Callable] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: dict[str, tuple[Callable, int]] = {
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
_QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|`([^`]*)`""")


@dataclass(frozen=True)
class Expression:
    """A checked expression: its text, the columns it names (in order of appearance), and its syntax tree."""

    text: str
    columns: tuple[str, ...]
    tree: ast.expr

    def evaluate(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Evaluate over columns of equal length.

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
    """Read an expression and check all of it that can be checked without a table.

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
        If it cannot be read, uses anything but what the module's description lists, or names no
        column.
    """
    tree = _syntax_tree(text, where)
    names = tuple(dict.fromkeys(_column_names(tree, where)))
    if not names:
        raise UsageError(
            f"{where}: {shown(text)} names no column, so it is the same for all customers"
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
        raise UsageError(f"{where}: {shown(text)} cannot be read: {reason:.80}") from None
    except (RecursionError, MemoryError):
        too_deep = True
    if too_deep:
        raise UsageError(
            f"{where}: {shown(text)} is nested too deeply, at most {MAX_DEPTH} levels are allowed"
        )
    return tree


def _quote_backticks(match: re.Match) -> str:
    return match[1] if match[1] is not None else f"col({match[2]!r})"


def _depth(tree: ast.expr) -> int:
    level, depth = [tree], 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def _column_names(node: ast.expr, where: str) -> Iterator[str]:
    """Give the columns' names in order of appearance; refuse what is not on the lists."""
    if isinstance(node, ast.Name) or _is_column_call(node):
        yield _column(node)
        return
    for child in _operands(node, where):
        yield from _column_names(child, where)


def _operands(node: ast.expr, where: str) -> list[ast.expr]:
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
        f"{where}: {shown(ast.unparse(node))} is not allowed; only numbers, column names, + - * / "
        f"**, comparisons and the functions {', '.join([*_FUNCTIONS, 'col'])} are"
    )


def _check_number(value: object, where: str) -> None:
    if isinstance(value, str):
        raise UsageError(
            f"{where}: the text {shown(value)} is not allowed; a column is `name` or col('name')"
        )
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e308:
        raise UsageError(f"{where}: {shown(str(value))} is not a finite number")


def _check_call(node: ast.Call, name: str, where: str) -> None:
    if name == "col":
        raise UsageError(
            f"{where}: col takes one column name in quotes, given {shown(ast.unparse(node))}"
        )
    if name not in _FUNCTIONS:
        allowed = [*_FUNCTIONS, "col"]
        raise UsageError(
            f"{where}: there is no function '{name}'{did_you_mean(name, allowed)} (functions: "
            f"{', '.join(allowed)})"
        )
    wanted = _FUNCTIONS[name][1]
    if node.keywords or len(node.args) != wanted:
        given = shown(ast.unparse(node))
        raise UsageError(
            f"{where}: {name} takes {wanted} unnamed argument{'s'[: wanted > 1]}, given {given}"
        )


def _is_column_call(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="col"), args=[ast.Constant(value=str())], keywords=[]):
            return True
    return False


def _column(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.args[0].value


def _evaluate(node: ast.expr, columns: Mapping[str, np.ndarray]):
    if isinstance(node, ast.Constant):
        return np.float64(node.value)
    if isinstance(node, ast.Name) or _is_column_call(node):
        return _finite(columns[_column(node)])
    if isinstance(node, ast.Compare):
        return _compare(node, columns)
    function, operands = _operation(node)
    return _finite(function(*[_evaluate(operand, columns) for operand in operands]))


def _operation(node: ast.expr) -> tuple[Callable, list[ast.expr]]:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)], [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return _SIGNS[type(node.op)], [node.operand]
    return _FUNCTIONS[node.func.id][0], node.args


def _compare(node: ast.Compare, columns: Mapping[str, np.ndarray]):
    values = [_evaluate(operand, columns) for operand in (node.left, *node.comparators)]
    result = 1.0
    for op, a, b in zip(node.ops, values[:-1], values[1:], strict=True):
        result = result * np.where(np.isnan(a) | np.isnan(b), np.nan, _COMPARISONS[type(op)](a, b))
    return result


def _finite(values):
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def shown(value: object, width: int = 60) -> str:
    """Show a value in an error: quoted, on one line, shortened to `width` characters."""
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."

"""Settings checked by a schema: a pydantic model says what is allowed, this module reports it.

A field's description completes the sentence ``<path>=<value>: must be ...``. What several fields
have to fulfil together is checked in a validator that raises `UsageError` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from segkit.errors import UsageError, did_you_mean

# What Hydra writes for a value that has to be given.
_MISSING = "???"
# A text of these alone, such as a separator, would be lost among the marks of a message.
_MARKS = " \t\r\n\0:;,|'\""


# A longer value says no more in a message of one line.
_LONGEST = 120


class Settings(BaseModel):
    """Named settings: no others, each of exactly its type.

    Attributes
    ----------
    similar : tuple of str
        Names that are no settings here, but that a misspelt one may mean.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    similar: ClassVar[tuple[str, ...]] = ()


Model = TypeVar("Model", bound=Settings)
T = TypeVar("T")


def must(fits: Callable[[T], bool]) -> Callable[[T], T]:
    """Return a validator that refuses values for which a function is false."""

    def validate(value: T) -> T:
        if not fits(value):
            raise ValueError
        return value

    return validate


def as_tuple(value: Any) -> Any:
    """Return a list as a tuple: YAML has lists only, and frozen settings hold tuples."""
    return tuple(value) if isinstance(value, list) else value


def check(model: type[Model], values: object, path: str = "") -> Model:
    """Check settings and return them as a model.

    Parameters
    ----------
    model
        What is allowed.
    values
        A mapping of plain values.
    path
        The name of the settings as a whole, such as ``engine``; empty at the top.

    Raises
    ------
    UsageError
        For the first unknown name, else the first missing value, else the first wrong one.
    """
    open_path = next(_open_paths(values, path), None)
    settings, error = _validated(model, values)
    if error is not None and (open_path is None or error["type"] == "extra_forbidden"):
        raise UsageError(_message(model, values, path, error))
    if open_path is not None or settings is None:
        raise UsageError(f"{open_path}: is missing")
    return settings


# A wrong name explains a missing value, and a missing one says more than its type.
_ORDER = {"extra_forbidden": 0, "missing": 1}


def _validated(
    model: type[Model], values: object
) -> tuple[Model, None] | tuple[None, ErrorDetails]:
    """Return the settings as a model, or the error to report first."""
    try:
        return model.model_validate(values), None
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        return None, min(errors, key=lambda details: _ORDER.get(details["type"], len(_ORDER)))


def _open_paths(values: object, path: str) -> Iterator[str]:
    """Yield the paths of values that are yet to be given."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _open_paths(value, f"{path}.{name}" if path else str(name))
    elif isinstance(values, str) and values == _MISSING:
        yield path


def _message(model: type[Settings], given: Any, path: str, details: ErrorDetails) -> str:
    """Return what is wrong, with the field's path, what is allowed and what was given."""
    names, value, field = [path] if path else [], given, None
    inner: type[Settings] | None = model
    for place in details["loc"]:
        # Within a field that is no group of settings, it is shown as a whole.
        if inner is None or not isinstance(value, Mapping):
            break
        names.append(str(place))
        if place not in inner.model_fields:
            return _unknown(inner, ".".join(names), str(place))
        if details["type"] == "missing" and place not in value:
            return f"{'.'.join(names)}: is missing"
        field = inner.model_fields[str(place)]
        value, inner = value[place], _settings(field)
    start = f"{'.'.join(names)}={as_text(value)}: must"
    if inner is not None:
        return f"{start} hold settings with values: {', '.join(inner.model_fields)}"
    if field is None:
        raise AssertionError(details)
    nearest = did_you_mean(value, _choices(field)) if isinstance(value, str) else ""
    return f"{start} be {field.description}{nearest}"


def _unknown(model: type[Settings], path: str, name: str) -> str:
    names = list(model.model_fields)
    nearest = did_you_mean(name, [*names, *model.similar])
    return f"{path}: there is no such setting (there are {', '.join(names)}){nearest}"


def _settings(field: FieldInfo) -> type[Settings] | None:
    """Return the model of a field that is a group of settings, else None."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, Settings):
            return kind
    return None


def _choices(field: FieldInfo) -> tuple[str, ...]:
    """Return the texts that a field may be, where some are listed."""
    kinds = (field.annotation, *get_args(field.annotation))
    choices = [get_args(kind) for kind in kinds if get_origin(kind) is Literal]
    return tuple(text for texts in choices for text in texts)


def as_text(value: object) -> str:
    """Return a value as it is written on the command line, in one line of bounded length."""
    if value is None:
        return "null"
    if isinstance(value, str) and _needs_quotes(value):
        return repr(value)
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _needs_quotes(text: str) -> bool:
    """Tell whether a text without quotes would be read as another value, or hardly be seen."""
    if not text.strip(_MARKS) or text.lower() in ("true", "false", "null"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True

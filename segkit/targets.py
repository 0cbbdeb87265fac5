"""Estimators named in a configuration: ``_target_`` is checked against a list of classes.

A ``_target_`` runs code, so only the classes of ``ALLOWED`` may be named, at the top or nested.
Trusted Python can add a class through an entry point of the group ``segkit.targets``; a
configuration or a command line cannot.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from segkit.constraints import is_hidden, is_interval, is_satisfied, options_of
from segkit.errors import UsageError, did_you_mean
from segkit.hashing import sha256_hex

ENTRY_POINT_GROUP = "segkit.targets"

_CLASSES = {
    "sklearn.cluster": (
        "KMeans MiniBatchKMeans BisectingKMeans AgglomerativeClustering DBSCAN OPTICS Birch"
        " MeanShift SpectralClustering AffinityPropagation"
    ),
    "sklearn.mixture": "GaussianMixture BayesianGaussianMixture",
    "hdbscan": "HDBSCAN",
    "sklearn.preprocessing": (
        "FunctionTransformer StandardScaler RobustScaler MinMaxScaler MaxAbsScaler PowerTransformer"
        " QuantileTransformer Normalizer"
    ),
    "segkit.scaling": "LogStandardScaler",
    "sklearn.decomposition": "PCA KernelPCA TruncatedSVD FastICA FactorAnalysis NMF",
    "sklearn.manifold": "Isomap MDS SpectralEmbedding LocallyLinearEmbedding",
    "sklearn.random_projection": "GaussianRandomProjection",
    "umap": "UMAP",
    "openTSNE": "TSNE",
}
ALLOWED = tuple(f"{module}.{name}" for module, names in _CLASSES.items() for name in names.split())

_SUMMARY = (
    "scikit-learn's clusterers, mixtures, scalers, decompositions and manifold methods, "
    "hdbscan.HDBSCAN, umap.UMAP, openTSNE.TSNE and segkit.scaling.LogStandardScaler"
)

# These take seconds to import: their signatures are read from the source, and as they define no
# constraints the named module of this project does.
_HEAVY = {
    "umap.UMAP": "segkit.projection.umap",
    "openTSNE.TSNE": "segkit.projection.tsne",
    "hdbscan.HDBSCAN": "segkit.clustering.hdbscan",
}
_ROOTS = frozenset(name.partition(".")[0] for name in ALLOWED)
_FUNCTIONS = ("func", "inverse_func", "feature_names_out", "kw_args", "inv_kw_args")
_PAIRS = {
    ("sklearn.preprocessing.RobustScaler", "quantile_range"): (0.0, 100.0),
    ("sklearn.preprocessing.MinMaxScaler", "feature_range"): (float("-inf"), float("inf")),
}


# the public functions


def class_name(config: Mapping[str, Any]) -> str:
    """Return the canonical dotted name of a configuration's class.

    Parameters
    ----------
    config : Mapping[str, Any]
        A configuration with ``_target_``; any path that leads to an allowed class will do.

    Returns
    -------
    str
        The name on the list: ``sklearn.cluster._kmeans.KMeans`` is ``sklearn.cluster.KMeans``.

    Raises
    ------
    UsageError
        If the configuration names no class, or one that is not allowed.
    """
    return _canonical(config, "_target_")


def parameters(config: Mapping[str, Any]) -> dict[str, object]:
    """Return a configuration without ``_target_``: the arguments of the class as given."""
    return {name: value for name, value in config.items() if name != "_target_"}


def defaults(config: Mapping[str, Any]) -> dict[str, object]:
    """Return the default value of every parameter of a configuration's class.

    Nothing heavy is imported: the signatures of umap, openTSNE and hdbscan are read from their
    source. A default that is not a literal there is None.
    """
    return dict(_signature(class_name(config)))


def build(config: Mapping[str, Any], **overrides: object) -> object:
    """Make the object that a configuration describes.

    Parameters
    ----------
    config : Mapping[str, Any]
        ``_target_`` and the arguments of its class. Nested configurations are built first; a list
        becomes a tuple where the class wants one.
    **overrides
        Arguments that take the place of the configuration's, used as they are.

    Returns
    -------
    object
        An instance of the allowed class.

    Raises
    ------
    UsageError
        If a class, at any depth, is not allowed, or a key is one that only Hydra's ``instantiate``
        knows.
    """
    name = class_name(config)
    given = {**_plain_parameters(config, name, "_target_"), **overrides}
    _refuse_functions(name, given, name)
    arguments = {key: _built(value) for key, value in given.items()}
    return _load(name)(**_with_tuples(name, arguments))


def check(config: Mapping[str, Any], where: str) -> None:
    """Check a configuration without making anything heavy.

    Parameters
    ----------
    config : Mapping[str, Any]
        The resolved configuration of one option.
    where : str
        What to call it in a message: its group, such as ``clusterer``.

    Raises
    ------
    UsageError
        If the class is not allowed, a parameter is unknown, or a value has the wrong type or range.
        One line.
    """
    name = _canonical(config, where)
    given = _plain_parameters(config, name, where)
    _check_names(name, given, where)
    _refuse_functions(name, given, where)
    for parameter, value in given.items():
        for path, nested in _nested(value, f"{where}.{parameter}"):
            check(nested, path)
    _check_values(
        name, _with_tuples(name, {key: _built(value) for key, value in given.items()}), where
    )


def check_seeded(config: Mapping[str, Any], where: str) -> None:
    """Check that a class that draws random numbers is given a seed.

    Raises
    ------
    UsageError
        If ``random_state`` is a parameter of the class and is missing: nobody could repeat the
        result.
    """
    name = class_name(config)
    if "random_state" in _signature(name) and "random_state" not in config:
        raise UsageError(
            f"{where}.random_state ({name}): is missing; give random_state: ${{seed}}, or a number"
        )


# the classes


@cache
def _extensions() -> dict[str, EntryPoint]:
    """Return the entry points of trusted packages, by the dotted name of their class."""
    return {entry.value.replace(":", "."): entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def allowed() -> tuple[str, ...]:
    """Return the canonical names of all classes that a configuration may name."""
    return (*ALLOWED, *(name for name in _extensions() if name not in ALLOWED))


@cache
def source_digest(name: str) -> str:
    """Return the sha256 of the source of a class from another package; empty for any other name.

    The files are those of the class and of the classes of its own package that it derives from;
    what these import is not followed.

    Raises
    ------
    UsageError
        If the name does not lead to a class.
    """
    if name not in _extensions():
        return ""
    class_ = _load(name)
    package = class_.__module__.partition(".")[0]
    own = [base for base in class_.__mro__ if base.__module__.partition(".")[0] == package]
    # A compiled module is its own source.
    files = {sys.modules[base.__module__].__file__ for base in own}
    return sha256_hex(*(Path(file).read_bytes() for file in sorted(filter(None, files))))


def _canonical(config: Mapping[str, Any], where: str) -> str:
    target = config.get("_target_") if isinstance(config, Mapping) else None
    if not isinstance(target, str) or not target:
        raise UsageError(f"{where}: needs a _target_ that names a class; given {target!r}")
    if target in ALLOWED or target in _extensions():
        return target
    name = _alias(target)
    if name is None:
        near = did_you_mean(target, allowed()) or f"; allowed are {_SUMMARY}"
        raise UsageError(f"{where}: the _target_ {target!r} is not an allowed class{near}")
    return name


@cache
def _alias(target: str) -> str | None:
    """Return the allowed name of the object that a dotted path leads to, or None."""
    class_ = _resolve(target)
    if not isinstance(class_, type):
        return None
    same_name = (name for name in ALLOWED if name.rpartition(".")[2] == class_.__name__)
    return next((name for name in same_name if _load(name) is class_), None)


def _resolve(target: str) -> object | None:
    """Import what a dotted path names, if its package is one of those of the list; else None."""
    parts = target.split(".")
    if parts[0] not in _ROOTS or not all(
        part.isidentifier() and not part.startswith("__") for part in parts
    ):
        return None
    for size in range(len(parts) - 1, 0, -1):
        try:
            value: object = import_module(".".join(parts[:size]))
        except ImportError:
            continue
        for attribute in parts[size:]:
            value = getattr(value, attribute, None)
        return value
    return None


@cache
def _load(name: str) -> type:
    """Import an allowed class and verify that it is the one the list means."""
    module, _, attribute = name.rpartition(".")
    if name in _extensions():
        value = _extensions()[name].load()
    else:
        value = getattr(import_module(module), attribute)
    if not isinstance(value, type) or (name in ALLOWED and not _is_named(value, name)):
        raise UsageError(
            f"the _target_ {name!r} leads to {value!r}, which is not the class it should be"
        )
    return value


def _is_named(class_: type, name: str) -> bool:
    """Tell whether a class has a dotted name's last part, and is of the package of its first."""
    package, _, rest = name.partition(".")
    same_package = class_.__module__.partition(".")[0] == package
    return same_package and class_.__name__ == rest.rpartition(".")[2]


# the signatures


@cache
def _signature(name: str) -> dict[str, object]:
    """Return the parameters of an allowed class and their defaults."""
    if name in _HEAVY:
        return _signature_from_source(name)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    defaults: dict[str, object] = {}
    for parameter in inspect.signature(_load(name)).parameters.values():
        if parameter.kind in named:
            is_required = parameter.default is parameter.empty
            defaults[parameter.name] = None if is_required else parameter.default
    return defaults


def _signature_from_source(name: str) -> dict[str, object]:
    package, _, class_ = name.rpartition(".")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise UsageError(
            f"the _target_ {name!r} needs the package {package!r}, which is not installed"
        )
    source = _defining_module(Path(spec.origin), class_)
    body = next(
        node.body
        for node in _parsed(source)
        if isinstance(node, ast.ClassDef) and node.name == class_
    )
    initialise = next(
        node for node in body if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    names = [argument.arg for argument in initialise.args.args[1:]]
    return dict(zip(names, map(_literal, initialise.args.defaults), strict=True))


def _defining_module(package: Path, class_: str) -> Path:
    """Return the file that a package's ``__init__`` imports a class from."""
    for node in _parsed(package):
        if isinstance(node, ast.ImportFrom) and class_ in (alias.name for alias in node.names):
            return package.with_name(f"{node.module}.py")
    return package


def _parsed(source: Path) -> list[ast.stmt]:
    return ast.parse(source.read_text(encoding="utf-8")).body


def _literal(node: ast.expr) -> object:
    if ast.unparse(node) == "float('inf')":
        return float("inf")
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


# the values


def _plain_parameters(config: Mapping[str, Any], name: str, where: str) -> dict[str, object]:
    """Return the parameters; refuse keys that steer how Hydra builds the object."""
    given = parameters(config)
    for key in given:
        if not isinstance(key, str) or _is_special(key):
            raise UsageError(
                f"{where}.{key}: not allowed; only _target_ and the parameters of {name} are"
            )
    return given


def _is_special(key: object) -> bool:
    return isinstance(key, str) and key.startswith("_") and key.endswith("_")


def _is_config(value: Mapping[str, Any]) -> bool:
    return any(map(_is_special, value))


def _nested(value: object, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the configurations inside a value, with where each of them stands."""
    if isinstance(value, Mapping):
        if _is_config(value):
            yield path, value
        else:
            for key, item in value.items():
                yield from _nested(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _nested(item, f"{path}[{position}]")


def _built(value: object) -> object:
    if isinstance(value, Mapping):
        if _is_config(value):
            return build(value)
        return {key: _built(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_built(item) for item in value]
    return value


@cache
def _constraints(name: str) -> dict[str, object]:
    """Return what each parameter may be, in scikit-learn's terms; without an entry: anything."""
    if name in _HEAVY:
        return dict(import_module(_HEAVY[name]).constraints())
    return dict(getattr(_load(name), "_parameter_constraints", {}))


def _with_tuples(name: str, arguments: dict[str, object]) -> dict[str, object]:
    """Turn the lists that YAML gives into tuples where the class takes a tuple and no list."""
    return {
        key: (
            tuple(value)
            if isinstance(value, list) and _wants_tuple(_constraints(name).get(key))
            else value
        )
        for key, value in arguments.items()
    }


def _wants_tuple(constraints: object) -> bool:
    return (
        isinstance(constraints, list)
        and tuple in constraints
        and not {"array-like", list}
        & {item for item in constraints if isinstance(item, str | type)}
    )


def _check_names(name: str, given: Mapping[str, Any], where: str) -> None:
    known = _signature(name)
    for key in given:
        if key not in known:
            near = did_you_mean(key, known)
            end = near if near else "; allowed: " + ", ".join(known)
            raise UsageError(f"{where}.{key}: {name} has no such parameter{end}")


def _refuse_functions(name: str, given: Mapping[str, Any], where: str) -> None:
    if name != "sklearn.preprocessing.FunctionTransformer":
        return
    for key in _FUNCTIONS:
        if given.get(key) is not None:
            raise UsageError(
                f"{where}.{key} ({name}): must be null, as a configuration cannot give a function"
            )


def _check_values(name: str, given: Mapping[str, Any], where: str) -> None:
    for key, value in given.items():
        label = f"{where}.{key} ({name})"
        if key == "memory" and value is not None:
            raise UsageError(
                f"{label}: must be null, as results are kept in the store; given {value!r}"
            )
        if _is_default(name, key, value):
            continue
        constraints = _constraints(name).get(key)
        if isinstance(constraints, list) and not any(
            _satisfied(item, value) for item in constraints
        ):
            raise UsageError(
                f"{label}: must be {_described(constraints)}; given {_yaml_text(value)}"
            )
        if (name, key) in _PAIRS:
            _check_pair(value, _PAIRS[name, key], label)


def _is_default(name: str, key: str, value: object) -> bool:
    """Tell whether a value is the class's own default, allowed even outside its own range."""
    default = _signature(name)[key]
    return (
        key != "random_state"
        and value is not None
        and type(value) is type(default)
        and value == default
    )


def _check_pair(value: tuple[Any, ...], bounds: tuple[float, float], label: str) -> None:
    low, high = bounds
    numbers = len(value) == 2 and all(isinstance(item, int | float) for item in value)
    if not numbers or not low <= value[0] < value[1] <= high:
        within = f" within [{low:g}, {high:g}]" if high < float("inf") else ""
        raise UsageError(f"{label}: must be two increasing numbers{within}; given {list(value)!r}")


def _satisfied(constraint: object, value: object) -> bool:
    """Tell whether a value meets a constraint of scikit-learn's, some of them made stricter."""
    if constraint == "array-like":
        return isinstance(value, list | tuple) and _is_numeric(value)
    number_wanted = (
        is_interval(constraint) or constraint == "random_state" or _is_number_type(constraint)
    )
    if constraint == "random_state" and value is None:
        return False  # nobody could repeat the run
    if isinstance(value, bool) and number_wanted:
        return False  # Python's bool is an int, but n_clusters=true is a mistake
    if isinstance(value, str) and value.startswith("precomputed"):
        return False  # needs a distance matrix, and a space is a matrix of coordinates
    return is_satisfied(constraint, value)


def _is_number_type(constraint: object) -> bool:
    return isinstance(constraint, type) and isinstance(1, constraint)


def _is_numeric(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_numeric, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _described(constraints: list[Any]) -> str:
    """Say what a value may be: the same on every machine, and only what YAML can hold."""
    parts = [part for part in map(_words, constraints) if part]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def _words(constraint: object) -> str:
    if constraint is None:
        return "null"
    values = options_of(constraint)
    if values is not None:
        options = sorted(
            repr(value) for value in values if not str(value).startswith("precomputed")
        )
        return options[0] if len(options) == 1 else f"one of {', '.join(options)}"
    if is_hidden(constraint) or (callable(constraint) and not isinstance(constraint, type)):
        return ""
    if isinstance(constraint, type):
        return _TYPES.get(constraint.__name__, f"a {constraint.__name__}")
    return (
        _KINDS.get(constraint, str(constraint)) if isinstance(constraint, str) else str(constraint)
    )


_TYPES = {
    "tuple": "a list",
    "dict": "a mapping",
    "str": "a text",
    "Integral": "an int",
    "Real": "a float",
    "bool": "true or false",
}
_KINDS = {
    "array-like": "a list of numbers",
    "boolean": "true or false",
    "random_state": "an int in the range [0, 4294967295]",
    "verbose": "an int in the range [0, inf) or true or false",
    "sparse matrix": "",
}


def _yaml_text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)

"""Rules that hold for the whole project and that no other tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "lock.txt"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "segkit").rglob("*.py"))
}

# From the bottom up; a module may import from its own layer and from those before it.
LAYERS = (
    (
        "version",
        "constraints",
        "errors",
        "files",
        "hashing",
        "schema",
        "signals",
        "streams",
        "terminal",
    ),
    ("targets",),
    ("data",),
    ("expressions", "feature_set", "features"),
    ("scaling",),
    ("projection",),
    ("clustering",),
    ("scoring",),
    ("study",),
    ("report", "segments"),
    ("progress",),
    ("launch",),
    ("cli", "__main__"),
)
# The rooms of segkit/study, in the order in which things happen; the modules beside them are above.
ROOMS = ("compose", "plan", "run", "judge", "keep")
LAYER_OF = {name: height for height, layer in enumerate(LAYERS) for name in layer}
# Dask in the workers of a study, matplotlib in the figures.
_DASK = tuple(f"segkit.study.run.{name}" for name in ("cluster", "compat", "rounds", "scheduler"))
CONFINED = {
    "hydra": ("segkit.cli", "segkit.study.compose"),
    "omegaconf": ("segkit.cli", "segkit.study.compose"),
    "dask": _DASK,
    "distributed": _DASK,
    "matplotlib": ("segkit.report.figures",),
    "seaborn": ("segkit.report.figures",),
}
HEAVY = (
    "dask",
    "distributed",
    "hdbscan",
    "hydra",
    "matplotlib",
    "numba",
    "openTSNE",
    "pandas",
    "pydantic",
    "scipy",
    "seaborn",
)

# What CONTRIBUTING asks not to call a value.
VAGUE = {"told", "found", "shown", "looked_at"}
NOT_YET_RENAMED = ("segkit.report",)

# Written so that no pattern matches its own source.
MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|root|Users|work|opt|mnt)/\w")
REGISTRY = re.compile(
    r"py[p]i\.org|pytho[n]hosted|--(?:extra-)?inde[x]-url|--find-lin[k]s|simpl[e]/", re.IGNORECASE
)


def layer(module: str) -> tuple[int, int]:
    """How high a module stands, and its room; the facade ``segkit`` may reach everything."""
    if module == "segkit":
        return len(LAYERS), 0
    _, package, *names = module.split(".")
    room = 0
    if package == "study" and names:
        room = ROOMS.index(names[0]) if names[0] in ROOMS else len(ROOMS)
    return LAYER_OF[package], room


def imported(module: str, node: ast.AST) -> Iterator[str]:
    """The dotted names that one import statement of a module asks for."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        origin = ".".join([*above, *filter(None, [node.module])])
        yield from (
            name if (name := f"{origin}.{alias.name}") in MODULES else origin
            for alias in node.names
        )


def imports(module: str, skip: type | tuple[type, ...] = (), types: bool = False) -> set[str]:
    """What a module imports: not inside nodes of the types in ``skip``; for type checking only
    if ``types``."""

    def walk(node: ast.AST) -> Iterator[str]:
        yield from imported(module, node)
        branches = ast.iter_child_nodes(node)
        if not types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            branches = node.orelse
        for branch in branches:
            if not isinstance(branch, skip):
                yield from walk(branch)

    return set(walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def project_texts() -> Iterator[tuple[Path, str]]:
    folders = ("conf", "docs", "experiments", "segkit", "tests", ".ci")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*"))]
    paths += [ROOT / "outputs" / "README.md", *sorted((ROOT / "requirements").iterdir())]
    paths += [
        path
        for path in sorted(ROOT.iterdir())
        if path.suffix in {".md", ".toml"} or path.name == "Makefile"
    ]
    for path in paths:
        if path.is_file() and "__pycache__" not in path.parts:
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def places(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path, text in project_texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_absolute_path_of_a_machine() -> None:
    assert MACHINE_PATH.search('Path("/' + 'home/me/table.csv")')
    assert places(MACHINE_PATH) == []


def test_no_address_of_a_package_registry() -> None:
    assert REGISTRY.search("https://pyp" + "i.org/simpl" + "e/numpy")
    assert places(REGISTRY) == []


def test_every_locked_package_has_one_version_per_machine_and_hashes() -> None:
    logical = LOCK.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    entries = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
    pin = re.compile(r"[A-Za-z0-9][\w.-]*==[\w.+!]+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert len(entries) > 40
    assert [entry for entry in entries if not pin.fullmatch(entry)] == []


def test_the_lock_answers_every_requirement() -> None:
    packaging = pytest.importorskip("packaging.requirements")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *declared["build-system"]["requires"],
        *declared["project"]["dependencies"],
        *declared["project"]["optional-dependencies"]["dev"],
    ]
    pins = re.findall(
        r"^([A-Za-z0-9][\w.-]*)==([\w.+!]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE
    )
    unanswered = []
    for text in wanted:
        requirement = packaging.Requirement(text)
        versions = [
            version for name, version in pins if canonical(name) == canonical(requirement.name)
        ]
        if not versions or not all(requirement.specifier.contains(version) for version in versions):
            unanswered.append(text)
    assert unanswered == []


def test_every_module_has_a_layer() -> None:
    assert {name.split(".")[1] for name in MODULES if name != "segkit"} <= set(LAYER_OF)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    own = {name for name in imports(module, types=True) if name in MODULES and name != "segkit"}
    assert [name for name in sorted(own) if layer(name) > layer(module)] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_confined_library_stays_where_it_belongs(module: str) -> None:
    libraries = {name.split(".")[0] for name in imports(module)} & set(CONFINED)
    assert [name for name in sorted(libraries) if not module.startswith(CONFINED[name])] == []


def test_no_module_needs_itself() -> None:
    """Imports within functions and for types alone count too."""
    # The report's circles go when it is rebuilt.
    modules = {module for module in MODULES if not module.startswith("segkit.report.")}
    needs = {}
    for module in modules:
        others = imports(module, types=True) & modules - {module}
        needs[module] = {name for name in others if not module.startswith(f"{name}.")}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' -> '.join(error.args[1])}")
    assert order.index("segkit.errors") < order.index("segkit.data")


def named(module: str) -> Iterator[str]:
    """The names that a module gives to its functions, parameters, variables and attributes."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


@pytest.mark.parametrize(
    "module", [module for module in MODULES if not module.startswith(NOT_YET_RENAMED)]
)
def test_a_name_says_what_its_value_is(module: str) -> None:
    assert sorted({name for name in named(module) if name.strip("_") in VAGUE}) == []


def test_the_command_line_loads_nothing_heavy() -> None:
    heavy = (*HEAVY, "sklearn", "umap")
    code = f"import segkit.cli, sys; print(*sorted(set(sys.modules) & set({heavy!r})))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.split() == []

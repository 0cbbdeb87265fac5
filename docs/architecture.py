"""Write the figure of docs/architecture.md from the imports in the code.

python docs/architecture.py
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- figure: begin -->\n", "<!-- figure: end -->\n"

# The boxes from top to bottom, with the packages and modules below segkit that are in each.
BOXES: Mapping[str, tuple[str, ...]] = {
    "cli": ("cli", "__main__"),
    "launch": ("launch", "progress"),
    "report": ("report",),
    "segments": ("segments",),
    "sweep": ("study.sweep", "study.forecast", "study.reproduce"),
    "keep": ("study.keep",),
    "judge": ("study.judge",),
    "run": ("study.run",),
    "plan": ("study.plan",),
    "compose": ("study.compose",),
    "scoring": ("scoring",),
    "clustering": ("clustering",),
    "projection": ("projection",),
    "scaling": ("scaling",),
    "features": ("features", "feature_set", "expressions"),
    "data": ("data",),
}
STUDY = ("sweep", "keep", "judge", "run", "plan", "compose")


def box(module: str) -> str | None:
    """Return the box that a module below segkit is in; None for what all boxes use."""
    for name, members in BOXES.items():
        if any(module == member or module.startswith(f"{member}.") for member in members):
            return name
    return None


def imported(path: Path) -> Iterator[str]:
    """Yield the modules below segkit that a file imports, in functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith("segkit."):
                yield name.removeprefix("segkit.")


def imports() -> dict[str, set[str]]:
    """Return the boxes that each box imports."""
    arrows: dict[str, set[str]] = {name: set() for name in BOXES}
    for path in sorted((ROOT / "segkit").rglob("*.py")):
        importer = box(".".join(path.relative_to(ROOT / "segkit").with_suffix("").parts))
        if importer is None:
            continue
        for module in imported(path):
            other = box(module)
            if other is not None and other != importer:
                arrows[importer].add(other)
    return arrows


def below(name: str, arrows: Mapping[str, set[str]]) -> set[str]:
    """Return all boxes that a box imports, directly or through others."""
    reached: set[str] = set()
    pending = [name]
    while pending:
        new = arrows[pending.pop()] - reached
        reached |= new
        pending.extend(new)
    return reached


def reduced(arrows: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the arrows without those that a longer way implies."""
    return {
        name: others - set().union(*(below(other, arrows) for other in others))
        for name, others in arrows.items()
    }


def figure() -> str:
    """Return the figure as a Mermaid block."""
    arrows = reduced(imports())
    lines = ["```mermaid", "flowchart TD", "    subgraph study"]
    lines += [f"        {name}" for name in STUDY]
    lines.append("    end")
    for name in BOXES:
        lines += [f"    {name} --> {other}" for other in BOXES if other in arrows[name]]
    return "\n".join([*lines, "```"]) + "\n"


def written(page: str) -> str:
    """Return the page with the figure as the code has it now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{figure()}{END}{after}"


def main() -> int:
    """Write the page anew."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

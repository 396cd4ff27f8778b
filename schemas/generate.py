"""Brings everything that follows from the schemas up to date: ids.json, contracts.py, examples' bytes."""

from dataclasses import replace
from pathlib import Path

from schemas import codegen, identities
from schemas.catalog import Catalog, load


def outputs(folder: Path) -> dict[Path, str]:
    """Return the text of every generated file, by path, as the folder's schemas and examples require it."""
    catalog = with_identities(load(folder))
    return {
        folder / "ids.json": identities.render(catalog.identities),
        folder / "contracts.py": codegen.render(catalog),
    }


def with_identities(catalog: Catalog) -> Catalog:
    """Return the catalog with the ids that its current schemas need."""
    return replace(catalog, identities=identities.assign(catalog))


def generate(folder: Path) -> list[Path]:
    """Write the generated files that differ from what is there. Returns the paths that changed."""
    changed = [
        path
        for path, text in outputs(folder).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in changed:
        path.write_text(outputs(folder)[path], encoding="utf-8")
    return changed

"""Brings everything that follows from the schemas up to date: ids.json, contracts.py, the examples' bytes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from schemas import codegen, identities
from schemas.catalog import Catalog, load
from schemas.examples import encode, to_hex


def generate(folder: Path) -> list[Path]:
    """Write the generated files that differ from what is there. Returns the paths that changed.

    Raises SchemaFolderError if a schema or an example cannot be understood. Events without an example get no
    bytes, and bytes of a released version are never written: `check` reports both.
    """
    changed = []
    for path, text in outputs(folder):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def outputs(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield path and text of every generated file, as the folder's schemas and examples require them."""
    loaded = load(folder)
    catalog = replace(loaded, identities=identities.assign(loaded))
    yield folder / "ids.json", identities.render(catalog.identities)
    yield folder / "contracts.py", codegen.render(catalog)
    yield from _bytes_of_examples(catalog)


def _bytes_of_examples(catalog: Catalog) -> Iterator[tuple[Path, str]]:
    for fullname, event in catalog.events.items():
        line = catalog.latest_identity(fullname)
        example = catalog.example_json(event)
        if line is not None and not line.released and example.exists():
            yield example.with_suffix(".hex"), to_hex(encode(event, example, line.id))

"""Everything that must hold before a change of the contract lands; CI fails on any line of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from schemas import codegen, compatibility, history, identities, lint, release
from schemas.catalog import Catalog, load
from schemas.errors import SchemaFolderError
from schemas.examples import mismatch


def stale(catalog: Catalog) -> Iterator[str]:
    """Name generated files that do not follow from the schemas any more."""
    expected = {
        "contracts.py": codegen.render(catalog),
        "ids.json": identities.render(identities.assign(catalog)),
    }
    for name, text in expected.items():
        path = catalog.folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield f"{path}: is stale; run `python -m schemas generate` (make schemas)"


def wrong_examples(catalog: Catalog) -> Iterator[str]:
    """Name events without a golden example, and examples whose bytes are not those of their JSON."""
    for fullname, event in catalog.events.items():
        line = catalog.latest_identity(fullname)
        example = catalog.example_json(event)
        problem = line and mismatch(event, example, line.id)
        if problem:
            yield problem


def unused_examples(catalog: Catalog) -> Iterator[str]:
    """Name examples of no event: left behind by a rename."""
    wanted = {catalog.example_json(event) for event in catalog.events.values()}
    for path in sorted((catalog.folder / "examples").glob("*/*")):
        if path.with_suffix(".json") not in wanted:
            yield f"{path}: belongs to no event"


def history_problems(catalog: Catalog) -> Iterator[str]:
    """Compare with the version history, where there is one."""
    if history.is_recorded(catalog.folder):
        yield from history.rewritten(catalog)


CHECKS: Final[tuple[Callable[[Catalog], Iterator[str]], ...]] = (
    lint.schema_problems,
    lint.names_defined_twice,
    lint.topic_problems,
    stale,
    identities.problems,
    release.tampering,
    wrong_examples,
    unused_examples,
    compatibility.incompatibilities,
    compatibility.misreadings,
    history_problems,
)


def check(folder: Path) -> list[str]:
    """Return everything that is wrong with the folder, one sentence each, each naming its file."""
    try:
        catalog = load(folder)
    except SchemaFolderError as error:
        return [str(error)]
    return [problem for one in CHECKS for problem in _problems(one, catalog)]


def _problems(one: Callable[[Catalog], Iterator[str]], catalog: Catalog) -> Iterator[str]:
    try:
        yield from one(catalog)
    except SchemaFolderError as error:
        yield str(error)

"""Freezes versions: what was released is never edited, only followed.

`released/<fullname>/<version>.avsc` is the schema as it was, `.json` and `.hex` its golden example. Records
with its id are on topics and in dead-letter stores from then on, in places that nobody can migrate.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from schemas import identities
from schemas.catalog import Catalog, Identity, Schema, load
from schemas.examples import mismatch
from schemas.identities import fingerprint


def release(folder: Path) -> list[Path]:
    """Freeze every current version that is not released yet. Returns the new schema files; again: none.

    Checks nothing: call it on a folder that `check` has nothing to say about.
    """
    catalog = load(folder)
    lines = [_freeze(catalog, line) for line in catalog.identities]
    (folder / "ids.json").write_text(identities.render(tuple(lines)), encoding="utf-8")
    return [
        released_file(folder, line) for line, before in zip(lines, catalog.identities, strict=True) if line != before
    ]


def _freeze(catalog: Catalog, line: Identity) -> Identity:
    if line.released:
        return line
    event = catalog.events[line.fullname]
    target = released_file(catalog.folder, line)
    target.parent.mkdir(parents=True, exist_ok=True)
    example = catalog.example_json(event)
    shutil.copyfile(event.path, target)
    shutil.copyfile(example, target.with_suffix(".json"))
    shutil.copyfile(example.with_suffix(".hex"), target.with_suffix(".hex"))
    return replace(line, released=True)


def released_file(folder: Path, line: Identity) -> Path:
    """Return where a released version's schema lies."""
    return folder / "released" / line.fullname / f"{line.version}.avsc"


def tampering(catalog: Catalog) -> Iterator[str]:
    """Say where released files and ids.json do not belong together: one of them was edited or removed."""
    known = set()
    for line in catalog.identities:
        if not line.released:
            continue
        known.add((line.fullname, line.version))
        schema = catalog.released.get((line.fullname, line.version))
        if schema is None:
            yield f"{released_file(catalog.folder, line)}: is missing; a released version is never removed"
        else:
            yield from _tampered(schema, line)
    for (fullname, version), schema in catalog.released.items():
        if (fullname, version) not in known:
            yield f"{schema.path}: ids.json has no released {fullname} version {version}; an id is never removed"


def _tampered(schema: Schema, line: Identity) -> Iterator[str]:
    if schema.fullname != line.fullname or fingerprint(schema) != line.sha256:
        yield f"{schema.path}: was changed after its release; make a new version in <producer>/ instead"
        return
    problem = mismatch(schema, schema.path.with_suffix(".json"), line.id)
    if problem:
        yield f"{problem}; nothing released is ever changed"

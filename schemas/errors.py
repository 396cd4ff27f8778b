"""What can be wrong with the folder before any check can run."""

from pathlib import Path


class SchemaFolderError(Exception):
    """A file of the folder cannot be understood; the message names the file and the place in it."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")

"""Where the demo speaks: a live table below the story on a terminal, plain lines anywhere else.

Every line also goes onto paper, a console of fixed width and without colours, for `--record`.
"""

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deploy.local.demo.promises import Promise

WIDTH = 100
_INDENT = 4
_TICK_SECONDS = 0.25
_BREATH_SECONDS = 0.4
Drawing = Callable[[], RenderableType]


class Stage:
    """Prints the story; `screen` is where it is seen, `promises` are those that were told so far."""

    def __init__(self, screen: Console | None = None) -> None:
        self.screen = screen or _screen()
        self.promises: list[Promise] = []
        self._paper = Console(file=io.StringIO(), width=WIDTH, color_system=None, force_terminal=False, emoji=False)
        self._live: Live | None = None
        self._draw: Drawing = Text
        self._scenes = 0
        self._drawn_at = 0.0

    @property
    def recorded(self) -> str:
        """Return everything that was said, as text."""
        file = self._paper.file
        lines = file.getvalue().splitlines() if isinstance(file, io.StringIO) else []
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def show(self, renderable: RenderableType, *, indent: int = 0) -> None:
        """Print something."""
        for console in (self.screen, self._paper):
            console.print(Padding(renderable, (0, 0, 0, indent), expand=False), highlight=False)

    def verbatim(self, line: str) -> None:
        """Print a line that somebody may want to copy: where it is too long the terminal breaks it, not we."""
        for console in (self.screen, self._paper):
            console.print(Text(line), soft_wrap=True)

    def blank(self) -> None:
        """Leave a line empty."""
        for console in (self.screen, self._paper):
            console.print()

    def headline(self, text: str) -> None:
        """Begin a part of the demo."""
        self.blank()
        self.show(Text(text, style="bold"))

    def scene(self, title: str, why: str) -> None:
        """Begin the next scene: what happens, and why it matters."""
        self._scenes += 1
        self.blank()
        self.show(Text.assemble((f"{self._scenes:2}  ", "dim"), (title, "bold")))
        self.show(Text(why), indent=_INDENT)
        self.breathe(2 * _BREATH_SECONDS)

    def promise(self, promise: Promise) -> None:
        """Tell how a promise turned out."""
        self.promises.append(promise)
        line = Table.grid(padding=(0, 1))
        line.add_column(width=1)
        line.add_column(width=44)
        line.add_column()
        mark = Text("✓", style="green") if promise.kept else Text("✗", style="bold red")
        line.add_row(mark, Text(promise.text), Text(promise.figure, style="dim" if promise.kept else "red"))
        self.show(line, indent=_INDENT)
        self.tick()

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Say that something takes a while, and how long it took."""
        began = time.monotonic()
        if self.screen.is_terminal:
            with self.screen.status(text):
                yield
        else:
            self.screen.print(text, end=" ")
            yield
        took = f"{time.monotonic() - began:.1f} s"
        self.screen.print(f"{text} {took}" if self.screen.is_terminal else took, highlight=False)
        self._paper.print(f"{text} {took}")

    @contextmanager
    def watching(self, draw: Drawing) -> Iterator[None]:
        """Keep a drawing up to date below the story; where that cannot be, print it once at the end."""
        if self.screen.is_terminal:
            with Live(console=self.screen, auto_refresh=False, transient=True) as live:
                self._live, self._draw = live, draw
                try:
                    yield
                finally:
                    self._live = None
        else:
            yield
        self.blank()
        self.show(draw())

    def tick(self) -> None:
        """Bring the live table up to date, if there is one and it is time."""
        if self._live is not None and time.monotonic() - self._drawn_at >= _TICK_SECONDS:
            self._live.update(Group("", self._draw()), refresh=True)
            self._drawn_at = time.monotonic()

    def breathe(self, seconds: float = _BREATH_SECONDS) -> None:
        """Give whoever watches a moment to read; nobody does where there is no terminal."""
        until = time.monotonic() + (seconds if self._live is not None else 0)
        while time.monotonic() < until:
            self.tick()
            time.sleep(_TICK_SECONDS / 2)


def _screen() -> Console:
    """Return the console of this process' output, not wider than one reads well."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an old locale may have no check mark
    console = Console(emoji=False)
    width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return Console(emoji=False, width=width)

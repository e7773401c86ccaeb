"""Real processes: server, PostgreSQL and till, each test file on a stage of its own."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loyalty_desk.demo.__main__ import offscreen_screen
from loyalty_desk.demo.line import Line, Story
from loyalty_desk.demo.stage import DemoGuest, Stage
from loyalty_desk.demo.till_process import TillProcess


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="ld-e2e-") as folder:
        # As root PostgreSQL runs as another user, who must be able to pass; pytest's own folders are closed.
        Path(folder).chmod(0o711)
        made = Stage(Path(folder), say=lambda line: None, port=0)
        yield made
        made.close()


@pytest.fixture(scope="module")
def guests(stage: Stage) -> list[DemoGuest]:
    return stage.prepare()


@pytest.fixture
def open_till(stage: Stage, guests: list[DemoGuest], tmp_path: Path) -> Iterator[Callable[[str], TillProcess]]:
    """Open a till's window in the language named; whatever is still open at the end is killed."""
    opened: list[TillProcess] = []

    def make(language: str) -> TillProcess:
        environment = {**stage.environment, **offscreen_screen(tmp_path)}
        opened.append(TillProcess(stage.till_dir, environment, tmp_path / "till.log", language=language))
        return opened[-1]

    yield make
    for till in opened:
        till.kill()


@pytest.fixture
def line(stage: Stage, guests: list[DemoGuest], tmp_path: Path, open_till: Callable[[str], TillProcess]) -> Line:
    stage.server.start()
    story = Story(tmp_path, say=lambda text: None)
    return Line(stage, open_till("ru"), story, guests)

"""A database that goes away under a command is told in a sentence, whatever the driver calls it."""

from __future__ import annotations

import asyncpg
import pytest

from server import cli

AWAY = [asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, asyncpg.InternalClientError]


@pytest.mark.parametrize("kind", AWAY, ids=[kind.__name__ for kind in AWAY])
def test_a_database_that_goes_away_under_a_command_gets_a_sentence(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise kind("of the driver")

    monkeypatch.setattr(cli, "app", command)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert f"The database does not answer, or not as expected: {kind.__name__}" in capsys.readouterr().err

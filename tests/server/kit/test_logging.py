"""Log lines: JSON, with ids and codes; what somebody typed does not get in by way of an exception."""

import json
import logging

from server.kit.logging import JsonLines


def line(level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: object) -> str:
    record = logging.LogRecord("server.x", level, __file__, 1, message, arguments, None)
    record.__dict__.update(extra)
    if error is not None:
        record.exc_info = (type(error), error, error.__traceback__)
    return JsonLines().format(record)


def test_a_line_is_one_object_with_its_extras() -> None:
    made = line(logging.WARNING, "pushed %s", 3, network="n-1")
    fields = json.loads(made)
    assert "\n" not in made
    assert {"level": "warning", "logger": "server.x", "event": "pushed 3", "network": "n-1"}.items() <= fields.items()
    assert fields["at"].endswith("+00:00")


def test_an_exception_leaves_its_place_and_not_its_words() -> None:
    try:
        raise ValueError("phone +79161234567 of Анна")
    except ValueError as error:
        made = line(logging.ERROR, "failed", error=error)
    fields = json.loads(made)
    assert fields["error"] == "ValueError"
    assert fields["where"][-1].startswith(__file__)
    assert "916" not in made
    assert "Анна" not in made

"""What the OpenAPI document says of a route: the structs of the contract as schemas, with examples, and its errors.

Bodies travel as msgpack; where a route takes JSON too, the same struct is described for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from fastapi import Response

from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorAnswer

JSON = "application/json"
ERRORS = {
    202: "Not yet: ask again",
    400: "The body is not what the contract says",
    401: "The asker is not known, or its access has ended",
    403: "The asker may not do this",
    404: "There is no such thing",
    409: "It contradicts what is there",
    410: "What was asked for is over: begin anew",
    413: "Too large: send less at a time",
    415: "An encoding that is not understood",
    422: "Understood, and not possible",
    429: "Too many at once, or tried too often",
    503: "The ledger cannot store anything right now",
}
_SCHEMAS: dict[str, Any] = {}
_REF = "#/components/schemas/{name}"


def documented(
    answer: type, body: type | None, *statuses: int, json: bool = False, example: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the keywords of a route: `answer` and `body` are structs, `json` that it speaks JSON beside msgpack."""
    extra: dict[str, Any] = {}
    if body is not None:
        content = _content(body, json=json)
        if example is not None:
            content[JSON if json else codec.CONTENT_TYPE]["example"] = dict(example)
        text = f"{body.__name__}, optionally zstd" if not json else body.__name__
        extra["requestBody"] = {"required": True, "description": text, "content": content}
    responses: dict[int | str, dict[str, Any]] = {
        200: {"description": answer.__name__, "content": _content(answer, json=json)}
    }
    for status in statuses:
        responses[status] = {"description": ERRORS[status], "content": _content(ErrorAnswer, json=json)}
    return {"openapi_extra": extra, "responses": responses, "response_class": Response}


def schemas() -> dict[str, Any]:
    """Return the schemas of every struct that a route names, by name."""
    return _SCHEMAS


def _content(kind: type, *, json: bool) -> dict[str, Any]:
    types = (JSON, codec.CONTENT_TYPE) if json else (codec.CONTENT_TYPE,)
    return {one: {"schema": dict(_schema(kind))} for one in types}


@cache
def _schema(kind: type) -> Mapping[str, Any]:
    (found,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    _SCHEMAS.update(components)
    return found

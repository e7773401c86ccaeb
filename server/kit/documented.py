"""What the OpenAPI document says of a route: the structs of the contract as schemas, with examples, and its errors.

Bodies travel as msgpack; where a route takes JSON too, the same struct is described for both.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import msgspec
from fastapi import Response
from msgspec import inspect

from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorAnswer

JSON = "application/json"
ERRORS = {
    202: "Not yet: ask again",
    400: "The body is not what the contract says",
    401: "The asker is not known, or its access has ended",
    403: "The asker may not do this",
    404: "There is no such thing",
    408: "The body did not come to its end in time",
    409: "It contradicts what is there",
    410: "What was asked for is over: begin anew",
    413: "Too large: send less at a time",
    415: "An encoding that is not understood",
    422: "Understood, and not possible",
    429: "Too many at once, or tried too often",
    503: "The ledger cannot store anything right now",
}
# Whoever reads a body may answer these, and a signed request's is read whatever its method.
_OF_BODIES = {408, 413}
_SCHEMAS: dict[str, Any] = {}
_REF = "#/components/schemas/{name}"


def documented(
    answer: type, body: type | None, *statuses: int, json: bool = False, example: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the keywords of a route: `answer` and `body` are structs, `json` that it speaks JSON beside msgpack."""
    extra: dict[str, Any] = {}
    if body is not None:
        content = _content(body, json=json)
        for one in content.values():
            one["example"] = example_of(body) if example is None else dict(example)
        text = f"{body.__name__}, optionally zstd" if not json else body.__name__
        extra["requestBody"] = {"required": True, "description": text, "content": content}
    said = _content(answer, json=json)
    for one in said.values():
        one["example"] = example_of(answer)
    responses: dict[int | str, dict[str, Any]] = {200: {"description": answer.__name__, "content": said}}
    of_body = {415, *_OF_BODIES} if body is not None else set() if json else _OF_BODIES
    for status in sorted({*statuses, *of_body}):
        responses[status] = {"description": ERRORS[status], "content": _content(ErrorAnswer, json=json)}
    return {"openapi_extra": extra, "responses": responses, "response_class": Response}


def example_of(kind: type) -> Any:
    """Return a message of this kind in JSON's terms, every field filled with something well formed."""
    return _example(inspect.type_info(kind), "")


def _example(kind: inspect.Type, name: str) -> Any:
    match kind:
        case inspect.StructType(fields=fields):
            return {field.encode_name: _example(field.type, field.name) for field in fields}
        case inspect.UUIDType():
            return str(uuid5(NAMESPACE_OID, name))
        case inspect.BytesType(min_length=length):
            return base64.b64encode(bytes(length or 0)).decode()
        case inspect.IntType(ge=least, gt=above):
            return least or (above or 0) + 1
        case inspect.BoolType():
            return False
        case inspect.EnumType(cls=cls):
            return next(iter(cls)).value
        case inspect.ListType(item_type=item, min_length=length):
            return [_example(item, name)] * max(1, length or 0)
        case inspect.TupleType(item_types=items):
            return [_example(item, name) for item in items]
        case inspect.UnionType(types=types):
            return _example(types[0] if not isinstance(types[0], inspect.NoneType) else types[1], name)
        case inspect.StrType(min_length=length):
            return (name or "text").ljust(length or 0, "0")
        case inspect.DictType():
            return {}
        case _:
            return None


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

"""A safe YAML loader in C with the plain words of YAML 1.2 and exact decimals; a key given twice is refused."""

from __future__ import annotations

import re
from collections.abc import Hashable
from decimal import Decimal
from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_IMPLICIT = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    "timestamp": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", list("0123456789")),
    "merge": (r"<<", ["<"]),
}


class Loader(_Base):  # type: ignore[misc]  # PyYAML's C loader has no stub of its own
    """Plain values alone: texts (times are such), whole numbers, decimals, true, false, null, dates, lists, objects."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way to say so

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping; raises where a key is given twice."""
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if len(set(map(str, keys))) != len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key given twice", node.start_mark)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


def _decimal(_: Any, node: Any) -> Decimal:
    return Decimal(node.value)


def _integer(_: Any, node: Any) -> int:
    return int(node.value)


for _tag, (_pattern, _first) in _IMPLICIT.items():
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)
Loader.add_constructor("tag:yaml.org,2002:float", _decimal)
Loader.add_constructor("tag:yaml.org,2002:int", _integer)

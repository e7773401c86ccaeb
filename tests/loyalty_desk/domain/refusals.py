"""What a call is refused with, for tests that hold the code and its facts against the whole of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loyalty_desk.domain.errors import ForPerson


def code_of(refused: type[ForPerson], call: Callable[..., object], *arguments: object) -> tuple[str, dict[str, Any]]:
    with pytest.raises(refused) as caught:
        call(*arguments)
    return caught.value.code, dict(caught.value.facts)

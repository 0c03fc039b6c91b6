"""Public names of a room that are imported when first used, so that importing the room loads nothing heavy."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def exports(room: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a room (PEP 562): ``homes`` has the module of each name."""

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return find

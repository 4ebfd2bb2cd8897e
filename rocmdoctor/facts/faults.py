"""The vocabulary of faults: names that checks, known errors and readers of JSON share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Table
from rocmdoctor.frozen import frozen
from rocmdoctor.model import LAYERS


@frozen
class FaultTable(Table):
    """Fault to layer, and fault to what it means."""

    file: ClassVar[str] = "faults.toml"
    layers: Mapping[str, str]
    meanings: Mapping[str, str]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> FaultTable:
        layers, meanings = {}, {}
        for layer in LAYERS:
            for fault, meaning in data.get(layer, {}).items():
                layers[fault], meanings[fault] = layer, meaning
        return cls(layers, meanings)

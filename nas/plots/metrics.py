"""Metrics as people read them: a title, a unit, and how a number is written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is shown: its value times `scale`, in `unit`, with an SI prefix if `si`."""

    title: str
    unit: str = ""
    scale: float = 1.0
    si: bool = False

    def format(self, value: float, error: float = 0.0) -> str:
        """
        >>> METRICS["val_accuracy"].format(0.9812, 0.0066)
        '98.12 ± 0.66 %'
        >>> METRICS["macs"].format(385_814_752)
        '385.8M'
        """
        if not math.isfinite(value):
            return "unknown"
        shown = value * self.scale
        if self.si:
            return si(shown) + self.unit
        plus_minus = f" ± {error * self.scale:.2f}" if error > 0 else ""
        return f"{shown:,.2f}{plus_minus} {self.unit}".rstrip()


METRICS = {
    "val_accuracy": Metric("Validation accuracy", "%", 100.0),
    "test_accuracy": Metric("Test accuracy", "%", 100.0),
    "accuracy": Metric("Accuracy", "%", 100.0),
    "macs": Metric("MACs", si=True),
    "parameters": Metric("Parameters", si=True),
    "activations": Metric("Activations", si=True),
    "memory_bytes": Metric("Peak inference memory", "B", si=True),
    "gpu_memory_bytes": Metric("Peak GPU memory", "B", si=True),
    "hypervolume": Metric("Hypervolume"),
    "resolution": Metric("Resolution", "pixels"),
}
_UNITS = {"ms": "ms", "mj": "mJ", "j": "J", "w": "W", "s": "s", "bytes": "B"}


def metric(name: str) -> Metric:
    """The known metric of that name, or one made from the name and the unit at its end.

    >>> metric("latency_ms")
    Metric(title='Latency', unit='ms', scale=1.0, si=False)
    >>> metric("latency_ms@phone").title
    'Latency on phone'
    """
    name, _, device = name.partition("@")
    if device:
        return replace(metric(name), title=f"{metric(name).title} on {device}")
    if name in METRICS:
        return METRICS[name]
    words, _, last = name.rpartition("_")
    unit = _UNITS.get(last, "") if words else ""
    title = (words if unit else name).replace("_", " ")
    return Metric(title[:1].upper() + title[1:], unit, si=unit == "B")


def si(value: float, digits: int = 4) -> str:
    """
    >>> si(385_814_752), si(50_000), si(7.5), si(999_999), si(0)
    ('385.8M', '50k', '7.5', '1M', '0')
    """
    power = 0
    while power < 4 and float(f"{abs(value):.{digits}g}") >= 1000:
        value, power = value / 1000, power + 1
    return f"{value:.{digits}g}{('', 'k', 'M', 'G', 'T')[power]}"

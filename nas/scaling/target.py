"""What a scaled network may cost, as people write it: `macs<=1.2G`, `latency_ms<=20`, `2x`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from nas.cost import COST_METRICS, count
from nas.errors import InvalidRequestError
from nas.quantity import Bound, parse_quantity
from search_spaces.architecture import Architecture

LATENCY = "latency_ms"
TARGET_METRICS = (*COST_METRICS, LATENCY)

_TARGET = re.compile(r"\s*([a-z][a-z0-9_]*)\s*((?><=|<|>=|>|==?))\s*(\S.*?)\s*")
_FACTOR = re.compile(r"\s*(\d{1,6}(?:\.\d{1,9})?)\s*[xX]\s*")


def parse_target(text: str, baseline: Architecture) -> Bound:
    """Read one target: a bound on a cost, or a factor on the baseline's (on MACs if none is named).

    Units are those of `parse_quantity`: k, M, G, T, and Ki, Mi, Gi, Ti.

    Raises:
        InvalidRequestError: If it is none of these.

    >>> from search_spaces.published import get_published
    >>> b0 = get_published("efficientnet_b0")
    >>> str(parse_target("parameters<=8M", b0)), str(parse_target("2x", b0))
    ('parameters <= 8 M', 'macs <= 772 M')
    """
    usable = isinstance(text, str) and len(text) < 200
    match = _TARGET.fullmatch(text) if usable else None
    metric, relation, value = match.groups() if match else ("macs", "<=", text)
    factor = _FACTOR.fullmatch(value) if usable else None
    if not usable or (match is None and factor is None):
        raise InvalidRequestError(
            f"A target must read like 'macs<=1.2G', 'latency_ms<=20' or '2x', but got {text!r:.80}."
        )
    if metric not in TARGET_METRICS:
        raise InvalidRequestError(
            f"A target must be on one of {', '.join(TARGET_METRICS)}, but got {metric!r:.60}."
        )
    if relation != "<=":
        raise InvalidRequestError(
            f"A target must be an upper bound; write {metric}<={value:.40} "
            f"instead of {text.strip()!r:.80}."
        )
    limit = _times(metric, float(factor[1]), baseline) if factor else parse_quantity(value)
    if not (math.isfinite(limit) and limit > 0.0):
        raise InvalidRequestError(f"A target must be above 0, but got {text.strip()!r:.80}.")
    return Bound(metric, limit)


def parse_targets(texts: Sequence[str], baseline: Architecture) -> tuple[Bound, ...]:
    """Read one or more targets that hold together, no metric twice."""
    targets = tuple(parse_target(text, baseline) for text in texts)
    metrics = [target.metric for target in targets]
    if not targets or len(set(metrics)) < len(metrics):
        raise InvalidRequestError(
            f"Targets must be one or more, each on another metric, but got {list(texts)!r:.120}."
        )
    return targets


def parse_phis(text: str) -> tuple[float, ...]:
    """Read a list of phi, ranges of whole numbers among them; sorted, none twice.

    >>> parse_phis("0.5, 1..3"), parse_phis("-1")
    ((0.5, 1.0, 2.0, 3.0), (-1.0,))
    """
    phis: set[float] = set()
    for part in text.split(",") if isinstance(text, str) and len(text) < 1000 else [""]:
        first, dots, last = (piece.strip() for piece in part.partition(".."))
        try:
            if dots:
                low, high = int(first), int(last)
                if not 0 <= high - low < 100:
                    raise ValueError
                phis.update(map(float, range(low, high + 1)))
            else:
                phis.add(float(first))
        except ValueError:
            phis.add(math.nan)
    if not all(-100.0 <= phi <= 100.0 for phi in phis):
        raise InvalidRequestError(
            f"A list of phi must read like '0.5,1,2' or '1..7', from -100 to 100, "
            f"but got {text!r:.80}."
        )
    return tuple(sorted(phis))


def _times(metric: str, factor: float, baseline: Architecture) -> float:
    if metric == LATENCY:
        raise InvalidRequestError(
            "A factor must be on a cost that is known without a device; "
            "write the latency in milliseconds, as in 'latency_ms<=20'."
        )
    return factor * float(getattr(count(baseline), metric))

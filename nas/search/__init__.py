"""Search: objectives, samplers, the loop; and all of it as one call, `run_search`.

What is named here is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.search.api import Trial, pareto_front, run_search

__all__ = ["Trial", "pareto_front", "run_search"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from nas.search import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

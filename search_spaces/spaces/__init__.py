"""The spaces that people search, by name: a new one is one file here and one line below."""

from search_spaces.errors import UnknownNameError
from search_spaces.space import SearchSpace
from search_spaces.spaces.efficientnet import EFFICIENTNET
from search_spaces.spaces.mnasnet import MNASNET
from search_spaces.spaces.small_images import SMALL_IMAGES

SPACES = {space.name: space for space in (EFFICIENTNET, MNASNET, SMALL_IMAGES)}


def get_space(name: str) -> SearchSpace:
    """Look a built-in space up, or name those that there are."""
    if name not in SPACES:
        raise UnknownNameError(f"Unknown space {name!r}. Available: {', '.join(sorted(SPACES))}.")
    return SPACES[name]

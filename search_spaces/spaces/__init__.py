"""The spaces that people search, by name: a new one is one file here and one line below."""

from search_spaces.errors import UnknownNameError
from search_spaces.plain import short
from search_spaces.space import SearchSpace
from search_spaces.spaces.attentive_nas import ATTENTIVE_NAS
from search_spaces.spaces.bignas import BIGNAS
from search_spaces.spaces.efficientnet import EFFICIENTNET
from search_spaces.spaces.efficientnet_v2 import EFFICIENTNET_V2
from search_spaces.spaces.fbnet import FBNET
from search_spaces.spaces.mnasnet import MNASNET
from search_spaces.spaces.mobilenet_v1 import MOBILENET_V1
from search_spaces.spaces.nas_bench_macro import NAS_BENCH_MACRO
from search_spaces.spaces.once_for_all import ONCE_FOR_ALL
from search_spaces.spaces.proxyless_nas import PROXYLESS_NAS
from search_spaces.spaces.small_images import SMALL_IMAGES

SPACES = {
    space.name: space
    for space in (
        EFFICIENTNET,
        MNASNET,
        SMALL_IMAGES,
        MOBILENET_V1,
        PROXYLESS_NAS,
        FBNET,
        ONCE_FOR_ALL,
        ATTENTIVE_NAS,
        BIGNAS,
        EFFICIENTNET_V2,
        NAS_BENCH_MACRO,
    )
}


def get_space(name_or_path: str) -> SearchSpace:
    """Look a built-in space up, or read one from a file that ends in .yaml or .yml.

    Raises:
        UnknownNameError: If there is none of that name; it names those that there are.
        InvalidSpaceError: If the file is no space.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        from search_spaces.yaml_form import load_space  # PyYAML only where it is needed

        return load_space(name_or_path)
    if name_or_path not in SPACES:
        raise UnknownNameError(
            f"Unknown space {short(name_or_path)}. Available: {', '.join(sorted(SPACES))}; "
            "or a path that ends in .yaml."
        )
    return SPACES[name_or_path]

"""The export formats, by name: a new one is one file here and one line below."""

from nas.errors import InvalidRequestError
from nas.export.format import Format
from nas.export.onnx_file import ONNX
from nas.export.safetensors_file import SAFETENSORS
from nas.export.torch_program import TORCH_PROGRAM

FORMATS: dict[str, Format] = {f.name: f for f in (SAFETENSORS, TORCH_PROGRAM, ONNX)}


def get_format(name: str) -> Format:
    """Look a format up, or name those that there are."""
    if name not in FORMATS:
        raise InvalidRequestError(
            f"Unknown format {name!r}. Available: {', '.join(sorted(FORMATS))}."
        )
    return FORMATS[name]

"""How timm's strings say expanded and squeezed channels: as ratios, which it rounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from nas.errors import InvalidRequestError
from search_spaces.architecture import Activation, Gate, PlacedBlock, SqueezeExcitation
from search_spaces.channels import make_divisible

_GATES = {Gate.SIGMOID: "sigmoid", Gate.HARD_SIGMOID: "hard_sigmoid"}
_ACTIVATIONS = {
    Activation.RELU: "nn.ReLU",
    Activation.RELU6: "nn.ReLU6",
    Activation.SILU: "nn.SiLU",
    Activation.HARD_SWISH: "nn.Hardswish",
}


@dataclass(frozen=True, kw_only=True)
class SqueezeForm:
    """What one model's squeeze-excitations share.

    Args:
        from_expanded: The ratio is of expanded channels (class MobileNetV3), not of input ones.
        round_to_8: Squeezed channels are rounded to multiples of 8, not to whole numbers.
        activation: Of all of them; none for each block's own.
    """

    from_expanded: bool
    round_to_8: bool = False
    gate: Gate = Gate.SIGMOID
    activation: Activation | None = None

    def channels(self, ratio: float, inner: int, expansion: float) -> int:
        """The squeezed channels that timm makes of a ratio, in its order of rounding."""
        share = inner * (ratio if self.from_expanded else ratio / expansion)
        return make_divisible(share) if self.round_to_8 else round(share)

    def ratio_text(self, place: PlacedBlock) -> str:
        """The shortest ratio that gives a block's squeezed channels, 0.25 before all others."""
        squeeze, inner = (
            place.block.squeeze_excitation,
            place.block.inner_channels(place.in_channels),
        )
        assert squeeze is not None
        expansion = expansion_of(place)
        ratio = squeeze.channels / inner * (1.0 if self.from_expanded else expansion)
        for text in ("0.25", *_decimals(ratio)):
            if self.channels(float(text), inner, expansion) == squeeze.channels:
                return text
        raise InvalidRequestError(
            f"timm's strings cannot express {squeeze.channels} squeezed channels of {inner}."
        )

    def read(
        self, ratio: float, inner: int, expansion: float, own: Activation
    ) -> SqueezeExcitation:
        """The squeeze-excitation of a block whose activation is `own`."""
        return SqueezeExcitation(
            channels=self.channels(ratio, inner, expansion),
            activation=self.activation or own,
            gate=self.gate,
        )

    def to_python(self) -> str:
        """The layer as an argument of timm's classes."""
        settings = [f"gate_layer={_GATES[self.gate]!r}"]
        if self.activation is not None:
            settings.append(f"force_act_layer={_ACTIVATIONS[self.activation]}")
        if self.round_to_8:
            settings.append("rd_round_fn=round_channels")
        return f"partial(SqueezeExcite, {', '.join(settings)})"


def find_squeeze_form(places: Iterable[PlacedBlock], *, from_expanded: bool) -> SqueezeForm:
    """The form that says all squeeze-excitations of a network, most of them as 0.25.

    Raises:
        InvalidRequestError: If they differ in gate, or in activations that are no block's own.
    """
    excited = [(p, p.block.squeeze_excitation) for p in places if p.block.squeeze_excitation]
    squeezes = [squeeze for _, squeeze in excited]
    gates = {squeeze.gate for squeeze in squeezes} or {Gate.SIGMOID}
    activations = {squeeze.activation for squeeze in squeezes}
    if len(gates) > 1:
        raise InvalidRequestError(
            "timm's strings cannot express squeeze-excitations with different gates in one network."
        )
    own = all(squeeze.activation is place.block.activation for place, squeeze in excited)
    if not own and (len(activations) > 1 or Activation.NONE in activations):
        raise InvalidRequestError(
            "timm's strings cannot express squeeze-excitations with different activations, "
            "or with none, in one network."
        )
    form = SqueezeForm(
        from_expanded=from_expanded,
        gate=gates.pop(),
        activation=None if own else activations.pop(),
    )
    rounded = replace(form, round_to_8=True)
    in_quarters = [
        rounded.channels(0.25, p.block.inner_channels(p.in_channels), expansion_of(p)) == s.channels
        for p, s in excited
    ]
    return rounded if from_expanded and excited and all(in_quarters) else form


def expansion_text(in_channels: int, expanded: int) -> str | None:
    """The shortest ratio that timm rounds to those expanded channels; none if no ratio does.

    >>> expansion_text(24, 88), expansion_text(16, 96), expansion_text(16, 20)
    ('3.7', '6', None)
    """
    for text in _decimals(expanded / in_channels):
        if make_divisible(in_channels * float(text)) == expanded:
            return text
    return None


def expansion_of(place: PlacedBlock) -> float:
    """The expansion that a block's string holds; 1 where it holds none."""
    expanded = place.block.expanded_channels
    if expanded is None:
        return 1.0
    return float(expansion_text(place.in_channels, expanded) or 1.0)


def _decimals(value: float) -> Iterator[str]:
    """A number in ever more digits."""
    return (f"{value:.{digits}g}" for digits in range(1, 18))

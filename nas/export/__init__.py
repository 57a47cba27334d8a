"""Export: a trained network as one file that runs elsewhere, verified before it has its name."""

from nas.export.card import InvalidCardError, ModelCard, make_card
from nas.export.formats import FORMATS, get_format
from nas.export.predict import Prediction, Predictor, load_predictor
from nas.export.write import TOLERANCE, Exported, export_model

__all__ = [
    "FORMATS",
    "TOLERANCE",
    "Exported",
    "InvalidCardError",
    "ModelCard",
    "Prediction",
    "Predictor",
    "export_model",
    "get_format",
    "load_predictor",
    "make_card",
]

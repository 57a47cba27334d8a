"""Rows to store: small, valid, and different where a number says so."""

import hashlib
import json
import math

from nas.store import ArchitectureRow, EvaluationRow, NewTrial


def digest(text):
    return hashlib.sha256(str(text).encode()).hexdigest()[:32]


def architecture_row(number=0, **fields):
    row = {
        "fingerprint": digest(f"architecture {number}"),
        "body_fingerprint": digest(f"body {number}"),
        "document": json.dumps({"stem": {"channels": number}}),
        "macs": 1_000_000 + number,
        "parameters": 5_288_548,
        "activations": 6_750_000_000_000,  # beyond 32 bits
        "memory_bytes": 1 << 40,
        "resolution": 224,
        "num_classes": 10,
        "input_channels": 3,
    }
    return ArchitectureRow(**{**row, **fields})


def evaluation_row(number=0, **fields):
    row = {
        "key": digest(f"evaluation {number}"),
        "subject": digest(f"architecture {number}"),
        "dataset": "digits",
        "split": "seed 0",
        "recipe": "ten epochs",
        "evaluator": "training",
        "seed": 0,
        "val_accuracy": 0.5,
        "val_accuracy_se": math.sqrt(0.25 / 400),
        "val_samples": 400,
        "macs": 1_000_000 + number,
        "fidelity": 10.0,
    }
    return EvaluationRow(**{**row, **fields})


def new_trial(number=0, **fields):
    row = {"number": number, "choices": {"kernel": 3}, "architecture": architecture_row(number)}
    return NewTrial(**{**row, **fields})


def networks(store, accuracies):
    """Put down networks with accuracies."""
    for i, accuracy in enumerate(accuracies):
        network = architecture_row(i)
        row = evaluation_row(i, architecture=network.fingerprint, val_accuracy=accuracy)
        store.save_evaluation(row, network)

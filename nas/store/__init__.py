"""The store: what every job found, in SQLite or PostgreSQL."""

from typing import TYPE_CHECKING, Any

from nas.store.questions import (
    Added,
    Comparable,
    Filter,
    Measured,
    ModelRow,
    Page,
    VolumePoint,
    Way,
)
from nas.store.rows import (
    ENDED_JOB_STATES,
    ArchitectureRow,
    ArtifactRow,
    AttemptRow,
    DatasetRow,
    DeviceRow,
    EvaluationRow,
    ExportRow,
    FamilyRow,
    JobRow,
    JobState,
    MeasurementRow,
    MemberRow,
    NewTrial,
    RecipeRow,
    TokenRow,
    TrialEnd,
    TrialRow,
)

if TYPE_CHECKING:
    from nas.store.repository import Store

__all__ = [
    "ENDED_JOB_STATES",
    "Added",
    "ArchitectureRow",
    "ArtifactRow",
    "AttemptRow",
    "Comparable",
    "DatasetRow",
    "DeviceRow",
    "EvaluationRow",
    "ExportRow",
    "FamilyRow",
    "Filter",
    "JobRow",
    "JobState",
    "Measured",
    "MeasurementRow",
    "MemberRow",
    "ModelRow",
    "NewTrial",
    "Page",
    "RecipeRow",
    "Store",
    "TokenRow",
    "TrialEnd",
    "TrialRow",
    "VolumePoint",
    "Way",
]


def __getattr__(name: str) -> Any:
    if name == "Store":  # the rows alone don't load SQLAlchemy
        from nas.store.repository import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

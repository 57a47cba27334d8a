"""The inventory against a stand-in for NVML's functions, and against a real GPU if there is one."""

from __future__ import annotations

import pynvml
import pytest

from cluster.gpus import Gpu, GpuReport, MigSlice, inventory
from tests.cluster.nvml_stand_in import StandIn, refuse

GIB = 2**30


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn(monkeypatch)


WHOLE = {
    "name": "NVIDIA H200",
    "uuid": "GPU-1",
    "memory": (141 * GIB, 140 * GIB),
    "utilisation": 37,
}


def test_a_gpu_is_described_by_what_nvml_says(nvml: StandIn) -> None:
    nvml.gpus = [WHOLE]
    expected = Gpu(
        index=0,
        name="NVIDIA H200",
        uuid="GPU-1",
        memory_bytes=141 * GIB,
        free_memory_bytes=140 * GIB,
        utilisation_percent=37,
    )
    assert inventory() == GpuReport(driver="570.124.06", gpus=(expected,))
    assert nvml.is_shut_down


def test_a_split_gpu_lists_its_slices_and_not_its_empty_places(nvml: StandIn) -> None:
    piece = {"name": "NVIDIA H200 MIG 1g.18gb", "uuid": "MIG-1", "memory": (16 * GIB, 15 * GIB)}
    nvml.gpus = [
        {**WHOLE, "utilisation": None, "mig mode": (1, 1), "slices": [None, piece, None]},
        {**WHOLE, "mig mode": (0, 1), "slices": [piece]},  # will be split after a reset
    ]
    split, whole = inventory().gpus
    assert split.utilisation_percent is None
    assert split.mig_slices == (
        MigSlice(
            name="NVIDIA H200 MIG 1g.18gb",
            uuid="MIG-1",
            memory_bytes=16 * GIB,
            free_memory_bytes=15 * GIB,
        ),
    )
    assert whole.mig_slices == ()


def test_what_a_gpu_does_not_tell_is_none(nvml: StandIn) -> None:
    nvml.gpus = [{"name": b"NVIDIA GB10"}]  # bytes, as old releases of nvidia-ml-py say it
    (gpu,) = inventory().gpus
    assert gpu.name == "NVIDIA GB10"
    assert (gpu.memory_bytes, gpu.utilisation_percent, gpu.uuid) == (None, None, None)


def test_a_lost_gpu_does_not_hide_the_others(nvml: StandIn) -> None:
    nvml.gpus = [{"handle": pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)}, WHOLE]
    lost, found = inventory().gpus
    assert lost.name == "unreadable: GPU is lost"
    assert found.name == "NVIDIA H200"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver answers: NVML Shared Library"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "no NVIDIA driver answers: Driver Not Loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "RM has detected an NVML/RM version"),
    ],
)
def test_without_a_driver_the_report_says_why(
    monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", refuse(code))
    report = inventory()
    assert report.gpus == ()
    assert report.driver is None
    assert words in (report.reason or "")


def test_a_driver_without_gpus_says_so(nvml: StandIn) -> None:
    assert inventory() == GpuReport(driver="570.124.06", reason="the NVIDIA driver sees no GPU")


def test_this_machine_gets_a_report_whatever_it_has() -> None:
    report = inventory()
    assert bool(report.gpus) != bool(report.reason)


@pytest.mark.gpu
def test_a_real_gpu_is_described_as_torch_sees_it() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    seen = {gpu.name: gpu for gpu in inventory().gpus}
    properties = torch.cuda.get_device_properties(0)
    gpu = seen[properties.name]
    assert gpu.memory_bytes is not None
    assert gpu.free_memory_bytes is not None
    assert properties.total_memory <= gpu.memory_bytes < 1.1 * properties.total_memory
    assert 0 < gpu.free_memory_bytes <= gpu.memory_bytes

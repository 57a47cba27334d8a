"""What a meter says of a GPU, against sums by hand.

The GPU is a stand-in at NVML's API boundary with made-up values: no GPU was lent, so no real
recording could be taken. The last test is for a real one.
"""

import os
import time
from typing import Any

import pynvml
import pytest

from cluster.energy import GpuMeter, GpuUse
from cluster.sharing import share_of_gpu
from tests.cluster.nvml_stand_in import StandIn, refuse

GIB = 2**30
US = os.getpid()
GPU: dict[str, Any] = {"name": "a GPU", "uuid": "GPU-1", "memory": (80 * GIB, 70 * GIB)}


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn(monkeypatch)


def metered(
    nvml: StandIn,
    *,
    is_reserved: bool = True,
    uuid: str = "GPU-1",
    seconds: float = 0.0,
    **gpu: Any,
) -> GpuUse:
    nvml.gpus = [{**GPU, "processes": {US: 3 * GIB}, **gpu}]
    meter = GpuMeter(uuid, is_reserved, sample_s=0.01)
    time.sleep(seconds)
    return meter.stop()


def test_the_devices_counter_is_taken_where_there_is_one(nvml: StandIn) -> None:
    use = metered(nvml, energy=[5_000_000, 5_042_500], power=999_000, seconds=0.05)
    assert (use.energy_j, use.source, use.reason) == (42.5, "counter", "")
    assert use.mean_power_w == pytest.approx(42.5 / use.seconds)
    assert use.alone
    assert nvml.is_shut_down


def test_else_power_is_added_up_over_time(nvml: StandIn) -> None:
    use = metered(nvml, power=200_000, seconds=0.2)
    assert use.source == "samples"
    assert use.mean_power_w == pytest.approx(200.0, rel=0.2)  # the ends are cut at the samples
    assert use.energy_j == pytest.approx(200.0 * use.seconds, rel=0.2)


def test_what_was_used_so_far_is_told_while_it_goes_on(nvml: StandIn) -> None:
    nvml.gpus = [{**GPU, "processes": {US: 3 * GIB}, "energy": [1_000, 31_000, 51_000]}]
    meter = GpuMeter("GPU-1", True, sample_s=60.0)
    assert meter.so_far().energy_j == 30.0
    assert not nvml.is_shut_down
    assert meter.stop().energy_j == 50.0
    assert nvml.is_shut_down


def test_measured_memory_makes_the_share_that_a_trial_reserves(nvml: StandIn) -> None:
    use = metered(nvml, energy=[0, 1])
    assert use.peak_memory_bytes == 3 * GIB
    assert share_of_gpu(use.peak_memory_bytes, 80 * GIB, 0.2) == 0.0454  # 22 of 3.6 GiB in 80


def test_power_that_changes_is_weighed_by_its_time(nvml: StandIn) -> None:
    use = metered(nvml, power=[100_000, 300_000], seconds=0.2)
    assert use.mean_power_w is not None
    assert 200.0 < use.mean_power_w <= 300.0


def test_a_shared_gpu_gives_no_energy_and_says_why(nvml: StandIn) -> None:
    use = metered(nvml, energy=[1000, 2000], processes={US: GIB, US + 1: GIB})
    assert (use.energy_j, use.mean_power_w, use.source) == (None, None, "")
    assert use.alone is False
    assert use.reason == "shared: 2 processes computed on this GPU meanwhile"
    assert use.peak_memory_bytes == GIB


def test_one_that_came_and_went_shared_it_too(nvml: StandIn) -> None:
    seen = [{US: GIB}, {US: GIB, 7: GIB}, {US: GIB}]
    use = metered(nvml, energy=[1000, 2000], processes=seen, seconds=0.1)
    assert use.alone is False


def test_in_a_container_the_one_process_is_ours_whatever_its_number(nvml: StandIn) -> None:
    use = metered(nvml, energy=[1000, 2000], processes={US + 1: 2 * GIB}, is_reserved=False)
    assert use.energy_j == 1.0
    assert use.peak_memory_bytes == 10 * GIB  # of the device


@pytest.mark.parametrize(("is_reserved", "alone"), [(True, True), (False, None)])
def test_where_processes_are_not_told_the_reservation_is_believed(
    nvml: StandIn, is_reserved: bool, alone: bool | None
) -> None:
    use = metered(nvml, energy=[1000, 2000], processes=None, is_reserved=is_reserved)
    assert use.alone is alone
    assert (use.energy_j is None) == ("not reserved whole" in use.reason) == (not is_reserved)


def test_the_peak_of_memory_is_this_processes_own(nvml: StandIn) -> None:
    seen = [{US: GIB}, {US: 5 * GIB}, {US: 2 * GIB}]
    assert metered(nvml, processes=seen, seconds=0.1).peak_memory_bytes == 5 * GIB


def test_a_slice_has_no_energy_of_its_own(nvml: StandIn) -> None:
    piece = {"name": "1g", "uuid": "MIG-1", "memory": (10 * GIB, 9 * GIB), "processes": {US: GIB}}
    use = metered(nvml, uuid="MIG-1", energy=[1000, 2000], slices=[piece])
    assert use.energy_j is None
    assert use.reason == "a MIG slice: NVML tells the energy of whole GPUs only"
    assert use.peak_memory_bytes == GIB


def test_a_counter_that_begins_anew_is_no_energy(nvml: StandIn) -> None:
    use = metered(nvml, energy=[9000, 20])
    assert use.energy_j is None
    assert "tells neither its energy nor its power" in use.reason


def test_without_a_driver_or_the_device_the_work_goes_on_and_the_reason_is_kept(
    nvml: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "does not know the device GPU-2" in metered(nvml, uuid="GPU-2").reason
    code = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    monkeypatch.setattr(pynvml, "nvmlInit", refuse(code))
    use = metered(nvml, energy=[1000, 2000])
    assert use.reason.startswith("no NVIDIA driver answers: NVML Shared Library")
    assert (use.energy_j, use.peak_memory_bytes, use.alone) == (None, None, None)


@pytest.mark.gpu
def test_a_real_gpu_at_work_uses_a_believable_power() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    matrix = torch.randn(4096, 4096, device="cuda")
    meter = GpuMeter(uuid, is_reserved=True)
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        matrix = (matrix @ matrix).softmax(1)
        torch.cuda.synchronize()
    use = meter.stop()
    if use.energy_j is None:
        pytest.skip(use.reason)
    assert use.mean_power_w is not None
    assert 20.0 < use.mean_power_w < 1500.0

"""What this machine has, and what to install for the rest."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass

from nas.errors import NasError


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked for; `advice` says what to do where it is missing and useful."""

    what: str
    ok: bool
    found: str
    advice: str = ""


EXTRAS = {
    "onnx": (("onnx", "onnxscript", "onnxruntime"), "pip install 'nas-scale[onnx]'"),
    "PostgreSQL": (("psycopg",), "pip install 'nas-scale[postgres]'"),
}


def examine(store_url: str) -> list[Finding]:
    """Look at Python, torch, GPUs, Ray, the store and the extras; changes nothing."""
    return [_python(), _torch(), _gpus(), _ray(), _store(store_url), *_extras()]


def _python() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(
        what="Python", ok=True, found=f"{platform.python_version()}, {cores} cores to use"
    )


def _torch() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding(
            what="torch", ok=True, found=f"{torch.__version__}, {torch.cuda.get_device_name(0)}"
        )
    return Finding(what="torch", ok=True, found=f"{torch.__version__}, trains on the CPU")


def _gpus() -> Finding:
    from cluster.gpus import inventory

    report = inventory()
    if not report.gpus:
        return Finding(what="GPUs", ok=False, found=report.reason or "none")
    names = ", ".join(
        f"{gpu.name} ({(gpu.free_memory_bytes or 0) / 2**30:.0f} GiB free)" for gpu in report.gpus
    )
    return Finding(what="GPUs", ok=True, found=names)


def _ray() -> Finding:
    return Finding(what="Ray", ok=True, found=importlib.metadata.version("ray"))


def _store(url: str) -> Finding:
    from nas.store import Store

    try:
        with Store.open(url, create=False) as store:
            jobs = len(store.list_jobs())
            return Finding(what="store", ok=True, found=f"{store.url}, {jobs} jobs")
    except NasError as error:
        return Finding(
            what="store", ok=False, found=str(error), advice="`nas run JOB.yaml` makes a new one."
        )


def _extras() -> list[Finding]:
    findings = []
    for name, (packages, command) in EXTRAS.items():
        missing = [package for package in packages if not _installed(package)]
        findings.append(
            Finding(
                what=name,
                ok=not missing,
                found=f"missing: {', '.join(missing)}" if missing else "installed",
                advice=command if missing else "",
            )
        )
    return findings


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True

"""The commands as a person or a script calls them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.cli.main import run
from tests.nas.cli.commands import JOB, answer, refusal


def test_a_job_leaves_front_family_pictures_and_answers(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = answer(capsys, "run", "job.yaml")
    assert done["job"]["state"] == "completed"
    assert done["states"] == {"completed": 12}
    assert done["hypervolume"] > 0
    assert len(done["family"]["members"]) == 2
    assert all(Path(path).stat().st_size for path in done["files"]["pictures"])

    front = answer(capsys, "pareto")
    assert [row["evaluation"] for row in front] == [row["evaluation"] for row in done["front"]]
    accuracies = [row["val_accuracy"] for row in front]
    assert accuracies == sorted(accuracies)
    assert [row["macs"] for row in front] == sorted(row["macs"] for row in front)

    job = done["job"]["id"]
    bounded = answer(capsys, "pareto", job, "--where", f"macs <= {front[0]['macs']}")
    assert len(bounded) == 1
    assert answer(capsys, "jobs")[0]["id"] == job
    assert answer(capsys, "status", "toy")["job"]["state"] == "completed"
    assert len(answer(capsys, "models", "--limit", "5")) == 5
    trial = f"{job}/{front[0]['trial']}"
    shown = answer(capsys, "show", trial)
    assert shown["fingerprint"] == front[0]["architecture"]
    assert answer(capsys, "cost", trial)["macs"] == front[0]["macs"]
    assert answer(capsys, "cost", shown["fingerprint"][:10])["macs"] == front[0]["macs"]
    assert run(["plot", "family", "-o", "family.svg"]) == 0
    assert (folder / "family.svg").read_text().lstrip().startswith("<?xml")


def test_scale_grows_another_family_from_the_same_search(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(capsys, "search", "job.yaml")
    assert answer(capsys, "status")["family"] is None
    done = answer(capsys, "scale", "--coefficients", "1.3,1.1,1.1", "--phi", "0,1,2")
    assert done["family"]["coefficients"] == {"alpha": 1.3, "beta": 1.1, "gamma": 1.1}
    assert len(done["family"]["members"]) == 3


def test_a_search_by_flags_is_another_job(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(capsys, "search", "job.yaml")
    other = answer(capsys, "search", "job.yaml", "--trials", "4", "--sampler", "nsga2")
    assert other["states"] == {"completed": 4}
    assert len(answer(capsys, "jobs")) == 2


def test_broken_networks_don_t_end_a_job(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "job.yaml").write_text(JOB.replace("toy:accuracy", "toy:sometimes_breaks"))
    done = answer(capsys, "search", "job.yaml")
    assert done["states"]["failed"] > 0
    assert done["states"]["completed"] > 0
    assert done["front"]


def test_a_job_in_which_nothing_works_says_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "job.yaml").write_text(JOB.replace("toy:accuracy", "toy:always_breaks"))
    assert run(["run", "job.yaml"]) == 1
    assert "nothing works" in capsys.readouterr().err


def test_a_trained_model_travels_through_export_to_predict(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = JOB.replace("evaluator: tests.nas.jobs.toy:accuracy\n", "recipe: {epochs: 1}\n")
    (folder / "job.yaml").write_text(job.replace("trials: 12", "trials: 2"))
    done = answer(capsys, "run", "job.yaml")
    other = 1 - done["family"]["details"]["baseline_trial"]
    name = f"{done['job']['id']}/{other}"
    refused = refusal(capsys, "export", name, "--no-train", "-o", "out")
    assert "--no-train" in refused
    files = answer(capsys, "export", "toy", "--format", "safetensors,onnx", "-o", "out")
    assert [file["largest_relative_difference"] < 1e-4 for file in files] == [True, True]
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("zero.png")
    for file in files:
        (prediction,) = answer(capsys, "predict", file["path"], "zero.png")
        assert prediction["class_name"] in "0123456789"
    # a published network, with the job's data and recipe, trained on training and validation part
    trained = answer(capsys, "export", "mobilenet_v1_0.25_32", "--format", "onnx", "-o", "out")
    assert Path(trained[0]["path"]).exists()


def test_costs_and_lists_need_no_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b0 = answer(capsys, "cost", "efficientnet_b0")
    assert (b0["macs"], b0["parameters"]) == (385_814_752, 5_288_548)
    assert answer(capsys, "cost", "efficientnet_b0", "--resolution", "448")["macs"] > b0["macs"]
    names = {space["name"] for space in answer(capsys, "spaces")}
    assert {"efficientnet", "mnasnet", "small_images"} <= names
    assert any(row["name"] == "efficientnet_b7" for row in answer(capsys, "published"))
    assert not list(folder.glob("*.db"))


def test_a_space_s_print_is_a_space(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["spaces", "small_images"])
    (folder / "mine.yaml").write_text(capsys.readouterr().out)
    (folder / "job.yaml").write_text(JOB + "space: mine.yaml\n")
    assert answer(capsys, "search", "job.yaml")["states"] == {"completed": 12}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("trials: 12", "trials: none"), ["search.trials"]),
        (("sampler: random", "sampler: magic"), ["magic", "nsga2"]),
        (("sampler: random", "objectives: [beauty]"), ["beauty", "accuracy"]),
        (("sampler: random", "constraints: [macs < 3]"), ["macs < 3"]),
        (("sampler: random", "constraints: [macs <= 3]"), ["macs <= 3", "smallest"]),
        (("sampler: random", "constraints: [beauty <= 3]"), ["beauty"]),
        (("sampler: random", "start_with: [efficientnet_b99]"), ["efficientnet_b99"]),
        (("toy:accuracy", "toy:nothing"), ["nothing"]),
        (("resolution: 16", "space: nowhere"), ["nowhere", "small_images"]),
        (("resolution: 16", "space: nowhere.yaml"), ["nowhere.yaml"]),
        (("resolution: 16", "data: nowhere.npz"), ["nowhere.npz"]),
        (("resolution: 16", "scaling: {baseline: best}"), ["baseline"]),
    ],
)
def test_a_wrong_job_is_one_sentence_and_leaves_no_job(
    folder: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], words: list[str]
) -> None:
    text = JOB.replace("scaling: {coefficients: paper, phi: [0, 1]}\n", "")
    (folder / "job.yaml").write_text(text.replace(*change))
    refused = refusal(capsys, "run", "job.yaml")
    for word in words:
        assert word in refused
    assert not (folder / "nas.db").exists() or answer(capsys, "jobs") == []
    assert not (folder / "nas-toy").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["cost", "efficientnet_b99"], "efficientnet_b9"),
        (["cost", "broken.json"], "broken.json"),
        (["cost", "efficientnet_b0", "--resolution", "0"], "resolution"),
        (["jobs"], "nas.db"),
        (["status", "nobody"], "nas.db"),
        (["pareto", "--store", "mysql://x/y"], "mysql"),
        (["pareto", "--store", "postgresql://u:secret@localhost:1/x"], "localhost"),
        (["plot", "pie"], "pie"),
        (["export", "toy", "--format", "tflite"], "tflite"),
        (["predict", "nowhere.onnx", "x.png"], "nowhere.onnx"),
        (["frobnicate"], "frobnicate"),
        (["cost", "--frobnicate"], "frobnicate"),
    ],
)
def test_a_wrong_request_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    refused = refusal(capsys, *arguments)
    assert word in refused
    assert "secret" not in refused
    assert sorted(p.name for p in folder.iterdir()) == ["job.yaml"]


def test_the_store_is_checked_copied_and_cleaned(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(capsys, "run", "job.yaml")
    assert answer(capsys, "db", "check") == []
    assert run(["db", "copy", "sqlite:///copy.db"]) == 0
    first = answer(capsys, "pareto")
    assert answer(capsys, "pareto", "--store", "sqlite:///copy.db") == first
    assert answer(capsys, "db", "gc")["done"] is False
    assert "must be empty" in refusal(capsys, "db", "copy", "sqlite:///copy.db")
    here = ("--store", "sqlite:///copy.db")
    assert run(["db", "copy", "sqlite:///copy.db", "sqlite:///second.db"]) == 0
    planned = answer(capsys, "db", "delete", "toy", *here)
    assert (planned["trials"] > 0, planned["done"]) == (True, False)
    assert answer(capsys, "db", "delete", "toy", "--yes", *here) == {**planned, "done": True}
    assert answer(capsys, "jobs", *here) == []
    assert answer(capsys, "pareto", "--store", "sqlite:///second.db") == first


def test_weights_travel_through_the_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from nas.models.foreign import to_foreign
    from nas.models.network import build_model
    from search_spaces.published import get_published

    network = get_published("mobilenet_v2_0.35")
    theirs = to_foreign(network, build_model(network).state_dict(), "timm")
    save_file(theirs, "timm.safetensors")
    arguments = ("weights", "import", "timm.safetensors", "--architecture", "mobilenet_v2_0.35")
    sha256 = answer(capsys, *arguments)["sha256"]
    assert (
        run(["weights", "export", sha256[:12], "--layout", "timm", "-o", "back.safetensors"]) == 0
    )
    back = load_file("back.safetensors")
    assert all(torch.equal(back[name], tensor) for name, tensor in theirs.items())
    assert "mobilenet" in refusal(capsys, *arguments[:-1], "mobilenet_v2_9")
    (folder / "code.pt").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    refusal(capsys, "weights", "import", "code.pt", "--architecture", "mobilenet_v2_0.35")


def test_a_network_is_shown_in_timm_s_grammar(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = answer(capsys, "show", "efficientnet_b0", "--timm")
    assert shown["arch_def"][0] == ["ds_r1_k3_s1_c16_se0.25"]

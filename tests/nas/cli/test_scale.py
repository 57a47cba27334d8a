"""nas scale as a person or a script calls it."""

import json
import math
from pathlib import Path

import pytest

from nas.cli.main import run
from nas.scaling import Coefficients, scale
from nas.store import Store
from search_spaces.published import get_published
from tests.nas.cli.commands import JOB, answer, refusal


def test_any_network_is_scaled_to_any_target_without_training(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = answer(capsys, "scale", "efficientnet_b0", "--target", "0.5x,2x,8x")
    for member, factor in zip(members, (0.5, 2, 8)):
        assert 0.99 < member["costs"]["macs"] / (factor * 385_814_752) <= 1.0
    assert list(folder.iterdir()) == [folder / "job.yaml"]


def test_targets_hold_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--target", "macs<=1.2G", "--target", "parameters<=8M")
    (member,) = answer(capsys, "scale", "efficientnet_b0", *flags)
    assert member["costs"]["macs"] <= 1.2e9
    assert member["costs"]["parameters"] <= 8e6
    assert member["gap"] < 0.01


def test_mobilenets_multipliers_shrink_any_network(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shrink = ("--rule", "mobilenet", "--width", "1,0.75", "--resolution", "224,160")
    members = answer(capsys, "scale", "mobilenet_v1", *shrink)
    assert [m["costs"]["macs"] for m in members] == [
        568_740_352, 290_675_200, 325_400_448, 166_396_800,
    ]  # fmt: skip
    (member,) = answer(capsys, "scale", "mnasnet_a1", *shrink[:2], "--width", "0.5")
    assert member["costs"]["macs"] < 315e6 / 2


def test_the_paper_s_table_7_on_counts_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factors = ("depth=4", "width=2", "resolution=2", "depth=1.4,width=1.2,resolution=291")
    flags = [part for text in factors for part in ("--factors", text)]
    entries = answer(capsys, "scale", "efficientnet_b0", "--compare", *flags)
    # arXiv 1905.11946, Table 7, as counted
    assert [round(e["costs"]["macs"] / 1e9, 3) for e in entries[1:]] == [1.575, 1.45, 1.538, 1.8]


def test_the_pure_rule_on_counts_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = answer(capsys, "scale", "efficientnet_b0", "--phi", "1..7")
    assert [m["resolution"] for m in members] == [258, 296, 341, 392, 451, 518, 596]


def test_a_preview_tells_memory_and_measured_time(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "job.yaml").write_text("data: digits\nresolution: 16\nrecipe: {epochs: 3}\n")
    flags = ("--file", "job.yaml", "--target", "2x", "--dry-run")
    (member,) = answer(capsys, "scale", "mobilenet_v2_0.35", *flags)
    assert member["training_seconds"] == pytest.approx(3600 * member["gpu_hours"])
    assert 0 < member["training_seconds"] < math.inf
    assert member["training_memory_bytes"] > member["costs"]["memory_bytes"]
    assert not (folder / "nas.db").exists()


def test_members_are_written_as_networks_that_other_commands_take(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (member,) = answer(capsys, "scale", "efficientnet_b0", "--target", "2x", "-o", "out")
    (path,) = (folder / "out").iterdir()
    assert answer(capsys, "cost", str(path))["macs"] == member["costs"]["macs"]
    (again,) = answer(capsys, "scale", str(path), "--target", "0.5x")
    assert again["costs"]["macs"] <= member["costs"]["macs"] / 2


def test_latency_targets_go_by_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b0, columns = get_published("efficientnet_b0"), "hw_in,cin,cout,expand,stride,k,se"
    twice = scale(b0, Coefficients(depth=2.0))  # has every block that a deeper one may have
    lines = {
        f"{p.in_size},{p.in_channels},{p.block.out_channels},"
        f"{(p.block.expanded_channels or p.in_channels) // p.in_channels},"
        f"{p.block.stride},{p.block.kernel_size},1,1.0"
        for p in twice.walk()
    }
    (folder / "lut.csv").write_text("\n".join([f"{columns},pi_ms", *sorted(lines)]) + "\n")
    flags = ("--latency", "lut.csv:pi_ms", "--target", "latency_ms<=20")
    (member,) = answer(capsys, "scale", "efficientnet_b0", "--rule", "depth", *flags)
    assert member["latency_ms"] == 20.0  # B0 has 16 blocks, of 1 ms each
    (none_wider,) = answer(capsys, "scale", "efficientnet_b0", "--rule", "width", *flags)
    assert none_wider["latency_ms"] == 16.0
    assert "not in the latency table 'lut.csv'" in none_wider["note"]


def test_a_family_is_stored_and_asked_again_trains_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--file", "job.yaml", "--target", "1x,2x", "--rule", "width")
    first = answer(capsys, "scale", "mobilenet_v2_0.35", *flags)
    family = first["family"]
    assert (family["rule"], first["trained"]) == ("width", 2)
    assert [m["name"].split()[0] for m in family["members"]] == ["macs", "macs"]
    assert all(m["evaluation"] for m in family["members"])
    again = answer(capsys, "scale", "mobilenet_v2_0.35", *flags)
    assert (again["trained"], again["reused"]) == (0, 2)
    assert again["family"]["members"][1]["evaluation"] == family["members"][1]["evaluation"]


def test_a_job_holds_several_families(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(capsys, "run", "job.yaml")
    job = answer(capsys, "jobs")[0]["id"]
    done = answer(capsys, "scale", job, "--rule", "depth", "--target", "2x")
    assert done["family"]["rule"] == "depth"
    with Store.open("sqlite:///nas.db") as store:
        assert [f.name for f in store.families(job)] == ["family", "depth 2x"]
    assert answer(capsys, "resume", job)["trained"] == done["trained"]


def test_the_family_s_front_and_the_search_s_are_asked_for_apart_or_together(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = answer(capsys, "run", "job.yaml")
    search = answer(capsys, "pareto")
    family = answer(capsys, "pareto", "--of", "family")
    assert {row["architecture"] for row in family} <= {
        m["architecture"] for m in done["family"]["members"]
    }
    both = answer(capsys, "pareto", "--of", "both")
    assert {r["evaluation"] for r in both} <= {r["evaluation"] for r in (*search, *family)}


def test_rules_are_compared_over_seeds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--file", "job.yaml", "--compare", "--seeds", "2", "--target", "2x")
    done = answer(capsys, "scale", "mobilenet_v2_0.35", *flags)
    rows = done["comparison"]
    assert [r["rule"] for r in rows] == ["baseline", "compound", "width", "depth", "resolution"]
    assert all(r["test"]["seeds"] == 2 for r in rows)
    assert done["trained"] == 10
    assert any(path.endswith("comparison.png") for path in done["files"]["pictures"])
    more = answer(capsys, "scale", "mobilenet_v2_0.35", *flags[:4], "3", *flags[5:])
    assert (more["trained"], more["reused"]) == (5, 10)


def test_a_baseline_is_chosen_by_its_family(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "job.yaml").write_text(JOB.replace("{coefficients: paper", "{baseline: family"))
    done = answer(capsys, "run", "job.yaml")
    assert done["family"]["details"]["baseline_rule"] == "family"
    trial = done["family"]["details"]["baseline_trial"]
    assert trial in {row["trial"] for row in done["front"]}


def test_coefficients_are_searched_under_parameters(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "job.yaml").write_text(
        JOB.replace("coefficients: paper", "grid: {cost: parameters, candidates: 4}")
    )
    done = answer(capsys, "run", "job.yaml")
    first, second = done["family"]["members"]
    assert second["parameters"] / first["parameters"] == pytest.approx(2.0, rel=0.15)
    assert done["family"]["coefficients"]["gamma"] == 1.0
    with Store.open("sqlite:///nas.db") as store:
        origins = [t.origin for t in store.trials(done["job"]["id"])]
    assert origins.count("coefficients") == 4
    assert 1 <= origins.count("finalists") <= 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["efficientnet_b99"], ["efficientnet_b99"]),
        (["efficientnet_b0", "--target", "speed<=3"], ["speed", "macs"]),
        (["efficientnet_b0", "--target", "macs>=3"], ["upper bound"]),
        (["efficientnet_b0", "--target", "macs<=1k"], ["macs <= 1 k", "smallest"]),
        (["efficientnet_b0", "--target", "latency_ms<=3"], ["latency"]),
        (["efficientnet_b0", "--latency", "x"], ["FILE.csv:COLUMN"]),
        (["efficientnet_b0", "--rule", "magic"], ["rule", "compound"]),
        (["efficientnet_b0", "--phi", "many"], ["phi"]),
        (["efficientnet_b0", "--phi", "99"], ["-10 to 10"]),
        (["efficientnet_b0", "--width", "fat"], ["width=fat"]),
        (["efficientnet_b0", "--width", "-1"], ["width=-1"]),
        (["efficientnet_b0", "--coefficients", "1,2"], ["alpha,beta,gamma"]),
        (["efficientnet_b0", "--job", "x", "--file", "job.yaml"], ["--job", "--file"]),
        (["efficientnet_b0", "--file", "job.yaml", "--rule", "magic"], ["rule", "compound"]),
        (["efficientnet_b0", "--file", "job.yaml", "--target", "x"], ["macs<=1.2G"]),
    ],
)
def test_a_wrong_request_is_one_sentence_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], flags: list[str], words: list[str]
) -> None:
    refused = refusal(capsys, "scale", *flags)
    for word in words:
        assert word in refused
    if (folder / "nas.db").exists():
        with Store.open("sqlite:///nas.db") as store:
            assert store.list_jobs() == []


def test_without_a_baseline_or_a_job_it_says_what_to_give(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "nas.db" in refusal(capsys, "scale")


def test_a_job_has_data_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = answer(capsys, "search", "job.yaml")["job"]["id"]
    assert f"{job}/0" in refusal(capsys, "scale", "toy", "--data", "digits")
    done = answer(capsys, "scale", f"{job}/0", "--job", job, "--phi", "1")
    assert [m["name"] for m in done["family"]["members"]] == ["phi 1"]


def test_a_killed_comparison_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--file", "job.yaml", "--compare", "--seeds", "1", "--target", "2x")
    answer(capsys, "scale", "mobilenet_v2_0.35", *flags)
    job = answer(capsys, "jobs")[0]["id"]
    assert run(["resume", job, "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["job"]["state"], len(done["comparison"])) == ("completed", 5)

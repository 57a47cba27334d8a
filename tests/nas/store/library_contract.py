"""What a store promises about families, files, measurements and models."""

from dataclasses import replace

import pytest

from nas.errors import InvalidRequestError
from nas.store import (
    ArtifactRow,
    DatasetRow,
    ExportRow,
    Filter,
    MeasurementRow,
    MemberRow,
    RecipeRow,
    Store,
    TrialEnd,
)
from tests.nas.store.build import architecture_row, digest, evaluation_row, new_trial


class LibraryContract:
    @pytest.fixture
    def store(self, url):
        with Store.open(url) as store:
            yield store

    @pytest.fixture
    def job(self, store):
        return store.create_job("digits", spec={}, space={}).id

    # families, artifacts, measurements, descriptions

    def test_a_family_comes_back_with_the_cost_and_accuracy_of_its_members(self, store, job):
        networks = [architecture_row(number) for number in range(3)]
        baseline, *grown = (row.fingerprint for row in networks)
        members = [
            MemberRow(
                number=number,
                name=f"B{number}",
                architecture=fingerprint,
                phi=float(number),
                target=2e6,
                multipliers={"depth": 1.2, "width": 1.1, "resolution": 1.15},
            )
            for number, fingerprint in enumerate([baseline, *grown])
        ]
        found = {"alpha": 1.2, "beta": 1.1, "gamma": 1.15}

        def save(rows):
            return store.save_family(
                job,
                "main",
                baseline=baseline,
                rule="compound",
                coefficients=found,
                rows=rows,
                architectures=networks,
            )

        first = save(members)
        trained = store.save_evaluation(evaluation_row(1, val_accuracy=0.9, test_accuracy=0.8))
        save([members[0], replace(members[1], evaluation=trained.key)])
        (family,) = store.families(job)
        assert family.id == first.id
        assert (family.baseline, family.rule, family.coefficients) == (baseline, "compound", found)
        assert [member.macs for member in family.members] == [1_000_000, 1_000_001]
        assert [member.val_accuracy for member in family.members] == [None, 0.9]
        assert family.members[1].test_accuracy == 0.8
        assert family.members[1].multipliers["depth"] == 1.2
        assert store.families() == [family]

    def test_a_network_knows_its_trials_its_families_and_its_exports(self, store, job):
        other = store.create_job("other", spec={}, space={}).id
        network, grown = (architecture_row(number) for number in range(2))
        store.add_trials(job, [new_trial(n, architecture=network) for n in (0, 7)])
        store.add_trials(other, [new_trial(1, origin="family"), new_trial(2)])
        members = [
            MemberRow(number=n, name=f"B{n}", phi=float(n), architecture=row.fingerprint)
            for n, row in enumerate((network, grown))
        ]
        family = store.save_family(
            job, "main", baseline=network.fingerprint, rule="r", coefficients={}, rows=members
        )
        for format in ("onnx", "torch"):
            for row in (network, grown):
                store.ask_export(
                    ExportRow(
                        id=format + row.fingerprint,
                        job=job,
                        architecture=row.fingerprint,
                        format=format,
                        trains=False,
                        owner="ann",
                    )
                )
        found = store.suggested(network.fingerprint)
        assert [(s.job, s.job_name, s.trial) for s in found] == [(job, "digits", n) for n in (0, 7)]
        (came,) = store.suggested(grown.fingerprint)
        assert (came.job, came.trial, came.origin) == (other, 1, "family")
        (member,) = store.memberships(grown.fingerprint)
        assert (member.family, member.member, member.phi) == (family.id, "B1", 1.0)
        assert member.baseline == network.fingerprint
        exports = store.list_exports(architecture=grown.fingerprint, latest=True, limit=9)
        assert [row.format for row in exports] == ["onnx", "torch"]
        assert store.suggested(digest("nobody's")) == store.memberships(digest("nobody's")) == []
        assert store.count_trials(other) == {"waiting": 2}
        assert store.count_trials(other, ("family",)) == {"waiting": 1}

    def test_an_artifact_is_written_once_and_found_by_what_it_belongs_to(self, store):
        store.save_evaluation(evaluation_row(0), architecture_row(0))
        weights = ArtifactRow(
            sha256="ab" * 32, kind="weights", name="w", bytes=9, evaluation=evaluation_row(0).key
        )
        made = store.add_artifact(weights)
        assert store.add_artifact(weights) == made
        export = ArtifactRow(
            sha256="cd" * 32,
            kind="onnx",
            name="model.onnx",
            bytes=1 << 33,
            architecture=architecture_row(0).fingerprint,
            parent=made.id,
            details={"opset": 20},
        )
        store.add_artifact(export)
        assert store.artifacts_of(evaluation=weights.evaluation) == [made]
        (child,) = store.artifacts_of(parent=made.id)
        assert (child.bytes, child.details) == (1 << 33, {"opset": 20})
        assert store.artifacts_of(architecture=export.architecture, kind="weights") == []

    def test_a_measurement_may_have_no_value_but_a_reason(self, store):
        store.save_architectures([architecture_row(0)])
        fingerprint = architecture_row(0).fingerprint
        row = MeasurementRow(
            metric="energy_j", value=None, reason="the GPU was shared", architecture=fingerprint
        )
        store.add_measurements([row, replace(row, metric="latency_ms", value=2.0, threads=1)])
        both = store.measurements_of(architecture=fingerprint)
        assert [(m.metric, m.value) for m in both] == [("energy_j", None), ("latency_ms", 2.0)]
        assert both[0].reason == "the GPU was shared"
        assert store.measurements_of(architecture=fingerprint, metric="latency_ms") == both[1:]

    def test_the_first_description_of_data_recipe_and_device_stays(self, store):
        data = DatasetRow(
            hash=digest("data"), name="digits", sizes={"train": 1437}, classes=("0", "1")
        )
        store.save_dataset(data)
        store.save_dataset(replace(data, name="other"))
        store.save_recipe(RecipeRow(digest="r", document={"epochs": 10}))
        assert replace(store.dataset(data.hash), created_at=None) == data
        assert store.recipe("r").document == {"epochs": 10}
        assert store.dataset("") is store.recipe("") is store.device("") is None

    # what fronts compare

    def test_a_front_of_different_recipes_is_refused_until_one_is_named(self, store):
        store.save_evaluation(evaluation_row(0))
        store.save_evaluation(evaluation_row(1, recipe="two epochs", fidelity=2.0))
        with pytest.raises(InvalidRequestError, match=r"differ in recipe, fidelity; name"):
            store.front()
        everything = store.front(Filter(mixed=True))
        assert {row.recipe for row in everything} <= {row.recipe for row in store.models()}
        assert everything
        groups = store.comparables()
        assert store.groups() == groups  # counted in full, since they are small
        assert [g.count for g in store.groups(count_to=1)] == [1] * len(groups)
        assert len(store.groups(limit=1)) == 1
        assert [group.count for group in groups] == [1, 1]
        named = [store.front(Filter(comparable=group.id)) for group in groups]
        assert sorted(len(front) for front in named) == [1, 1]
        (row,) = store.front(Filter(recipe="two epochs"))
        assert row.fidelity == 2.0

    def test_a_bound_on_a_cost_may_be_any_number(self, store):
        store.save_evaluation(evaluation_row(0, macs=5))
        for bound, found in ((1e30, 1), (5.5, 1), (5.0, 1), (4.9, 0), (-1e30, 0)):
            assert len(store.models(Filter(at_most={"macs": bound}))) == found
        for bound, found in ((1e30, 0), (5.5, 0), (5.0, 1), (4.5, 1), (-1e30, 1)):
            assert len(store.models(Filter(at_least={"macs": bound}))) == found

    def test_the_front_of_a_job_names_its_trials_and_leaves_other_studies_out(self, store, job):
        other = store.create_job("other", {}, {}).id
        for number, (macs, accuracy) in enumerate([(5, 0.5), (6, 0.4), (7, 0.7), (8, 0.99)]):
            evaluation = evaluation_row(number, macs=macs, val_accuracy=accuracy, job=job)
            origin = "coefficients" if macs == 8 else "search"
            store.add_trials(job, [new_trial(number, origin=origin)])
            end = TrialEnd(number=number, state="completed", evaluation=evaluation)
            store.finish_trial(job, end)
        store.add_trials(other, [new_trial(0)])
        reused = TrialEnd(number=0, state="completed", evaluation=evaluation_row(1).key)
        store.finish_trial(other, reused)
        front = store.front(Filter(job=job))
        assert [(row.job, row.trial, row.macs) for row in front] == [(job, 0, 5), (job, 2, 7)]
        assert [row.macs for row in store.front(Filter(job=job, origins=None))] == [5, 7, 8]
        assert [(row.job, row.trial) for row in store.front(Filter(job=other))] == [(other, 0)]
        assert [row.trial for row in store.front()] == [0, 2, 3]

    @pytest.mark.parametrize(("error", "tied"), [(0.25, [2]), (0.2, []), (None, []), (0.0, [])])
    def test_a_model_is_tied_up_to_the_error_and_no_farther(self, store, error, tied):
        for number, accuracy in [(1, 0.75), (2, 0.5), (3, 0.25)]:
            row = evaluation_row(number, macs=number, val_accuracy=accuracy, val_accuracy_se=error)
            if number == 1:
                row = replace(row, val_accuracy_se=None)
            store.save_evaluation(row)
        assert [row.macs for row in store.front(ties=True) if row.tied] == tied
        assert [row.macs for row in store.front()] == [1]

    def test_models_are_listed_best_first_within_bounds(self, store):
        for number, accuracy in enumerate([0.5, 0.9, None, 0.7]):
            row = evaluation_row(number, val_accuracy=accuracy, metrics={"top5": number / 10})
            store.save_evaluation(row)
        store.save_evaluation(evaluation_row(9, status="failed"))
        assert [row.val_accuracy for row in store.models()] == [0.9, 0.7, 0.5, None]
        bounded = Filter(at_most={"macs": 1_000_003}, at_least={"accuracy": 0.6, "top5": 0.3})
        assert [row.val_accuracy for row in store.models(bounded)] == [0.7]
        cheapest = store.models(order_by="macs", limit=2)
        assert [row.macs for row in cheapest] == [1_000_000, 1_000_001]

    @pytest.mark.parametrize("metric", ["acuracy", "a'b", 'x"]', "$.a"])
    def test_a_metric_that_is_not_known_is_refused(self, store, metric):
        with pytest.raises(InvalidRequestError, match="A metric must be one of"):
            store.front(metrics=("macs", metric), maximize=None)
        if not metric.isalpha():
            with pytest.raises(InvalidRequestError, match="A metric must be one of"):
                store.models(order_by=metric, maximize=True)

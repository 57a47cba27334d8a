"""The Gaussian process against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from nas.search.samplers import model as model_module
from nas.search.samplers.features import make_layout
from nas.search.samplers.model import Kernel, condition, fit
from search_spaces.space import Decision

DECISIONS = (
    Decision("kernel1", (3, 5, 7)),
    Decision("kernel2", (3, 5, 7)),
    Decision("skip", ("none", "identity", "pool")),
    Decision("se", (0.0, 0.25)),
)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(make_layout(DECISIONS, costs=1))


def draw(kernel: Kernel, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and targets that depend on two decisions and the cost."""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(len(d.options), size=count) for d in DECISIONS], axis=1)
    costs = rng.normal(size=(count, 1))
    targets = codes[:, 0] - 2.0 * (codes[:, 2] == 1) + costs[:, 0] + 0.1 * rng.normal(size=count)
    return kernel.layout.inputs(codes.astype(np.int16), costs), targets


def test_numeric_options_are_nearer_to_their_neighbours_in_order(kernel: Kernel) -> None:
    codes = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0]], dtype=np.int16)
    inputs = kernel.layout.inputs(codes, np.zeros((3, 1)))
    near, far = kernel(kernel.prior[0], inputs[:1], inputs[1:])[0]
    assert near > far


def test_named_options_are_all_equally_far(kernel: Kernel) -> None:
    codes = np.array([[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 2, 0]], dtype=np.int16)
    inputs = kernel.layout.inputs(codes, np.zeros((3, 1)))
    assert len(set(kernel(kernel.prior[0], inputs[:1], inputs[1:])[0].round(12))) == 1


def test_decisions_with_the_same_options_share_what_is_learned() -> None:
    """Seen only where the first kernel varies, the second's effect is guessed alike."""
    kernel = Kernel(make_layout(DECISIONS, costs=0))
    codes = np.array([[i % 3, 0, 0, 0] for i in range(30)], dtype=np.int16)
    inputs = kernel.layout.inputs(codes, np.zeros((30, 0)))
    targets = codes[:, 0].astype(float)
    posterior = condition(
        kernel, kernel.prior[0], inputs, targets, np.zeros(30), shift=1.0, scale=1.0
    )
    asked = kernel.layout.inputs(
        np.array([[0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]], dtype=np.int16), np.zeros((3, 0))
    )
    base, other_kernel, other_skip = posterior.mean(asked)
    assert other_kernel - base > 2 * abs(other_skip - base)


def test_what_larger_kernels_gain_is_a_guess_for_every_numeric_decision() -> None:
    """Seen only where the first kernel varies, more squeeze-and-excitation is guessed to gain;
    of skips, which have no order, less is."""
    kernel = Kernel(make_layout(DECISIONS, costs=0))
    codes = np.array([[i % 3, 0, 0, 0] for i in range(30)], dtype=np.int16)
    posterior = condition(
        kernel,
        kernel.prior[0],
        kernel.layout.inputs(codes, np.zeros((30, 0))),
        codes[:, 0].astype(float),
        np.zeros(30),
        shift=1.0,
        scale=1.0,
    )
    asked = np.array([[1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 2, 0]], dtype=np.int16)
    base, more, skip = posterior.mean(kernel.layout.inputs(asked, np.zeros((3, 0))))
    assert more - base > 2 * abs(skip - base)


def test_the_gradient_is_that_of_the_log_posterior(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, targets = draw(kernel, 20)
    objectives = []
    real = model_module.minimize

    def note(objective, *args, **kwargs):
        objectives.append(objective)
        return real(objective, *args, **kwargs)

    monkeypatch.setattr(model_module, "minimize", note)
    fit(kernel, inputs - inputs.mean(0), targets, np.full(20, 0.01), kernel.prior[0], 1)
    theta = kernel.prior[0] + 0.3 * np.random.default_rng(1).normal(size=kernel.size)
    _, gradient = objectives[0](theta)
    for i, step in enumerate(1e-5 * np.eye(kernel.size)):
        up, down = objectives[0](theta + step)[0], objectives[0](theta - step)[0]
        assert gradient[i] == pytest.approx((up - down) / 2e-5, abs=1e-4)


def test_fitting_finds_which_decisions_matter(kernel: Kernel) -> None:
    inputs, targets = draw(kernel, 80)
    standard = (targets - targets.mean()) / targets.std()
    theta = fit(kernel, inputs - inputs.mean(0), standard, np.zeros(80), kernel.prior[0], 60)
    kernel1, kernel2, skip, se = theta[:4]
    assert min(kernel1, skip) > max(kernel2, se)


def test_predictions_are_those_of_the_textbook(kernel: Kernel) -> None:
    """Rasmussen and Williams 2006, equations 2.25 and 2.26."""
    inputs, targets = draw(kernel, 25)
    asked, _ = draw(kernel, 6, seed=1)
    theta, noise = kernel.prior[0], np.linspace(0.0, 0.5, 25)
    posterior = condition(kernel, theta, inputs, targets, noise, shift=0.5, scale=2.0)
    mean, variance, _ = posterior.predict(asked)
    inverse = np.linalg.inv(
        kernel(theta, inputs, inputs) + np.diag(noise / 4 + kernel.noise(theta))
    )
    cross = kernel(theta, asked, inputs)
    np.testing.assert_allclose(mean, 0.5 + 2 * cross @ inverse @ ((targets - 0.5) / 2))
    expected = np.diag(kernel(theta, asked, asked) - cross @ inverse @ cross.T)
    np.testing.assert_allclose(variance, expected, rtol=1e-6)
    np.testing.assert_allclose(posterior.mean(asked), mean)


def test_a_noisy_observation_moves_the_mean_less(kernel: Kernel) -> None:
    inputs, targets = draw(kernel, 10)
    targets[0] += 5

    def at_first(error: float) -> float:
        noise = np.array([error**2] + [0.0] * 9)
        posterior = condition(kernel, kernel.prior[0], inputs, targets, noise, shift=0.0, scale=1.0)
        return float(posterior.mean(inputs[:1])[0])

    assert targets[0] - at_first(0.0) < 0.1 < targets[0] - at_first(3.0)

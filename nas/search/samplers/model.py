"""A Gaussian process over categorical decisions and log costs.

The kernel is a smooth function (Matern 5/2) of a weighted count of differing decisions, plus a
linear one for effects that add up. The weights are learned, one a decision, with a prior that
keeps a decision that has shown nothing from mattering much.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.optimize import minimize

from nas.search.samplers.features import GROWTH, SHARED, Layout

Array = NDArray[np.float64]

JITTER = 1e-6


@dataclass(frozen=True)
class Kernel:
    """Everything about the process but the data.

    Its hyperparameters are one vector of logarithms, `theta`: the layout's distance weights, the
    smooth part's variance, the linear parts' variances (one a block), and the noise's.
    """

    layout: Layout

    @property
    def size(self) -> int:
        return self.layout.weights + 2 + self.layout.blocks

    @cached_property
    def prior(self) -> tuple[Array, Array]:
        """Mean and deviation of every hyperparameter, for standardised targets.

        Effects shared by a family of decisions start small: where there are none, believing in
        them costs more than learning of them late. That larger options are better on the whole
        is likely from the start.
        """
        blocks = self.layout.blocks
        linear = [{SHARED: -3.0, GROWTH: 0.0}.get(block, -1.0) for block in range(blocks)]
        mean = [*np.log(self.layout.usual_weight), 0.0, *linear, -6.0]
        deviation = [*[1.0] * self.layout.weights, 1.5, *[1.5] * blocks, 2.0]
        return np.array(mean), np.array(deviation)

    @property
    def bounds(self) -> list[tuple[float, float]]:
        weights, blocks = self.layout.weights, self.layout.blocks
        return [(-9.0, 5.0)] * weights + [(-6.0, 6.0)] + [(-9.0, 5.0)] * blocks + [(-12.0, 1.0)]

    def distance_weights(self, theta: Array) -> Array:
        """Of each input column in the squared distance."""
        return np.exp(theta[self.layout.owner]) * self.layout.distance

    def effects(self, theta: Array) -> Array:
        """Prior variance of each input column's linear effect.

        A decision's own effects share its distance weight: one that matters, matters in both.
        """
        shared = np.exp(np.where(self.layout.tied, theta[self.layout.owner], 0.0))
        return (
            shared * self.layout.effect * np.exp(theta[self.layout.weights + 1 + self.layout.block])
        )

    def smooth_variance(self, theta: Array) -> float:
        return float(np.exp(theta[self.layout.weights]))

    def noise(self, theta: Array) -> float:
        return float(np.exp(theta[-1])) + JITTER

    def __call__(self, theta: Array, a: Array, b: Array) -> Array:
        smooth, _ = _matern(_squared(a, b, self.distance_weights(theta)))
        return self.smooth_variance(theta) * smooth + (a * self.effects(theta)) @ b.T

    def diagonal(self, theta: Array, a: Array) -> Array:
        return self.smooth_variance(theta) + (a * a) @ self.effects(theta)


def _squared(a: Array, b: Array, weights: Array) -> Array:
    weighted = a * weights
    squares = (weighted * a).sum(1)[:, None] + (b * b) @ weights - 2 * weighted @ b.T
    return np.asarray(np.maximum(squares, 0.0, out=squares))


def _matern(squared: Array) -> tuple[Array, Array]:
    """Matern 5/2 of a squared distance, and its derivative by that."""
    r = np.sqrt(5 * squared)
    decay = np.exp(-r)
    return (1 + r + r * r / 3) * decay, -(5 / 6) * (1 + r) * decay


def fit(
    kernel: Kernel, inputs: Array, targets: Array, noise: Array, start: Array, steps: int
) -> Array:
    """Find the most probable hyperparameters from `start`.

    Args:
        inputs: (n, columns), centred.
        targets: (n,), standardised.
        noise: (n,) variances that are known, in the targets' units; more is learned.
        steps: Of L-BFGS, at the most.
    """
    layout, (mean, deviation) = kernel.layout, kernel.prior
    squares, diagonal = inputs * inputs, np.diag_indices(len(targets))

    def objective(theta: Array) -> tuple[float, Array]:
        """Minus the log posterior, and its gradient."""
        weights, effects = kernel.distance_weights(theta), kernel.effects(theta)
        smooth, slope = _matern(_squared(inputs, inputs, weights))
        smooth *= kernel.smooth_variance(theta)
        covariance = smooth + (inputs * effects) @ inputs.T
        covariance[diagonal] += kernel.noise(theta) + noise
        try:
            factor = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e12, np.zeros_like(theta)
        inverse = scipy.linalg.cho_solve((factor, True), np.eye(len(targets)), check_finite=False)
        alpha = inverse @ targets
        z = (theta - mean) / deviation
        value = 0.5 * targets @ alpha + np.log(np.diag(factor)).sum() + 0.5 * z @ z

        pull = 0.5 * (inverse - np.outer(alpha, alpha))  # of the covariance on the value
        pull_slope = kernel.smooth_variance(theta) * pull * slope
        by_distance = pull_slope.sum(1) @ squares - (inputs * (pull_slope @ inputs)).sum(0)
        by_effect = effects * (inputs * (pull @ inputs)).sum(0)
        gradient = z / deviation
        np.add.at(gradient, layout.owner, 2 * weights * by_distance)
        np.add.at(gradient, layout.owner[layout.tied], by_effect[layout.tied])
        np.add.at(gradient, layout.weights + 1 + layout.block, by_effect)
        gradient[layout.weights] += (pull * smooth).sum()
        gradient[-1] += np.exp(theta[-1]) * np.trace(pull)
        return float(value), gradient

    found = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=kernel.bounds,
        options={"maxiter": steps},
    )
    return np.asarray(found.x)


@dataclass(frozen=True)
class Posterior:
    """A process that has seen data; it standardises targets inside, and only there."""

    kernel: Kernel
    theta: Array
    inputs: Array
    factor: Array
    alpha: Array
    shift: float
    scale: float

    def mean(self, inputs: Array) -> Array:
        return self.shift + self.scale * (self.kernel(self.theta, inputs, self.inputs) @ self.alpha)

    def predict(self, inputs: Array) -> tuple[Array, Array, Array]:
        """Means (n,); variances (n,) in standardised units; whitened covariances (data, n)."""
        cross = self.kernel(self.theta, self.inputs, inputs)
        white = scipy.linalg.solve_triangular(self.factor, cross, lower=True, check_finite=False)
        variance = self.kernel.diagonal(self.theta, inputs) - (white * white).sum(0)
        return self.shift + self.scale * (cross.T @ self.alpha), np.maximum(variance, 1e-10), white


def condition(
    kernel: Kernel,
    theta: Array,
    inputs: Array,
    targets: Array,
    noise: Array,
    *,
    shift: float,
    scale: float,
) -> Posterior:
    """Show data to the process; targets and noise variances in their own units."""
    covariance = kernel(theta, inputs, inputs)
    covariance[np.diag_indices(len(inputs))] += kernel.noise(theta) + noise / scale**2
    factor = _factor(covariance)
    alpha = scipy.linalg.cho_solve((factor, True), (targets - shift) / scale, check_finite=False)
    return Posterior(kernel, theta, inputs, factor, alpha, shift, scale)


def _factor(covariance: Array) -> Array:
    """Its lower Cholesky factor; where rounding has left none, that of one with more noise."""
    for share in (0.0, 1e-8, 1e-5):
        try:
            covariance[np.diag_indices(len(covariance))] += share * np.diag(covariance).mean()
            return np.asarray(scipy.linalg.cholesky(covariance, lower=True, check_finite=False))
        except np.linalg.LinAlgError:
            continue
    return np.asarray(scipy.linalg.cholesky(covariance + np.eye(len(covariance)), lower=True))

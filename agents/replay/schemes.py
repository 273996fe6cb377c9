"""Replay schemes: how batches of objects are drawn, and which objects a full buffer keeps.

| scheme | a full buffer keeps | a batch is |
|---|---|---|
| fifo | the newest | distinct objects, uniform |
| uniform | a uniform sample of all distinct objects ever added | distinct objects, uniform |
| proportional | the highest rewards | independent draws, with probability R(x) / sum R |
| prioritized | the highest rewards | distinct objects: half from the top 10% of rewards, half from the rest |
| loss | the newest | independent draws, by the rank of their losses |
| diverse | the highest rewards that are apart from each other | distinct objects, uniform |

An agent takes the name of a scheme, also with keywords, ``diverse(distance=2)``; a :class:`Scheme`, ``make_agent("tb",
dag, replay=MyScheme())``; or its ``module:name``.

If rewards are equal, the newer object is kept.
"""

from __future__ import annotations

import abc
import dataclasses
import functools

import numpy as np

from agents.keywords import name_and_keywords
from gfn_envs import named
from gfn_envs.arrays import BoolArray, FloatArray, IntArray


@dataclasses.dataclass(frozen=True)
class Stored:
    """The m objects in a buffer, as schemes see them: arrays that are views, not to be changed."""

    objects: IntArray
    """(m, state_width)"""
    log_reward: FloatArray
    """float64 (m,)"""
    ages: IntArray
    """Number of objects added since, int64 (m,): 0 for the newest."""
    losses: FloatArray
    """Loss of the trajectory last replayed to each object, float64 (m,); infinite before it is replayed. Only if
    ``needs_losses``."""


class Scheme(abc.ABC):
    """Rule for the objects that a full buffer keeps and for those that a batch replays."""

    name: str
    needs_losses: bool = False
    """True if :meth:`draw` reads ``stored.losses``. They cost one more evaluation of each replayed batch."""

    @abc.abstractmethod
    def rank(self, objects: IntArray, log_reward: FloatArray) -> FloatArray:
        """Rank of objects, float64 (n,): a full buffer drops the lowest first, and the oldest among equals."""

    def admits(self, stored: Stored, objects: IntArray, log_reward: FloatArray) -> BoolArray:
        """True for each of ``objects`` (n,), none of them stored, that may enter a full buffer."""
        return np.ones(len(objects), dtype=bool)

    @abc.abstractmethod
    def draw(self, stored: Stored, n: int, rng: np.random.Generator) -> IntArray:
        """Indices, int64 (at most n,), of a batch among the stored objects, of which there is at least one."""


class FIFO(Scheme):
    """Uniform over the newest objects: a full buffer drops the oldest."""

    name = "fifo"

    def rank(self, objects: IntArray, log_reward: FloatArray) -> FloatArray:
        return np.zeros(len(objects))

    def draw(self, stored: Stored, n: int, rng: np.random.Generator) -> IntArray:
        return _distinct_draws(len(stored.objects), n, rng)


class Uniform(Scheme):
    """Uniform over all distinct objects seen: a full buffer keeps those with the largest hash.

    The hash acts as a random number of the object, so the buffer is a uniform sample of all distinct objects ever added
    (a bottom-k sketch; Cohen and Kaplan 2007).
    """

    name = "uniform"

    def rank(self, objects: IntArray, log_reward: FloatArray) -> FloatArray:
        hashes = objects.astype(np.int64).astype(np.uint64) @ _hash_weights(objects.shape[1])
        # The finalizer of splitmix64: every bit of the sum affects the leading bits.
        hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (hashes >> np.uint64(11)).astype(np.float64)

    def draw(self, stored: Stored, n: int, rng: np.random.Generator) -> IntArray:
        return _distinct_draws(len(stored.objects), n, rng)


class Proportional(Scheme):
    """Independent draws with probability proportional to the reward, with replacement."""

    name = "proportional"

    def rank(self, objects: IntArray, log_reward: FloatArray) -> FloatArray:
        return log_reward

    def draw(self, stored: Stored, n: int, rng: np.random.Generator) -> IntArray:
        log_reward = stored.log_reward
        return draw_in_proportion(np.exp(log_reward - log_reward.max()), rng.random(n))


class Prioritized(Scheme):
    """Prioritized replay training, PRT (Shen et al. 2023, section 4).

    The top part is the ceil(m / 10) highest of m rewards, with ties for the last places broken at random in each batch.
    Of n distinct objects, ceil(n / 2) are drawn uniformly from the top part and the others from the rest. If a part has
    too few objects, the other part fills up; if the buffer has fewer than n, each is drawn once. (The published code
    draws with replacement, counts objects that tie at the 90th percentile in both parts, and replays nothing before
    there are 10 objects.)
    """

    name = "prioritized"

    def rank(self, objects: IntArray, log_reward: FloatArray) -> FloatArray:
        return log_reward

    def draw(self, stored: Stored, n: int, rng: np.random.Generator) -> IntArray:
        log_reward = stored.log_reward
        m = len(log_reward)
        top = -(-m // 10)
        threshold = kth_largest(log_reward, top)
        above, tied = np.flatnonzero(log_reward > threshold), np.flatnonzero(log_reward == threshold)
        below = np.flatnonzero(log_reward < threshold)
        # The top part is `above` and `tied_top` random ones of the tied objects. By symmetry, it is enough to draw how
        # many objects of the batch are tied ones.
        tied_top = top - len(above)
        half = min(-(-n // 2), top)
        other = min(n - half, m - top)
        from_above = int(rng.hypergeometric(len(above), tied_top, half)) if half else 0
        from_below = int(rng.hypergeometric(len(below), len(tied) - tied_top, other)) if other else 0
        from_tied = half - from_above + other - from_below
        return np.concatenate(
            [
                above[_distinct_draws(len(above), from_above, rng)],
                tied[_distinct_draws(len(tied), from_tied, rng)],
                below[_distinct_draws(len(below), from_below, rng)],
            ]
        )


class LossPrioritized(FIFO):
    """Independent draws with probability proportional to 1 / (k m + rank), with rank 0 for the largest of m losses.

    Rank-based prioritization (Tripp et al. 2020; Kim et al. 2025, whose code has k = 0.01 and a fifo buffer). Objects
    that were not replayed yet rank first. Departure: that code keeps the loss of the trajectory that found an object;
    this one keeps that of the last trajectory replayed to it.

    Args:
        k: > 0. A small k replays almost only the largest losses; a large one replays all objects equally.
    """

    name = "loss"
    needs_losses = True

    def __init__(self, k: float = 0.01):
        if not 0 < k < np.inf:
            raise ValueError(f"k must be finite and > 0, got {k}")
        self.k = k

    def draw(self, stored: Stored, n: int, rng: np.random.Generator) -> IntArray:
        m = len(stored.losses)
        ranks = draw_in_proportion(1 / (self.k * m + np.arange(m)), rng.random(n))
        return np.argpartition(-stored.losses, np.unique(ranks))[ranks]


class Diverse(Proportional):
    """A full buffer takes an object only if it is more than ``distance`` away from all stored ones (L1, on states).

    Of several new objects that are too close to each other, the one of higher reward enters. This is the
    NormBasedDiversePrioritizedReplayBuffer of torchgfn; as there, all distances are allowed until the buffer is full.

    Args:
        distance: >= 0.
    """

    name = "diverse"

    def __init__(self, distance: float = 1.0):
        if not 0 <= distance < np.inf:
            raise ValueError(f"distance must be finite and >= 0, got {distance}")
        self.distance = distance

    def admits(self, stored: Stored, objects: IntArray, log_reward: FloatArray) -> BoolArray:
        good: BoolArray = log_reward >= stored.log_reward.min()
        for i in np.argsort(-log_reward, kind="stable"):
            better = good & (log_reward >= log_reward[i])
            better[i:] &= log_reward[i:] > log_reward[i]
            good[i] = good[i] and self.apart(objects[i], stored.objects) and self.apart(objects[i], objects[better])
        return good

    def apart(self, row: IntArray, others: IntArray) -> bool:
        """True if ``row`` (state_width,) is far from all of ``others`` (m, state_width)."""
        return bool((abs(others.astype(np.int64) - row).sum(1) > self.distance).all())

    def draw(self, stored: Stored, n: int, rng: np.random.Generator) -> IntArray:
        return _distinct_draws(len(stored.objects), n, rng)


@functools.lru_cache
def _hash_weights(width: int) -> IntArray:
    return np.random.default_rng(0).integers(2**63, size=width, dtype=np.uint64) * 2 + 1


#: name -> scheme
SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme for scheme in (FIFO(), Uniform(), Proportional(), Prioritized(), LossPrioritized(), Diverse())
}
#: The scheme of ``replay="auto"``, by whether rewards are expensive, so that objects are worth more than one step.
AUTOMATIC = {False: "none", True: "prioritized"}


def scheme_named(name: str) -> Scheme:
    """The scheme with that name, ``name(keyword=value)``, or ``module:name``: a :class:`Scheme` or a class of them.

    Raises:
        ValueError: an unknown name, a module without it, or keywords that the scheme does not take.
        ImportError: the module does not exist or cannot be imported.
        TypeError: the name is not that of a scheme.
    """
    bare, keywords = name_and_keywords(name, "replay", "distance=2")
    if name not in SCHEMES and keywords and bare in SCHEMES:
        try:
            SCHEMES[name] = type(SCHEMES[bare])(**keywords)
        except (TypeError, ValueError) as error:
            raise ValueError(f"replay {name}: {error}") from None
        SCHEMES[name].name = name  # Saved runs name the keywords.
    if name not in SCHEMES:
        if not named.is_named(name):
            raise ValueError(f"unknown scheme {name!r} (available: {', '.join(SCHEMES)})")
        scheme: Scheme = named.load_instance(name, Scheme, "replay")  # type: ignore[type-abstract]
        scheme.name = name  # Saved runs name the module.
        SCHEMES[name] = scheme
    return SCHEMES[name]


def register(scheme: Scheme) -> str:
    """Register a user's scheme by its ``name``, which is returned, in this process.

    Raises:
        ValueError: a scheme of another class has that name.
    """
    known = SCHEMES.get(scheme.name, scheme)
    if scheme.name == "none" or type(known) is not type(scheme):
        raise ValueError(f"there is a scheme named {scheme.name!r} already; choose another name")
    SCHEMES[scheme.name] = scheme
    return scheme.name


def _distinct_draws(m: int, n: int, rng: np.random.Generator) -> IntArray:
    """min(n, m) distinct indices below m, in random order."""
    return rng.choice(m, min(n, m), replace=False) if min(n, m) else np.empty(0, dtype=np.int64)


def draw_in_proportion(weights: FloatArray, u: FloatArray, block: int = 64) -> IntArray:
    """Indices i, int64 (n,), with sum(weights[:i]) <= u * sum(weights) < sum(weights[:i + 1]), up to rounding.

    Blocks are summed first, so that only blocks that are drawn from are accumulated entry by entry.

    Args:
        weights: (m,), finite, >= 0, not all 0. An entry of weight 0 is never drawn.
        u: numbers in [0, 1), (n,).
        block: entries per block.
    """
    blocks = np.zeros((-(-len(weights) // block), block))
    blocks.reshape(-1)[: len(weights)] = weights
    cumulative = blocks.sum(1).cumsum()
    point = u * cumulative[-1]
    # Rounding can exceed the total: use the last entry with positive weight then.
    chosen = np.minimum(cumulative.searchsorted(point, side="right"), cumulative.searchsorted(cumulative[-1]))
    rest = point - np.where(chosen > 0, cumulative[chosen - 1], 0.0)
    within = blocks[chosen].cumsum(1)
    position = np.minimum((within <= rest[:, None]).sum(1), (within < within[:, -1:]).sum(1))
    return chosen * block + position


def kth_largest(values: FloatArray, k: int) -> float:
    """The k-th largest of ``values`` (m,), 1 <= k <= m, exactly.

    For many values, a subsample gives two bounds that usually enclose the result. Only the values between them are
    partitioned, which is several times faster.
    """
    m = len(values)
    if m >= 4096:
        some = np.sort(values[:: m // 1024])
        place = (m - k) * len(some) // m
        low, high = some[max(place - 64, 0)], some[min(place + 64, len(some) - 1)]
        between = values[(values >= low) & (values <= high)]
        rank = k - int(np.count_nonzero(values > high))
        if 0 < rank <= len(between):
            values, m, k = between, len(between), rank
    return float(np.partition(values, m - k)[m - k])

"""Stepper: legality, steps, rewards and observations of a batch of states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from gfn_envs import exact
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, observation_at
from gfn_envs.border import check_once, log_rewards
from gfn_envs.dag import Dag

REWARD_MODES = ("reward", "log_reward", "soft")
#: The reward mode of environments with components of their reward.
VECTOR = "vector"
OBSERVATIONS = ("state", "features")
MASK_DTYPES = (np.dtype(np.int8), np.dtype(np.bool_))
METADATA: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}

#: Options of reset. Vector environments of Gymnasium give a mask of environments to reset.
OPTIONS = {"state", "condition", "reset_mask"}


class Stepper:
    """Legality, steps, rewards and observations of a batch of states, shared by GFNEnv and GFNVectorEnv.

    Args:
        dag: the DAG.
        reward_mode: ``"reward"``: R(x) at the end of the episode, 0 before. ``"log_reward"``: log R(x) instead.
            ``"soft"``: log P_B(s|s') under the uniform backward policy in every step, plus log R(x) in the last. With
            entropy coefficient 1 and discount 1, the optimal maximum-entropy policy then samples x in proportion to
            R(x) (Tiapkin et al. 2024, Generative Flow Networks as Entropy-Regularized RL). ``"vector"``: the components
            of the reward at the end, zeros before, as MO-Gymnasium has them: float32 (m,), in ``reward_space``.
        observation: ``"state"`` (the environment's own space) or ``"features"`` (a float32 Box, the network input).
        dict_observation: if True, observations are ``{"observations": ..., "action_mask": mask}``.
        illegal_reward: reward of an illegal action, which ends the episode; finite.
        mask_key, observation_key: keys of the dictionary. The defaults are those of RLlib; PettingZoo uses
            ``"observation"`` for the second, Tianshou uses ``"mask"`` and ``"obs"``.
        mask_dtype: dtype of masks in observations and infos: ``"int8"``, which Gymnasium's ``sample(mask)`` takes, or
            ``bool``. After the end of an episode no action is legal and every entry is 0. Fill logits of illegal
            actions with a finite number, such as ``np.where(mask, logits, np.finfo(logits.dtype).min)``: then the
            softmax of such a row is uniform, where a fill of -inf makes it NaN.

    Raises:
        ValueError: an argument is not one of the values above.
    """

    def __init__(
        self,
        dag: Dag,
        reward_mode: str = "reward",
        observation: str = "state",
        dict_observation: bool = False,
        illegal_reward: float = -10.0,
        mask_key: str = "action_mask",
        observation_key: str = "observations",
        mask_dtype: npt.DTypeLike = "int8",
    ):
        for name, value, allowed in [
            ("reward_mode", reward_mode, (*REWARD_MODES, VECTOR)),
            ("observation", observation, OBSERVATIONS),
        ]:
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {value!r}")
        if (mask_type := _dtype(mask_dtype)) not in MASK_DTYPES:
            raise ValueError(f"mask_dtype must be 'int8' or bool, got {mask_dtype!r}")
        self.mask_dtype = mask_type
        if not np.isfinite(illegal_reward):
            raise ValueError(f"illegal_reward must be finite, got {illegal_reward}")
        if mask_key == observation_key:
            raise ValueError(f"mask_key and observation_key must differ, got {mask_key!r} for both")
        if dag.on_error == "skip":
            raise ValueError(
                f"{type(dag).__name__}: on_error='skip' leaves trajectories out of an agent's batch, and a Gymnasium "
                "environment has no batch; use on_error='floor' or a number > 0"
            )
        check_once(dag)
        self.dag = dag
        #: Shape of a reward: (), or (m,) for vectors.
        self.reward_shape: tuple[int, ...] = ()
        self.reward_space: spaces.Box | None = None
        if reward_mode == VECTOR:
            found = self._scores(dag.source(0))
            if not found:
                raise ValueError(f'reward_mode="vector" needs components of the reward, but {dag!r} has none')
            self.reward_shape = (len(found),)
            self.reward_space = spaces.Box(-np.inf, np.inf, self.reward_shape, np.float32)
        self.mask_key, self.observation_key = mask_key, observation_key
        self.reward_mode, self.observation = reward_mode, observation
        self.dict_observation, self.illegal_reward = bool(dict_observation), float(illegal_reward)
        self.action_space = spaces.Discrete(dag.num_actions)
        self.observation_space: spaces.Space[Any] = dag.observation_space
        if observation == "features":
            low, high = dag.feature_bounds
            self.observation_space = spaces.Box(low, high, (dag.num_features,), np.float32)
        if dict_observation:
            mask_space = spaces.Box(0, 1, (dag.num_actions,), self.mask_dtype.type)
            self.observation_space = spaces.Dict({mask_key: mask_space, observation_key: self.observation_space})

    def start(self, n: int, options: dict[str, Any] | None, streams: Sequence[np.random.Generator] = ()) -> IntArray:
        """Initial states (n, state_width): s0, or ``options["state"]`` in every row.

        With conditions, ``options["state"]`` is a state of the environment without a condition. Each row has
        ``options["condition"]``, numbers (k,) or numbers by name, or a condition drawn from its own random stream.

        Raises:
            ValueError: ``options["state"]`` is not a row of integers, is not reachable from s0, or is terminal;
                ``options["condition"]`` is out of range, or the environment has no conditions; or an option is unknown.
        """
        dag, options = self.dag, options or {}
        if unknown := sorted(map(str, set(options) - OPTIONS)):
            raise ValueError(f"options of reset: unknown {', '.join(unknown)}; allowed: {', '.join(sorted(OPTIONS))}")
        if dag.conditions is None:
            if options.get("condition") is not None:
                raise ValueError(f'options["condition"]: {dag!r} has no conditions')
            return self._states(dag, n, options)
        states, given = self._states(dag.base, n, options), options.get("condition")  # type: ignore[attr-defined]
        if given is not None:
            drawn = dag.conditions.checked(given)
        elif streams:
            drawn = np.concatenate([dag.conditions.sample(1, stream) for stream in streams])
        else:
            drawn = dag.conditions.default[None]
        return dag.join(states, drawn)  # type: ignore[attr-defined]

    def _states(self, dag: Dag, n: int, options: dict[str, Any]) -> IntArray:
        """s0 of ``dag``, or ``options["state"]``, in ``n`` rows."""
        state = options.get("state")
        if state is None:
            return dag.source(n)
        row = np.asarray(state)
        if row.shape != (dag.state_width,) or not np.issubdtype(row.dtype, np.integer):
            raise ValueError(
                f'options["state"] must be {dag.state_width} integers, got shape {row.shape} and dtype {row.dtype}'
            )
        states = row[None].astype(dag.state_dtype)
        if (states != row).any() or not is_reachable(dag, states).all():
            raise ValueError(f'options["state"] {row.tolist()} is not a state of {dag!r}: it must be reachable from s0')
        if dag.is_terminal(states)[0]:
            raise ValueError(f'options["state"] {row.tolist()} is terminal: no action is legal there')
        return np.repeat(states, n, axis=0)

    def no_reward(self, n: int) -> FloatArray:
        """Zero rewards of ``n`` steps: float64 (n,), or (n, m) for vectors."""
        return np.zeros((n, *self.reward_shape))

    def apply(self, states: IntArray, actions: IntArray) -> tuple[IntArray, BoolArray, FloatArray, BoolArray]:
        """Take legal ``actions`` (n,).

        Returns:
            ``(states, mask, reward, terminated)`` after the step, fresh arrays.
        """
        dag = self.dag
        after = dag.step(states, actions)
        terminated = dag.is_terminal(after)
        reward = dag.uniform_log_pb(after) if self.reward_mode == "soft" else self.no_reward(len(after))
        ended = terminated.nonzero()[0]
        if len(ended) and self.reward_shape:
            reward[ended] = self._components(after.take(ended, axis=0))
        elif len(ended):
            log_reward = log_rewards(dag, after.take(ended, axis=0))
            reward[ended] += self._paid(log_reward, after, ended)
        return after, dag.forward_mask(after), reward, terminated

    def _components(self, objects: IntArray) -> FloatArray:
        """The components of the reward of objects, float64 (n, m)."""
        return np.stack(list(self._scores(objects).values()), axis=1)

    def _scores(self, objects: IntArray) -> Mapping[str, FloatArray]:
        """The components of the reward of objects, by name; {} without components."""
        dag = self.dag
        if dag.conditions is not None:
            objects, dag = dag.states_of(objects), dag.base  # type: ignore[attr-defined]
        return dag.reward_components(objects) if dag.has("reward_components") else {}

    def _paid(self, log_reward: FloatArray, states: IntArray, ended: IntArray) -> FloatArray:
        """Final rewards of the objects at positions ``ended`` of ``states``."""
        if self.reward_mode != "reward":
            return log_reward
        if (log_reward > exact.LARGEST_LOG).any():
            best = int(log_reward.argmax())
            name = self.dag.object_names(states[ended[best]][None])[0]
            raise ValueError(
                f"{self.dag!r}: R(x) of {name} is exp({log_reward[best]:g}), too large for a "
                'number; use reward_mode="log_reward" or "soft"'
            )
        return np.exp(log_reward)

    def advance(
        self, states: IntArray, mask: BoolArray, actions: IntArray
    ) -> tuple[IntArray, BoolArray, FloatArray, BoolArray, BoolArray]:
        """Take any ``actions`` (n,), legal or not.

        An illegal action keeps the state, ends the episode and receives ``illegal_reward``. If the episode of a row has
        ended, no action is legal.

        Returns:
            ``(states, mask, reward, terminated, illegal)`` after the step, fresh arrays.
        """
        n = len(states)
        # Viewed as unsigned integers, negative actions are larger than any legal one.
        in_range = actions.view(np.uint64) < np.uint64(self.dag.num_actions)
        starts = np.arange(n) * self.dag.num_actions
        legal = mask.ravel().take(starts + actions, mode="clip") & in_range
        if np.count_nonzero(legal) == n:
            return *self.apply(states, actions), ~legal
        after, reward = states.copy(), self.no_reward(n) + self.illegal_reward
        new_mask, terminated = np.zeros_like(mask), np.ones(n, dtype=bool)
        if legal.any():
            after[legal], new_mask[legal], reward[legal], terminated[legal] = self.apply(states[legal], actions[legal])
        return after, new_mask, reward, terminated, ~legal

    def parents(self, state: IntArray) -> list[tuple[Any, int]]:
        """(parent's observation, action from the parent to ``state``), one pair per legal backward action."""
        _, states, actions = self.dag.parents(state[None])
        seen = self.observe(states, self.dag.forward_mask(states))
        return [(observation_at(seen, i), action) for i, action in enumerate(actions.tolist())]

    def observe(self, states: IntArray, mask: BoolArray) -> Any:
        """Batched observations of ``states``."""
        seen = self.dag.encode(states) if self.observation == "features" else self.dag.observe(states)
        return {self.mask_key: self.shown(mask), self.observation_key: seen} if self.dict_observation else seen

    def shown(self, mask: BoolArray) -> npt.NDArray[Any]:
        """A copy of a mask in ``mask_dtype``."""
        return mask.astype(self.mask_dtype)


def _dtype(given: Any) -> Any:
    """The NumPy dtype of that name or type; None if it is unknown."""
    try:
        return None if given is None else np.dtype(given)
    except TypeError:
        return None


def is_reachable(dag: Dag, states: IntArray) -> BoolArray:
    """True for rows that are reachable from s0, bool (n,). ``states`` are any integers (n, state_width).

    Follows the first legal backward action of each row and checks that a legal forward action undoes it. In a
    well-formed DAG every backward walk from a reachable state ends at s0. From any other row the walk does not end at
    s0, or it contains a step that no forward action undoes.
    """
    try:
        return _walks_back(dag, states)
    except (IndexError, KeyError, ValueError, OverflowError):
        # A Dag may raise anything for rows that are not states. Bisection finds the rows that raise.
        if len(states) < 2:
            return np.zeros(len(states), dtype=bool)
        return np.concatenate([is_reachable(dag, half) for half in np.array_split(states, 2)])


def _walks_back(dag: Dag, states: IntArray) -> BoolArray:
    reached, rows = np.zeros(len(states), dtype=bool), np.arange(len(states))
    for _ in range(dag.max_length + 1):
        legal = dag.backward_mask(states)
        going = legal.any(1)
        reached[rows[~going]] = (states[~going] == dag.source(1)).all(1)
        states, rows, legal = states[going], rows[going], legal[going]
        if not len(rows):
            break
        back = legal.argmax(1)
        parents, actions = dag.undo(states, back), dag.forward_action(states, back)
        good = (actions >= 0) & (actions < dag.num_actions)
        good[good] = dag.forward_mask(parents[good])[np.arange(good.sum()), actions[good]]
        good[good] = (dag.step(parents[good], actions[good]) == states[good]).all(1)
        states, rows = parents[good], rows[good]
    return reached

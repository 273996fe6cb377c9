"""An oracle: a reward whose calls are expensive, and may fail."""

from __future__ import annotations

import functools
import logging
import math
import os
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.oracle.identity import default_name, function_name, function_version, object_text
from gfn_envs.oracle.slots import Here, LokySlot, Pool, Slot, pickled
from gfn_envs.oracle.store import Call, CallLog
from gfn_envs.oracle.tasks import Task, calls_of, decided, reason, split, taken
from gfn_envs.reward_errors import BudgetSpent, OracleError, RewardError
from gfn_envs.validation import checked_reward_function, positive, positive_int

logger = logging.getLogger(__name__)

#: Names of objects as their user writes them: objects (n) -> n texts.
Names = Callable[[Any], list[str]]


class Oracle:
    """A function of n objects to n values that calls your function only if it must.

    Calls run in worker processes of this machine (joblib's loky) or of a cluster (Ray), at most ``workers`` at a time.
    Each is written to a log when it begins and when it ends. An object that is in the log is not called again, in this
    run or a later one. Give an oracle to an environment as its ``reward``, or make one for an environment:
    :meth:`of`.

    Args:
        function: your function of one object, or of a batch of objects with ``batch_size``. It returns a number per
            object, or a mapping with a "value" and further numbers, its components, for the log. The environment
            decides the form of an object: a row of numbers, a text, a SMILES or an RDKit Mol.
        batch_size: number of objects per call of a function of batches; None: the function takes one object.
        workers: number of processes; 0: this process.
        address: a Ray cluster on which the workers run: "auto" (the one of this machine), "HOST:PORT", "ray://HOST:PORT"
            or "local" (Ray is started here). None: this machine, without Ray.
        timeout: time limit in seconds per object. A call that takes longer fails: it is interrupted or its process is
            killed. None: no limit.
        retries: how often a failed call is repeated. A call fails if it raises, returns NaN or something other than
            numbers, takes too long, or if its process dies. The objects of a failed batch are called one by one first.
        budget: maximum number of calls of this run, including failed calls, repetitions and the calls of earlier
            processes in the log; None: no limit. Each object of a batch is a call.
        log: SQLite file of the calls (:mod:`gfn_envs.oracle.store`); None: they are kept in memory.
        name: name of the function in the log. Default: its module, name and version, a hash of its source.
        run: name of the run in the log, whose calls the budget limits.

    Raises:
        TypeError: ``function`` is not a function of one argument.
        ValueError: a number is out of range, or an option needs ``workers``.

    Attributes:
        saved: number of objects whose value was known, from the log or from earlier in this process.
        watch: called whenever calls have ended, by a progress bar for example; None at first.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        batch_size: int | None = None,
        workers: int = 0,
        address: str | None = None,
        timeout: float | None = None,
        retries: int = 0,
        budget: int | None = None,
        log: str | os.PathLike[str] | None = None,
        name: str | None = None,
        run: str = "",
    ):
        self.function = checked_reward_function(function, "Oracle", "an object" if batch_size is None else "a batch")
        self.batch_size = None if batch_size is None else positive_int("batch_size", batch_size, "Oracle")
        self.workers = positive_int("workers", workers, "Oracle", at_least=0)
        self.address, self.log_path, self.run = address, log, run
        self.timeout = None if timeout is None else positive("timeout", timeout, "Oracle")
        self.retries = positive_int("retries", retries, "Oracle", at_least=0)
        self.budget = None if budget is None else positive_int("budget", budget, "Oracle", at_least=0)
        for option, value in (("timeout", timeout), ("address", address)):
            if value is not None and self.workers == 0:
                raise ValueError(f"Oracle: {option} needs workers >= 1: a call in this process cannot be ended")
        self.name = name
        self.names: Names | None = None
        self.saved = 0
        self.watch: Callable[[], object] | None = None
        self._again: Counter[str] = Counter()
        self._log: CallLog | None = None
        self._pool: Pool | None = None

    @classmethod
    def of(cls, dag: Any, **settings: Any) -> Oracle:
        """An oracle that calls the reward of an environment. The environment uses it from now on.

        If the environment was made with a function as its reward, the oracle calls that function. Otherwise it calls
        the environment's own ``log_reward``, whose values are then log R.

        Args:
            dag: the environment.
            **settings: arguments of :class:`Oracle`. ``batch_size`` is the number of objects per call, by default 1.
        """
        found: list[Oracle] = []

        def wrap(function: Callable[[Any], Any], batched: bool, names: Names | None = None) -> Oracle:
            size = settings.get("batch_size")
            if batched and size is None:
                size = 1
            elif not batched and size is not None:
                raise ValueError(f"{type(dag).__name__}: its reward takes one object, so batch_size must be None")
            found.append(cls(function, **{**settings, "batch_size": size}))
            found[0].names = names
            return found[0]

        dag.wrap_reward(wrap)
        found[0].serve(dag)
        return found[0]

    def serve(self, dag: Any, names: Names | None = None) -> None:
        """Register with an environment: its rewards are expensive, and runs report the calls.

        ``names`` gives the names of objects in the log.
        """
        dag.oracle, dag.expensive_reward = self, True
        self.names = names or self.names

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that make the same oracle again, apart from the function, as JSON."""
        path = None if self.log_path is None else os.path.abspath(self.log_path)
        names = ("batch_size", "workers", "address", "timeout", "retries", "budget", "name", "run")
        return {name: getattr(self, name) for name in names} | {"log": path}

    @property
    def log(self) -> CallLog:
        """The log of calls, opened at first use."""
        if self._log is None or self._log.pid != os.getpid():
            self._log = self._open_log()
        return self._log

    def _open_log(self) -> CallLog:
        named = self.name or function_name(self.function)
        version = "" if self.name or self.log_path is None else f" {function_version(self.function)}"
        log = CallLog(self.log_path, named + version, self.run)
        if version and (count := log.others(f"{named} ")):
            logger.warning(
                "%s: %d calls of another version of %s are not reused (give the oracle a name to reuse them)",
                self.log_path, count, named,
            )  # fmt: skip
        return log

    @property
    def used(self) -> int:
        """Number of calls of this run so far, those of earlier processes included."""
        return self.log.calls

    @property
    def text(self) -> str:
        """Calls used, allowed and saved, on one line."""
        allowed = "" if self.budget is None else f"/{self.budget}"
        return f"{self.used}{allowed} calls, {self.saved} saved"

    # ------------------------------------------------------------------ calls

    def __call__(self, objects: Any, names: Sequence[str] | None = None) -> FloatArray:
        """Values of objects, float64 (n,).

        Args:
            objects: an array whose rows are the objects, or a list of n objects.
            names: their names. They identify objects that are not texts or numbers.

        Raises:
            RewardError: the calls of an object failed. The others are in the log.
            BudgetSpent: the budget does not cover all calls. The calls that it covers are made, and are in the log.
            OracleError: the log cannot be written, or workers cannot start.
        """
        if len(objects) == 0:
            return np.zeros(0)
        if names is None:
            names = [default_name(o) for o in objects] if self.names is None else self.names(objects)
        texts = [object_text(value, name) for value, name in zip(objects, names, strict=True)]
        first = {text: i for i, text in reversed(list(enumerate(texts)))}
        known: dict[str, Call] = {}
        tasks: list[int] = []
        attempts: dict[str, int] = {}
        for text, i in sorted(first.items(), key=lambda item: item[1]):
            result, attempts[text] = decided(self.log.of(text), self.retries)
            if result is None:
                tasks.append(i)
            else:
                known[text] = result
        # After a failure, environments ask for the objects of a batch again, one by one.
        again = self._again & Counter(texts)
        self._again -= again
        self.saved += max(0, len(texts) - again.total() - len(tasks))
        if tasks:
            size = self.batch_size or 1
            parts = [tasks[k : k + size] for k in range(0, len(tasks), size)]
            queue = deque(
                Task(taken(objects, part), [texts[i] for i in part], [names[i] for i in part],
                     [attempts[texts[i]] + 1 for i in part])
                for part in parts
            )  # fmt: skip
            self._make_calls(queue, known)
        failed = [text for text in texts if known[text].status != "ok"]
        if failed:
            self._again = Counter(texts) if len(texts) > 1 else self._again
            call = known[failed[0]]
            raise RewardError(f"object {call.name}: {reason(call)}", call.name)
        return np.array([known[text].value for text in texts], dtype=np.float64)

    def _make_calls(self, queue: deque[Task], known: dict[str, Call]) -> None:
        """Call the function on all tasks, within the budget, and add the results to ``known``."""
        left = math.inf if self.budget is None else max(0, self.budget - self.used)
        problems: list[Exception] = []
        pool = self._started_pool()
        try:
            while (queue and left > 0 and not problems) or pool.running:
                tasks: list[Task] = []
                while queue and left > 0 and not problems and len(tasks) < len(pool.free):
                    task = queue.popleft()
                    if len(task.texts) > left:
                        task, rest = split(task, int(left))
                        queue.appendleft(rest)
                    left -= len(task.texts)
                    tasks.append(task)
                try:
                    self._begin(tasks, pool)
                except OracleError as error:
                    problems.append(error)
                # Even after an error, wait for calls that have begun: they are paid for.
                ended = pool.wait() if pool.running or not problems else []
                calls = [calls_of(task, reply) for (task, _), reply in ended]
                try:
                    self.log.end([id for (_, ids), _ in ended for id in ids], [call for each in calls for call in each])
                except OracleError as error:
                    problems.append(error)
                for ((task, _), reply), each in zip(ended, calls, strict=True):
                    problems += [] if reply.fatal is None else [reply.fatal]
                    self._sort(task, each, queue, known)
                if ended and self.watch is not None:
                    self.watch()
        except BaseException:
            self.close()
            raise
        if len(problems) > 1 and all(isinstance(error, OracleError) for error in problems):
            raise OracleError("; ".join(dict.fromkeys(map(str, problems))))
        if problems:
            raise problems[0]
        if queue:
            named = self.name or function_name(self.function)
            raise BudgetSpent(f"the budget of {self.budget} calls of {named} is spent")

    def _begin(self, tasks: list[Task], pool: Pool) -> None:
        """Write the beginning of calls, in one transaction, and make them in free slots of ``pool``."""
        ids = iter(self.log.begin([row for task in tasks for row in zip(*task[1:], strict=True)]) if tasks else [])
        for task in tasks:
            limit = None if self.timeout is None else self.timeout * len(task.texts)
            own = [next(ids) for _ in task.texts]
            pool.submit((task, own), task.objects, self.batch_size is not None, limit)

    def _sort(self, task: Task, calls: list[Call], queue: deque[Task], known: dict[str, Call]) -> None:
        """Add the results of calls to ``known``, or put the calls that are repeated at the end of the queue."""
        for i, call in enumerate(calls):
            if call.status == "ok" or call.attempt > self.retries:
                known[call.object] = call
            else:
                part = slice(i, i + 1)
                queue.append(Task(task.objects[part], task.texts[part], task.names[part], [call.attempt + 1]))

    def _started_pool(self) -> Pool:
        if self._pool is None:
            self._pool = Pool(self._slots(), max(1, self.workers))
            weakref.finalize(self, self._pool.close)
        return self._pool

    def _slots(self) -> Callable[[], Slot]:
        if self.workers == 0:
            return functools.partial(Here, self.function)
        function = pickled(self.function)
        if self.address is None:
            return functools.partial(LokySlot, function, max(1, (os.cpu_count() or 1) // self.workers))
        from gfn_envs.oracle.cluster import RaySlot, connect  # Ray is optional, and takes a second to import.

        return functools.partial(RaySlot, connect(self.address), function)

    def close(self) -> None:
        """End the workers. The next call starts new ones."""
        if self._pool is not None:
            self._pool.close()

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles open the log, and start workers, for themselves.
        return {**self.__dict__, "_log": None, "_pool": None, "watch": None}

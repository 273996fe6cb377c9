"""Our library: training and random rollouts on GFN/BayesNet-v0, GFN/PhyloTree-v0 and GFN/Ising-v0.

Task: env (name), instance (a JSON file: arguments of the environment), agent (name), settings (of the agent), batch (of
random rollouts), seed, threads. A request {"iterations": n} trains n iterations. With "random": true it samples n
batches of random trajectories and their log rewards instead.
"""

import json
import time
from pathlib import Path

from protocol import serve, settings, train

import agents
import gfn_envs
from agents.threads import working_threads
from benchmarks.environments import generator, sample_dropped

#: Iterations after which training is timed. At first, log Z is compared with every batch, later with one of many.
LATE = 10_000

task = settings(__doc__)
dag = gfn_envs.make_dag(f"GFN/{task.env}-v0", **json.loads(Path(task.instance).read_text()))
agent = agents.make_agent(task.agent, dag, seed=task.seed, **task.settings)
agent.iteration = LATE
rng = generator(task.seed)
mean_log_reward = 0.0


def rollout():
    """Sample a batch of random trajectories. Returns its number of transitions."""
    global mean_log_reward
    transitions, objects = sample_dropped(dag, rng, task.batch)
    mean_log_reward = float(dag.log_reward(objects).mean())
    return transitions


def block(request):
    random = request.get("random", False)
    busy = time.process_time()
    answer = train(rollout if random else lambda: agent.update()["transitions"], request["iterations"])
    answer["cpu_seconds"] = time.process_time() - busy
    return {**answer, "mean_log_reward": mean_log_reward} if random else answer


with working_threads(task.threads):
    serve(block)

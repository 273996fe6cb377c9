"""Sub-EB (niupuhua1234/Sub-EB): trajectory balance and policy gradients on HyperGrid.

Settings: loss ("TB", "RL" or "RLEval"), side, batch, hidden, layers, lr, lr_log_z, lr_value. The rest has the defaults
of their train.py; uniform P_B. Nothing is patched: train.py, which logs to a web service, is not run, but its loop is.
"""

import math
import sys
import types

import torch
from common import cpu_seconds, finish, silence, task

task = task()
sys.path.insert(0, f"{task.checkout}/gfn-subeb")
from Config import Config, SamplerConfig  # noqa: E402

torch.set_num_threads(1)
torch.manual_seed(task.seed)
network = {"module_name": "NeuralNet", "n_hidden_layers": task.layers, "hidden_dim": task.hidden}
arguments = types.SimpleNamespace(
    Env="HyperGrid",
    ndim=2,
    height=task.side,
    R0=0.01,
    Loss=task.loss,
    PB_parameterized=False,
    lamb=0.99,
    lamda=0.9,
    weighing="geometric_within",
    optim={"lr": task.lr, "lr_Z": task.lr_log_z},
    evaloptim={"lr_V": task.lr_value},
    log_reward_clip_min=-12.0,
    GFNModuleConfig=network,
    VModuleConfig=network,
)
with silence():
    env, parametrization, loss = Config(arguments)
    sampler = SamplerConfig(env, parametrization)[0]


def train() -> None:
    for _ in range(task.iterations):
        loss.update_model(sampler.sample(n_trajectories=task.batch), backward_update=False)


seconds = cpu_seconds(train)
cells = torch.cartesian_prod(torch.arange(task.side), torch.arange(task.side))
probabilities = sampler.actions_sampler.get_probs(env.States(cells.clone()))
states = torch.cat([cells, torch.zeros(len(cells), 1, dtype=torch.long)], 1)
log_z = float(env.log_partition)
assert math.isfinite(log_z)
finish(task.out, states.numpy(), probabilities.numpy(), seconds, log_z)

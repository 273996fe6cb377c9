"""torchgfn (GFNOrg/torchgfn, src/): Ent-PPO on HyperGrid, as in its tutorials/examples/train_hypergrid_ppo.py.

Settings: side, batch, hidden, layers, lr, lr_value, lamda, epochs, value_epochs, value_splits, max_grad_norm.
"""

import math
import sys

import torch
from common import cpu_seconds, finish, task

task = task()
sys.path.insert(0, f"{task.checkout}/src")
from gfn.estimators import DiscretePolicyEstimator, ScalarEstimator  # noqa: E402
from gfn.gflownet import EntPPOGFlowNet  # noqa: E402
from gfn.gym import HyperGrid  # noqa: E402
from gfn.preprocessors import KHotPreprocessor  # noqa: E402
from gfn.samplers import Sampler  # noqa: E402
from gfn.utils.common import set_seed  # noqa: E402
from gfn.utils.modules import MLP, DiscreteUniform  # noqa: E402

torch.set_num_threads(1)
set_seed(task.seed)
env = HyperGrid(
    ndim=2,
    height=task.side,
    reward_fn_str="original",
    reward_fn_kwargs={"R0": 0.01, "R1": 0.5, "R2": 2.0},
    calculate_partition=False,
    store_all_states=False,
    validate_modes=False,
    debug=False,
)
preprocessor = KHotPreprocessor(height=env.height, ndim=env.ndim)
size = {"input_dim": preprocessor.output_dim, "hidden_dim": task.hidden, "n_hidden_layers": task.layers}
pf = DiscretePolicyEstimator(MLP(output_dim=env.n_actions, **size), env.n_actions, preprocessor=preprocessor)
uniform = DiscreteUniform(output_dim=env.n_actions - 1)
pb = DiscretePolicyEstimator(uniform, env.n_actions, preprocessor=preprocessor, is_backward=True)
values = ScalarEstimator(MLP(output_dim=1, **size), preprocessor=preprocessor)
gflownet = EntPPOGFlowNet(pf=pf, pb=pb, logV=values, gae_lambda=task.lamda)
policy_optimizer = torch.optim.Adam(gflownet.pf.parameters(), lr=task.lr)
value_optimizer = torch.optim.Adam(gflownet.logV_parameters(), lr=task.lr_value)
sampler = Sampler(estimator=pf)


def update() -> None:
    trajectories = sampler.sample_trajectories(env, n=task.batch, save_logprobs=False, save_estimator_outputs=True)
    batch = gflownet.to_training_samples(trajectories)
    for _ in range(task.epochs):
        policy_optimizer.zero_grad()
        gflownet.policy_loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(gflownet.pf.parameters(), task.max_grad_norm)
        policy_optimizer.step()
    for _ in range(task.value_epochs):
        for part in torch.randperm(len(batch)).chunk(task.value_splits):
            value_optimizer.zero_grad()
            gflownet.value_loss(env, batch[part]).backward()
            value_optimizer.step()


def train() -> None:
    for _ in range(task.iterations):
        update()


seconds = cpu_seconds(train)
cells = torch.cartesian_prod(torch.arange(task.side), torch.arange(task.side))
grid = env.states_from_tensor(cells)
with torch.no_grad():
    probabilities = pf.to_probability_distribution(grid, pf(grid)).probs
states = torch.cat([cells, torch.zeros(len(cells), 1, dtype=torch.long)], 1)
log_z = float(env.log_reward(grid).logsumexp(0))
assert math.isfinite(log_z)
finish(task.out, states.numpy(), probabilities.numpy(), seconds, log_z)

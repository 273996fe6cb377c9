"""torchgfn: trajectory balance on its HyperGrid, and the exact terminal distribution.

Task: ndim, side, batch, hidden, lr, lr_log_z, epsilon, seed, threads, rewards (R0, R1, R2), max_grad_norm or null.
lr is a number, or [start, end, iterations] for a linear schedule.
With epsilon = 0, the loss uses the log-probabilities of the rollout, as in torchgfn's own
tutorials/examples/train_hypergrid_simple.py. With epsilon > 0 they have to be computed again; the rollout then runs
without gradients, which is faster and which its tutorials do not do.

A request {"iterations": n} or {"seconds": s} trains. "exact": true also evaluates the policy on every cell.
"""

import numpy as np
import torch
from gfn.estimators import DiscretePolicyEstimator
from gfn.gflownet import TBGFlowNet
from gfn.gym import HyperGrid
from gfn.preprocessors import KHotPreprocessor
from gfn.samplers import Sampler
from gfn.utils.common import set_seed
from gfn.utils.modules import MLP
from grid import cells, terminal_distribution
from protocol import serve, settings, train

task = settings(__doc__)
torch.set_num_threads(task.threads)
set_seed(task.seed)
env = HyperGrid(
    ndim=task.ndim,
    height=task.side,
    reward_fn_str="original",
    reward_fn_kwargs=dict(zip(("R0", "R1", "R2"), task.rewards, strict=True)),
    calculate_partition=False,
    store_all_states=False,
    debug=False,
)
preprocessor = KHotPreprocessor(height=env.height, ndim=env.ndim)
forward = MLP(
    input_dim=preprocessor.output_dim,
    output_dim=env.n_actions,
    hidden_dim=task.hidden[0],
    n_hidden_layers=len(task.hidden),
)
backward = MLP(input_dim=preprocessor.output_dim, output_dim=env.n_actions - 1, trunk=forward.trunk)
pf = DiscretePolicyEstimator(forward, env.n_actions, preprocessor=preprocessor, is_backward=False)
pb = DiscretePolicyEstimator(backward, env.n_actions, preprocessor=preprocessor, is_backward=True)
gflownet = TBGFlowNet(pf=pf, pb=pb, init_logZ=0.0)
sampler = Sampler(estimator=pf)
lr = task.lr if isinstance(task.lr, list) else [task.lr, task.lr, 1]
optimizer = torch.optim.Adam(gflownet.pf_pb_parameters(), lr=lr[0])
optimizer.add_param_group({"params": gflownet.logz_parameters(), "lr": task.lr_log_z})
schedule = torch.optim.lr_scheduler.LambdaLR(
    optimizer, [lambda done: 1 + (lr[1] / lr[0] - 1) * min(done / lr[2], 1), lambda done: 1.0]
)
on_policy = task.epsilon == 0


def update():
    """Run one iteration. Returns the number of transitions in its batch."""
    with torch.set_grad_enabled(on_policy):
        trajectories = sampler.sample_trajectories(
            env, n=task.batch, save_logprobs=on_policy, save_estimator_outputs=False, epsilon=task.epsilon
        )
    optimizer.zero_grad()
    loss = gflownet.loss(env, trajectories, recalculate_all_logprobs=not on_policy)
    loss.backward()
    if task.max_grad_norm is not None:
        torch.nn.utils.clip_grad_norm_(gflownet.parameters(), task.max_grad_norm)
    optimizer.step()
    schedule.step()
    loss.item()
    return int(trajectories.terminating_idx.sum())


def policy_probabilities(grid, chunk=16384):
    """P_F of every cell, float64 (cells, ndim + 1). The last action stops."""
    rows = []
    with torch.no_grad():
        for part in torch.from_numpy(grid).split(chunk):
            states = env.states_from_tensor(part)
            rows.append(pf.to_probability_distribution(states, pf(states)).probs.double().numpy())
    return np.concatenate(rows)


def exact():
    """Total variation to the target, exact log Z and learned log Z."""
    grid = cells(task.ndim, task.side)
    reward = env.reward(env.states_from_tensor(torch.from_numpy(grid))).double().numpy()
    learned = terminal_distribution(policy_probabilities(grid), task.ndim, task.side)
    return {
        "tv": 0.5 * float(np.abs(learned - reward / reward.sum()).sum()),
        "mass": float(learned.sum()),
        "true_log_z": float(np.log(reward.sum())),
        "log_z": gflownet.logZ.item(),
    }


def block(request):
    answer = train(update, request.get("iterations"), request.get("seconds"))
    return {**answer, **(exact() if request.get("exact") else {})}


serve(block)

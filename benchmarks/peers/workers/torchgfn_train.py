"""torchgfn: TB, DB and SubTB on its HyperGrid, and the exact terminal distribution.

Task: ndim, side, batch, hidden, lr, lr_log_z, epsilon, seed, threads, rewards (R0, R1, R2), max_grad_norm or null,
objective ("tb", "db", "mdb" or "subtb") and lamda (for subtb). Optional: betas of Adam, muon (true: torch's Muon for
the hidden matrices), and weights (a file that weights.py reads). Rates and epsilon are numbers, or [start, end,
iterations] for a linear schedule.
With epsilon = 0, the loss uses the log-probabilities of the rollout, as in torchgfn's own
tutorials/examples/train_hypergrid_simple.py. With epsilon > 0 they have to be computed again; the rollout then runs
without gradients, which is faster and which its tutorials do not do.

A request {"iterations": n} or {"seconds": s} trains. "exact": true also evaluates the policy on every cell.
"""

import numpy as np
import torch
from gfn.estimators import DiscretePolicyEstimator, ScalarEstimator
from gfn.gflownet import DBGFlowNet, ModifiedDBGFlowNet, SubTBGFlowNet, TBGFlowNet
from gfn.gym import HyperGrid
from gfn.preprocessors import KHotPreprocessor
from gfn.samplers import Sampler
from gfn.utils.common import set_seed
from gfn.utils.modules import MLP
from grid import cells, terminal_distribution
from protocol import scheduled, serve, settings, train
from weights import layers

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
if weights := getattr(task, "weights", None):
    *inner, (heads, head_biases) = (map(torch.from_numpy, pair) for pair in layers(weights))
    linear = [module for module in forward.trunk if isinstance(module, torch.nn.Linear)]
    n = env.n_actions
    given = [*inner, (heads[:, :n], head_biases[:n]), (heads[:, n:], head_biases[n:])]
    with torch.no_grad():
        for layer, (weight, bias) in zip([*linear, forward.last_layer, backward.last_layer], given, strict=True):
            layer.weight.copy_(weight.T)
            layer.bias.copy_(bias)
rates = [scheduled(task.lr), scheduled(task.lr_log_z)]
if task.objective == "tb":
    gflownet = TBGFlowNet(pf=pf, pb=pb, init_logZ=0.0)
    groups = [list(gflownet.pf_pb_parameters()), list(gflownet.logz_parameters())]
elif task.objective == "mdb":
    gflownet = ModifiedDBGFlowNet(pf=pf, pb=pb)
    groups = [list(gflownet.parameters())]
else:
    flow = ScalarEstimator(MLP(preprocessor.output_dim, 1, trunk=forward.trunk), preprocessor=preprocessor)
    options = {"lamda": task.lamda} if task.objective == "subtb" else {}
    gflownet = {"db": DBGFlowNet, "subtb": SubTBGFlowNet}[task.objective](pf=pf, pb=pb, logF=flow, **options)
    groups = [list(gflownet.parameters())]
sampler = Sampler(estimator=pf)
optimizers = [
    torch.optim.Adam(
        [{"params": group, "lr": rate(0)} for group, rate in zip(groups, rates, strict=False)],
        betas=tuple(getattr(task, "betas", (0.9, 0.999))),
    )
]
if getattr(task, "muon", False):
    matrices = [layer.weight for layer in forward.trunk if isinstance(layer, torch.nn.Linear)]
    adam_group = optimizers[0].param_groups[0]
    adam_group["params"] = [p for p in adam_group["params"] if all(p is not matrix for matrix in matrices)]
    # Steps of the size of Adam's, as ours.
    muon = torch.optim.Muon(matrices, lr=rates[0](0), weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    optimizers.append(muon)
epsilon, iteration = scheduled(task.epsilon), 0


def update():
    """Run one iteration. Returns the number of transitions in its batch."""
    global iteration
    on_policy = epsilon(iteration) == 0
    with torch.set_grad_enabled(on_policy):
        trajectories = sampler.sample_trajectories(
            env, n=task.batch, save_logprobs=on_policy, save_estimator_outputs=False, epsilon=epsilon(iteration)
        )
    for optimizer in optimizers:
        for group, rate in zip(optimizer.param_groups, rates, strict=False):
            group["lr"] = rate(iteration)
        optimizer.zero_grad()
    iteration += 1
    samples = gflownet.to_training_samples(trajectories)
    loss = gflownet.loss(env, samples, recalculate_all_logprobs=not on_policy)
    loss.backward()
    if task.max_grad_norm is not None:
        torch.nn.utils.clip_grad_norm_(gflownet.parameters(), task.max_grad_norm)
    for optimizer in optimizers:
        optimizer.step()
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
        "log_z": gflownet.logZ.item() if task.objective == "tb" else None,
    }


def block(request):
    answer = train(update, request.get("iterations"), request.get("seconds"))
    return {**answer, **(exact() if request.get("exact") else {})}


serve(block)

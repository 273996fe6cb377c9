"""Trajectory balance in one file: the environment, the policy, the loss, and an exact evaluation.

A GFlowNet samples objects x with probability proportional to a reward R(x). It builds an object by a trajectory of
actions tau = (s0 -> s1 -> ... -> sn = x), each drawn from the forward policy P_F. Trajectory balance minimizes, over
sampled trajectories (Malkin et al. 2022, equation 14),

    L(tau) = ( log Z + sum_t log P_F(s_t+1 | s_t) - log R(x) - sum_t log P_B(s_t | s_t+1) )^2.

If L is zero for every trajectory, the sampler is exact: P(x) = R(x) / Z. Here log Z is one learned number and the
backward policy P_B is uniform over the parents of a state.

    python examples/tb_in_one_file.py --ndim 2 --side 8
"""

import argparse

import numpy as np
import torch
from torch import nn


class HyperGrid:
    """A grid with ``side ** ndim`` cells (Bengio et al. 2021). Start at the origin, increase coordinates, then stop.

    Actions 0 .. ndim - 1 add 1 to a coordinate. Action ``ndim`` stops: the cell is then the object x.
    """

    def __init__(self, ndim: int, side: int):
        self.ndim, self.side, self.stop = ndim, side, ndim
        self.cells = torch.from_numpy(np.indices((side,) * ndim).reshape(ndim, -1).T.copy())  # (side^ndim, ndim)
        self.strides = torch.tensor([side**i for i in reversed(range(ndim))])  # cells[x @ strides] == x

    def mask(self, x):
        """Legal actions of cells x (n, ndim), bool (n, ndim + 1)."""
        return torch.cat([x < self.side - 1, torch.ones(len(x), 1, dtype=torch.bool)], dim=1)

    def step(self, x, action):
        """The next cells (n, ndim). Stopping leaves the cell as it is."""
        return x + nn.functional.one_hot(action, self.ndim + 1)[:, : self.ndim]

    def log_reward(self, x):
        """log R, (n,): R = 0.1 + 0.5 prod_i [a_i > 0.25] + 2 prod_i [0.3 < a_i < 0.4], a = |x / (side - 1) - 0.5|."""
        # The integer 2 (side - 1) a_i avoids rounding at the thresholds.
        a, bound = (2 * x - (self.side - 1)).abs(), self.side - 1
        corner, mode = 2 * a > bound, (5 * a > 3 * bound) & (5 * a < 4 * bound)
        return (0.1 + 0.5 * corner.all(1) + 2.0 * mode.all(1)).log()

    def log_backward(self, x):
        """log P_B, (n,), of a move into cell x (n, ndim): uniform over the coordinates that can be decreased."""
        return -(x > 0).sum(1).log()


def log_forward(policy, grid, x):
    """log P_F of all actions (n, ndim + 1) in cells x (n, ndim). Illegal actions have probability 0."""
    logits = policy(nn.functional.one_hot(x, grid.side).flatten(1).float())
    return logits.masked_fill(~grid.mask(x), torch.finfo(logits.dtype).min).log_softmax(1)


@torch.no_grad()
def rollout(policy, grid, n):
    """``n`` parallel trajectories of at most T steps.

    Returns cells (T + 1, n, ndim), actions (T, n), and bool (T, n): False after a trajectory has stopped.
    """
    cells, actions, active = [torch.zeros(n, grid.ndim, dtype=torch.long)], [], [torch.ones(n, dtype=torch.bool)]
    while active[-1].any():
        action = log_forward(policy, grid, cells[-1]).exp().multinomial(1).squeeze(1)
        actions.append(torch.where(active[-1], action, grid.stop))
        cells.append(grid.step(cells[-1], actions[-1]))
        active.append(active[-1] & (actions[-1] != grid.stop))
    return torch.stack(cells), torch.stack(actions), torch.stack(active[:-1])


def trajectory_balance(policy, log_z, grid, cells, actions, active):
    """Equation 14, averaged over a batch of trajectories."""
    log_pf = log_forward(policy, grid, cells[:-1].flatten(0, 1)).view(*actions.shape, -1)
    log_pf = log_pf.gather(2, actions.unsqueeze(2)).squeeze(2) * active
    # A stop has probability 1 backward: a stopped cell has one parent.
    log_pb = torch.where(actions == grid.stop, 0.0, grid.log_backward(cells[1:].flatten(0, 1)).view_as(log_pf))
    residual = log_z + log_pf.sum(0) - grid.log_reward(cells[-1]) - log_pb.sum(0)
    return residual.square().mean()


@torch.no_grad()
def terminal_distribution(policy, grid):
    """The exact probability P(x) of every cell (side^ndim,): propagate visit probabilities level by level."""
    p = log_forward(policy, grid, grid.cells).double().exp()
    visit = torch.zeros(len(grid.cells), dtype=torch.double)
    visit[0] = 1.0
    level = grid.cells.sum(1)
    for rows in (torch.nonzero(level == i).squeeze(1) for i in range(int(level.max()))):
        for action, stride in enumerate(grid.strides):
            legal = rows[grid.cells[rows, action] < grid.side - 1]
            visit[legal + stride] += visit[legal] * p[legal, action]
    return visit * p[:, grid.stop]


def main(ndim, side, iterations, batch_size, lr, lr_log_z, hidden, seed):
    """Train, print exact figures, and return the total variation between P and R / Z in [0, 1]."""
    torch.manual_seed(seed)
    grid = HyperGrid(ndim, side)
    layers = nn.Linear(ndim * side, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
    policy = nn.Sequential(*layers, nn.Linear(hidden, ndim + 1))
    log_z = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.Adam([{"params": policy.parameters()}, {"params": [log_z], "lr": lr_log_z}], lr=lr)
    target = grid.log_reward(grid.cells).double().softmax(0)
    for iteration in range(1, iterations + 1):
        loss = trajectory_balance(policy, log_z, grid, *rollout(policy, grid, batch_size))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if iteration % max(iterations // 10, 1) == 0 or iteration == iterations:
            tv = 0.5 * (terminal_distribution(policy, grid) - target).abs().sum().item()
            print(f"iteration {iteration}: loss {loss.item():.4f}, log Z {log_z.item():.4f}, exact TV {tv:.4f}")
    return tv


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    settings = {"ndim": 2, "side": 8, "iterations": 2000, "batch-size": 32, "hidden": 64, "seed": 0}
    for name, default in {**settings, "lr": 1e-3, "lr-log-z": 0.1}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"default {default}")
    main(**vars(parser.parse_args()))

"""LS-GFN (dbsxodud-11/ls_gfn) and adaptive teachers (alstn12088/adaptive-teacher, discovery/) on QM9str.

Both have the trainer of Shen et al. 2023. Settings: folder (of the code in the checkout), model ("tb" or "teacher"),
table (the data set), and every name of their settings.yaml that is not at its default.

Patches that only make it run: modules that are imported but not used by these models are empty (ray, torch_geometric,
torch_scatter, polyleven, wandb, whose log does nothing); AttrDict, which needs Python < 3.10, is a dictionary with
attributes; OneHotEncoder's argument ``sparse`` is now ``sparse_output``; pickles are read by a reader that makes
containers of numbers and strings only; probabilities are normalized in double precision, as NumPy now asks; evaluation
and checkpoints during training are off.
"""

import contextlib
import json
import os
import pickle
import random
import sys

import numpy as np
import torch
import yaml
from common import cpu_seconds, finish, silence, stub, task


class AttrDict(dict):
    """A dictionary with attributes."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


class Numbers(pickle.Unpickler):
    """Reads containers of numbers and strings."""

    def find_class(self, module, name):
        if (module, name) in {("numpy.core.multiarray", "scalar"), ("numpy", "dtype")}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name}")


class Done(Exception):
    """The end of training."""


def done(*_, **__):
    raise Done


task = task()
os.chdir(os.path.join(task.checkout, task.folder))
sys.path.insert(0, os.getcwd())
names = ("GCNConv", "GINEConv", "global_mean_pool")
stub("ray", remote=lambda *_, **__: lambda function: function)
stub("wandb", log=lambda *_, **__: None)
stub("torch_geometric")
stub("torch_geometric.nn", **dict.fromkeys(names))
stub("torch_geometric.data", Data=type("Data", (), {}), Batch=None)
stub("torch_scatter", scatter=None, scatter_sum=None)
stub("polyleven", levenshtein=None)
stub("attrdict", AttrDict=AttrDict)
import sklearn.preprocessing  # noqa: E402

Encoder = sklearn.preprocessing.OneHotEncoder
sklearn.preprocessing.OneHotEncoder = lambda sparse: Encoder(sparse_output=sparse)
pickle.load = lambda file: Numbers(file).load()
draw = np.random.choice


def normalized_choice(a, size=None, replace=True, p=None):
    return draw(a, size, replace, None if p is None else np.asarray(p, np.float64) / np.sum(p, dtype=np.float64))


np.random.choice = normalized_choice

from exps.qm9str.qm9str import QM9stringMDP  # noqa: E402
from gflownet import trainers  # noqa: E402
from gflownet.GFNs import models  # noqa: E402
from gflownet.MDPs.molstrmdp import MolStrActor  # noqa: E402

torch.set_num_threads(1)
random.seed(task.seed)
np.random.seed(task.seed)  # noqa: NPY002 (their generator)
torch.manual_seed(task.seed)
with open("exps/qm9str/settings.yaml") as file:
    arguments = AttrDict(yaml.safe_load(file))
never = 10**9
arguments.update(
    device=torch.device("cpu"),
    model=task.model,
    x_to_r_file=task.table,
    mode_percentile=0.0049,  # Modes are not used; the file of the default is a pickle of strings.
    num_active_learning_rounds=task.iterations,
    monitor_fast_every=never,
    save_every_x_active_rounds=never,
    eval_every_x_active_rounds=never,
    eval_num_samples=1,
    saved_models_dir="",
    run_name="",
)
arguments.update({name: value for name, value in vars(task).items() if name in arguments})

with silence():
    mdp = QM9stringMDP(arguments)
    if task.model == "teacher":
        other = QM9stringMDP(arguments)
        actors = MolStrActor(arguments, mdp), MolStrActor(arguments, other)
        teacher, model = models.make_teacher_student_model(arguments, mdp, other, *actors)
        trainer = trainers.Trainer(arguments, model, mdp, teacher=teacher)
        trainer.evaluate = done
    else:
        model = models.make_model(arguments, mdp, MolStrActor(arguments, mdp))
        monitor = type("Monitor", (), {"maybe_eval_samplelog": lambda *_: None})()
        trainer = trainers.Trainer(arguments, model, mdp, None, monitor)
    model.save_params = done


def train() -> None:
    with contextlib.suppress(Done):
        trainer.learn()


with silence():
    seconds = cpu_seconds(train)
if seconds < 1e-3:
    sys.exit(json.dumps({"error": "nothing was trained"}))

letters, length = mdp.alphabet, mdp.forced_stop_len
q = len(letters)
strings, level = [""], [""]
for _ in range(length - 1):
    level = [text + letter for text in level for letter in letters]
    strings += level
states = np.full((len(strings), length + 1), q)
probabilities = np.zeros((len(strings), 2 * q))
with torch.inference_mode():
    for i in range(0, len(strings), 500):
        part = [mdp.state(text) for text in strings[i : i + 500]]
        for j, (state, children) in enumerate(zip(part, model.fwd_logps_unique(part), strict=True), start=i):
            text = state.content
            states[j, : len(text)], states[j, -1] = [letters.index(letter) for letter in text], len(text)
            for child, log_p in children.items():
                # A child that both ends lead to has its probability at the prepending action.
                first = child.content[0]
                before = child.content == first + text
                action = letters.index(first) if before else q + letters.index(child.content[-1])
                probabilities[j, action] = float(torch.exp(log_p))
log_z = float(np.log(sum(mdp.scaled_oracle.values())))
finish(task.out, states, probabilities, seconds, log_z)

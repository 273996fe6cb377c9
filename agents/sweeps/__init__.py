"""Sweeps: many runs in parallel, on this machine or on a Ray cluster.

    grid.py         what a sweep runs: axes of values, seeds, one run directory per combination
    record.py       sweep.json: the command, and how each run ended
    search.py       values chosen by Optuna instead of a grid
    ray_runner.py   processes of Ray that call one function
    drive.py        submits runs, shows progress, records how they ended

Each run is made by the code of ``gfn train``, in its own run directory (:mod:`agents.runs.directory`).
"""

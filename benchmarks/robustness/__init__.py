"""Effects of damaged files, killed processes, full disks, and wrong arguments, rewards or data."""

import os

# One thread each: the children of a process with several would wait for threads that they do not have. Set before torch
# is imported.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

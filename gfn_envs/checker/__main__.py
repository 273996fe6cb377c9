"""``python -m gfn_envs.checker``, the same command as ``gfn-envs check``."""

import sys

from gfn_envs.cli import check

if __name__ == "__main__":
    sys.exit(check(prog="python -m gfn_envs.checker"))

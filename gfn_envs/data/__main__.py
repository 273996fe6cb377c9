"""``python -m gfn_envs.data list | fetch NAME | path``."""

import sys

from gfn_envs.data.command import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m gfn_envs.data"))

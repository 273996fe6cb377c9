"""``python -m gfn_envs.data list | fetch NAME | path``, for those who install the environments alone."""

import sys

from gfn_envs.data.registry import main

sys.exit(main())

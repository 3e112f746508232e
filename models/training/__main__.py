"""`python -m tokexplore.models.training`: train a model, or measure one."""

import sys

from tokexplore.models.training.command import main

sys.exit(main(sys.argv[1:]))

"""`python -m tokexplore`."""

from tokexplore.tui.cli.dispatch import main

raise SystemExit(main())

"""`python -m tokexplore`."""

from tokexplore.tui.cli import main

raise SystemExit(main())

"""``python -m bhpvas``: the command line, also for ``accelerate launch -m bhpvas``."""

import sys

from bhpvas.cli.main import main

sys.exit(main())

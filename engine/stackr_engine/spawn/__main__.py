"""The spawner's process: `python -I -S …/spawn RUN_FOLDER SOCKET_FD STAGE`."""

import sys

# -I and -S keep everything of the user's and of site-packages out; only our own root goes back in.
sys.path.append(__file__.rpartition("/stackr_engine/")[0])

from stackr_engine.spawn.spawner import main

main(sys.argv)

#!python
"""The `stackr` program: installed as it is, since pip's own start script imports `re` first."""

from stackr.client import main

main()

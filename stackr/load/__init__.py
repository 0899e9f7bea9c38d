"""Stack files to projects.

text ─parse─▶ tree ─interpolate─▶ ─canonicalize─▶ ─extend, include, merge─▶ ─resolve paths,
normalize─▶ ─validate─▶ models ─check consistency, resolve variables─▶ `Project`
"""

from stackr.load.discover import find_files
from stackr.load.loader import load_model, load_project, load_tree
from stackr.load.options import LoadOptions
from stackr.load.problem import LoadError, Problem
from stackr.load.unserved import refuse_unserved

__all__ = [
    "LoadError",
    "LoadOptions",
    "Problem",
    "find_files",
    "load_model",
    "load_project",
    "load_tree",
    "refuse_unserved",
]

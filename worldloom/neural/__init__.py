"""The implicit surface: a distance field with colours, fitted to the images chunk by chunk.

What computes is imported where a chunk is fitted: torch takes seconds, and settings do not need it.
"""

from worldloom.neural._config import NeuralConfig as NeuralConfig
from worldloom.neural._fit import CHECKPOINT_FILE as CHECKPOINT_FILE
from worldloom.neural._fit import CURVE_FILE as CURVE_FILE
from worldloom.neural._fit import FIT_FIELD as FIT_FIELD
from worldloom.neural._fit import FitWork as FitWork
from worldloom.neural._fit import fit_works as fit_works

"""Gaussian splats: seeded from the memory, trained chunk by chunk, merged, rendered."""

from worldloom.splat._config import SplatBackend as SplatBackend
from worldloom.splat._config import SplatConfig as SplatConfig
from worldloom.splat._depth import SPLAT_DEPTH as SPLAT_DEPTH
from worldloom.splat._depth import SplatDepth as SplatDepth
from worldloom.splat._depth import SplatDepthWork as SplatDepthWork
from worldloom.splat._merge import MERGE_SPLATS as MERGE_SPLATS
from worldloom.splat._merge import MergedSplats as MergedSplats
from worldloom.splat._merge import MergeSplatsWork as MergeSplatsWork
from worldloom.splat._merge import merge_splats_work as merge_splats_work
from worldloom.splat._region import neighbours as neighbours
from worldloom.splat._renderer import SplatRenderer as SplatRenderer
from worldloom.splat._train import TRAIN as TRAIN
from worldloom.splat._trained import TrainedChunk as TrainedChunk
from worldloom.splat._trained import load_splats as load_splats
from worldloom.splat._trainer import validation_places as validation_places
from worldloom.splat._work import TrainWork as TrainWork
from worldloom.splat._work import continued as continued

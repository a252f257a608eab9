"""The geometric memory: what the views have seen, by cell of space, in any order of arrival."""

from worldloom.memory._config import MemoryConfig as MemoryConfig
from worldloom.memory._contribute import BLOCK_VOXELS as BLOCK_VOXELS
from worldloom.memory._contribute import BLOCKS_FILE as BLOCKS_FILE
from worldloom.memory._contribute import CONTRIBUTE as CONTRIBUTE
from worldloom.memory._contribute import ROWS_FILE as ROWS_FILE
from worldloom.memory._contribute import ContributeWork as ContributeWork
from worldloom.memory._contribute import Contribution as Contribution
from worldloom.memory._contribute import contribute_work as contribute_work
from worldloom.memory._fused import FusedMemory as FusedMemory
from worldloom.memory._memory import GeometricMemory as GeometricMemory
from worldloom.memory._memory import unite as unite
from worldloom.memory._render import DepthPrior as DepthPrior
from worldloom.memory._rows import check_depth_map as check_depth_map
from worldloom.memory._rows import points_from_depth as points_from_depth
from worldloom.memory._shards import FUSE_SHARD as FUSE_SHARD
from worldloom.memory._shards import FusedShard as FusedShard
from worldloom.memory._shards import ShardWork as ShardWork
from worldloom.memory._shards import load_cloud as load_cloud
from worldloom.memory._shards import load_memory as load_memory
from worldloom.memory._shards import plan_shards as plan_shards
from worldloom.memory._shards import shards_in_box as shards_in_box
from worldloom.memory._shards import shards_in_view as shards_in_view
from worldloom.memory._tables import read_fused as read_fused
from worldloom.memory._tables import read_rows as read_rows
from worldloom.memory._tables import write_fused as write_fused
from worldloom.memory._tables import write_rows as write_rows

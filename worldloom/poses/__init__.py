"""Poses: how far the given ones are from what the images say, and their bounded refinement."""

from worldloom.poses._adjust import ADJUST as ADJUST
from worldloom.poses._adjust import AdjustResult as AdjustResult
from worldloom.poses._adjust import AdjustWork as AdjustWork
from worldloom.poses._adjust import PoseState as PoseState
from worldloom.poses._adjust import pose_states as pose_states
from worldloom.poses._config import PoseConfig as PoseConfig
from worldloom.poses._matches import MATCH as MATCH
from worldloom.poses._matches import REFERENCE_WIDTH_PX as REFERENCE_WIDTH_PX
from worldloom.poses._matches import MatchResult as MatchResult
from worldloom.poses._matches import MatchView as MatchView
from worldloom.poses._matches import MatchWork as MatchWork
from worldloom.poses._residual import RESIDUAL as RESIDUAL
from worldloom.poses._residual import ResidualResult as ResidualResult
from worldloom.poses._residual import ResidualWork as ResidualWork

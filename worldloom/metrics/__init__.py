"""Scores of geometry, depth and views, against truth and without it."""

from worldloom.metrics._consistency import ConsistencyCounts as ConsistencyCounts
from worldloom.metrics._consistency import summed_consistency as summed_consistency
from worldloom.metrics._consistency import view_consistency as view_consistency
from worldloom.metrics._depth import DepthScore as DepthScore
from worldloom.metrics._depth import score_depth as score_depth
from worldloom.metrics._geometry import GeometryScore as GeometryScore
from worldloom.metrics._geometry import ScoreSettings as ScoreSettings
from worldloom.metrics._geometry import ThresholdScore as ThresholdScore
from worldloom.metrics._geometry import score_against_depth as score_against_depth
from worldloom.metrics._geometry import score_against_mesh as score_against_mesh
from worldloom.metrics._geometry import truth_diagonal as truth_diagonal
from worldloom.metrics._geometry import visible as visible
from worldloom.metrics._sampling import surface_points as surface_points
from worldloom.metrics._sampling import thinned as thinned
from worldloom.metrics._view import ViewScore as ViewScore
from worldloom.metrics._view import score_view as score_view

"""Planning: which views see the same things, how far away these are, who matches whom."""

from worldloom.plan._candidates import match_candidates as match_candidates
from worldloom.plan._config import PlanConfig as PlanConfig
from worldloom.plan._evidence import EVIDENCE as EVIDENCE
from worldloom.plan._evidence import EvidenceResult as EvidenceResult
from worldloom.plan._evidence import EvidenceWork as EvidenceWork
from worldloom.plan._features import FEATURES as FEATURES
from worldloom.plan._features import FeatureResult as FeatureResult
from worldloom.plan._features import FeatureWork as FeatureWork
from worldloom.plan._matching import epipolar_distance as epipolar_distance
from worldloom.plan._matching import mutual_matches as mutual_matches
from worldloom.plan._view_graph import DepthRange as DepthRange
from worldloom.plan._view_graph import ViewPlan as ViewPlan
from worldloom.plan._view_graph import depth_ranges as depth_ranges
from worldloom.plan._view_graph import plan_views as plan_views
from worldloom.plan._view_graph import replan_view as replan_view

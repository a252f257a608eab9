"""The quality of finished scenes: measured, kept with what it rests on, and measured again."""

from worldloom.quality._appraisal import Appraisal as Appraisal
from worldloom.quality._appraisal import appraise as appraise
from worldloom.quality._basis import BASIS_EVIDENCE as BASIS_EVIDENCE
from worldloom.quality._basis import QualityBasis as QualityBasis
from worldloom.quality._basis import load_basis as load_basis
from worldloom.quality._basis import quality_basis as quality_basis
from worldloom.quality._basis import save_basis as save_basis
from worldloom.quality._folder import folder_quality as folder_quality
from worldloom.quality._scoring import JUDGED_VIEWS as JUDGED_VIEWS
from worldloom.quality._scoring import ViewRenderer as ViewRenderer
from worldloom.quality._scoring import measured_quality as measured_quality

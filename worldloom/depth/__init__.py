"""Depth of each view from its partners: sweep, check, refine."""

from worldloom.depth._backend import SweepBackend as SweepBackend
from worldloom.depth._backend import concrete_backend as concrete_backend
from worldloom.depth._confidence import Evidence as Evidence
from worldloom.depth._config import ConsistencyConfig as ConsistencyConfig
from worldloom.depth._config import RefineConfig as RefineConfig
from worldloom.depth._config import SweepConfig as SweepConfig
from worldloom.depth._consistency import CHECK as CHECK
from worldloom.depth._consistency import CheckResult as CheckResult
from worldloom.depth._consistency import CheckWork as CheckWork
from worldloom.depth._consistency import agreement as agreement
from worldloom.depth._consistency import gather_evidence as gather_evidence
from worldloom.depth._estimate import ESTIMATE as ESTIMATE
from worldloom.depth._estimate import EstimateResult as EstimateResult
from worldloom.depth._estimate import EstimateWork as EstimateWork
from worldloom.depth._refine import REFINE as REFINE
from worldloom.depth._refine import RefineResult as RefineResult
from worldloom.depth._refine import RefineWork as RefineWork
from worldloom.depth._retrieve import RETRIEVE as RETRIEVE
from worldloom.depth._retrieve import RetrieveResult as RetrieveResult
from worldloom.depth._retrieve import RetrieveWork as RetrieveWork

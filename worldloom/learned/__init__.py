"""Depth of a single image by a trained model: an option, off by default, from local files only."""

from worldloom.learned._align import ALIGN as ALIGN
from worldloom.learned._align import AlignResult as AlignResult
from worldloom.learned._align import AlignWork as AlignWork
from worldloom.learned._alignment import Alignment as Alignment
from worldloom.learned._alignment import align_prediction as align_prediction
from worldloom.learned._card import read_model_card as read_model_card
from worldloom.learned._config import AlignmentConfig as AlignmentConfig
from worldloom.learned._config import LearnedConfig as LearnedConfig
from worldloom.learned._estimator import DepthEstimator as DepthEstimator
from worldloom.learned._estimator import ModelCard as ModelCard
from worldloom.learned._estimator import ModelRef as ModelRef
from worldloom.learned._estimator import Prediction as Prediction
from worldloom.learned._estimator import Quantity as Quantity
from worldloom.learned._load import load_estimator as load_estimator
from worldloom.learned._predict import PREDICT as PREDICT
from worldloom.learned._predict import PredictResult as PredictResult
from worldloom.learned._predict import PredictWork as PredictWork

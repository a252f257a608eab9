"""The exposure: gain and white balance of every view, from the cells that views share."""

from worldloom.exposure._balance import BALANCE as BALANCE
from worldloom.exposure._balance import Balance as Balance
from worldloom.exposure._balance import BalanceWork as BalanceWork
from worldloom.exposure._balance import balance_work as balance_work
from worldloom.exposure._config import ExposureConfig as ExposureConfig
from worldloom.exposure._fit import fit_exposure as fit_exposure
from worldloom.exposure._samples import SAMPLE as SAMPLE
from worldloom.exposure._samples import SampledView as SampledView
from worldloom.exposure._samples import SampleWork as SampleWork
from worldloom.exposure._samples import sample_work as sample_work

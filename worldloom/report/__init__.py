"""The report of a scene: one self-contained page."""

from worldloom.report._config import ReportConfig as ReportConfig
from worldloom.report._report import REPORT_FILE as REPORT_FILE
from worldloom.report._report import REPORT_KIND as REPORT_KIND
from worldloom.report._report import add_report as add_report
from worldloom.report._report import write_report as write_report

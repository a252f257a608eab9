"""The timeline of a job: written as it runs, opened by Perfetto, read for its costs."""

from worldloom.timeline._reader import TimedItem as TimedItem
from worldloom.timeline._reader import TimedStage as TimedStage
from worldloom.timeline._reader import TimelineRecord as TimelineRecord
from worldloom.timeline._reader import read_timeline as read_timeline
from worldloom.timeline._writer import TIMELINE_FILE as TIMELINE_FILE
from worldloom.timeline._writer import Timeline as Timeline

"""Ingest: videos, image folders and scene folders with known cameras, into the store."""

from worldloom.ingest._binding import MissingImages as MissingImages
from worldloom.ingest._calibration import ImageSize as ImageSize
from worldloom.ingest._frames import ingest as ingest
from worldloom.ingest._limits import IngestLimits as IngestLimits
from worldloom.ingest._open import open_sources as open_sources
from worldloom.ingest._panorama import list_panoramas as list_panoramas
from worldloom.ingest._panorama import open_panoramas as open_panoramas
from worldloom.ingest._pictures import Picture as Picture
from worldloom.ingest._pictures import decode_picture as decode_picture
from worldloom.ingest._source import Panorama as Panorama
from worldloom.ingest._source import Source as Source
from worldloom.ingest._stored import INGEST_STAGE as INGEST_STAGE
from worldloom.ingest._stored import FrameContent as FrameContent
from worldloom.ingest._stored import StoredFrame as StoredFrame
from worldloom.ingest._stored import read_content as read_content
from worldloom.ingest._video import Video as Video

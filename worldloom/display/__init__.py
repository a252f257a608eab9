"""What is fit to be shown: products thinned to a budget, the way up, what the store holds."""

from worldloom.display._cloud import cloud_within as cloud_within
from worldloom.display._depth import depth_picture as depth_picture
from worldloom.display._depth import depth_span as depth_span
from worldloom.display._mesh import mesh_within as mesh_within
from worldloom.display._parts import Box as Box
from worldloom.display._parts import StoredChunk as StoredChunk
from worldloom.display._parts import seam_squares as seam_squares
from worldloom.display._parts import shard_boxes as shard_boxes
from worldloom.display._parts import stored_chunks as stored_chunks
from worldloom.display._pictures import jpeg_uri as jpeg_uri
from worldloom.display._pictures import shrunk as shrunk
from worldloom.display._stored import StoredView as StoredView
from worldloom.display._stored import existing_store as existing_store
from worldloom.display._stored import finished as finished
from worldloom.display._stored import stored_views as stored_views
from worldloom.display._stored import view_records as view_records
from worldloom.display._surroundings import Surroundings as Surroundings
from worldloom.display._surroundings import surroundings as surroundings
from worldloom.display._upright import up_in_world as up_in_world

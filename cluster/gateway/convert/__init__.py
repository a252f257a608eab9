"""Between messages and records; with the servicers and the client, all that knows `cluster.rpc`.

`x_from_pb` checks what a caller sent and raises `ConfigError` with the field. The clients
use the same functions the other way round.
"""

from cluster.gateway.convert._assets import asset_from_pb as asset_from_pb
from cluster.gateway.convert._assets import asset_to_pb as asset_to_pb
from cluster.gateway.convert._assets import quota_from_pb as quota_from_pb
from cluster.gateway.convert._assets import quota_to_pb as quota_to_pb
from cluster.gateway.convert._assets import upload_from_pb as upload_from_pb
from cluster.gateway.convert._assets import upload_to_pb as upload_to_pb
from cluster.gateway.convert._events import Picture as Picture
from cluster.gateway.convert._events import WatchedEvent as WatchedEvent
from cluster.gateway.convert._events import event_to_pb as event_to_pb
from cluster.gateway.convert._events import watched_from_pb as watched_from_pb
from cluster.gateway.convert._exports import camera_request as camera_request
from cluster.gateway.convert._exports import cameras_from_pb as cameras_from_pb
from cluster.gateway.convert._exports import cloud_from_pb as cloud_from_pb
from cluster.gateway.convert._exports import cloud_request as cloud_request
from cluster.gateway.convert._exports import mesh_from_pb as mesh_from_pb
from cluster.gateway.convert._exports import mesh_request as mesh_request
from cluster.gateway.convert._exports import splat_request as splat_request
from cluster.gateway.convert._exports import splats_from_pb as splats_from_pb
from cluster.gateway.convert._jobs import OperationWish as OperationWish
from cluster.gateway.convert._jobs import job_from_pb as job_from_pb
from cluster.gateway.convert._jobs import job_to_pb as job_to_pb
from cluster.gateway.convert._jobs import operation_from_pb as operation_from_pb
from cluster.gateway.convert._jobs import operation_to_pb as operation_to_pb
from cluster.gateway.convert._jobs import priority_from_pb as priority_from_pb
from cluster.gateway.convert._jobs import spec_from_pb as spec_from_pb
from cluster.gateway.convert._jobs import spec_to_pb as spec_to_pb
from cluster.gateway.convert._jobs import state_from_pb as state_from_pb
from cluster.gateway.convert._jobs import state_to_pb as state_to_pb
from cluster.gateway.convert._jobs import wish_from_pb as wish_from_pb
from cluster.gateway.convert._metrics import cluster_to_pb as cluster_to_pb
from cluster.gateway.convert._metrics import metrics_to_pb as metrics_to_pb
from cluster.gateway.convert._scenes import optimize_from_pb as optimize_from_pb
from cluster.gateway.convert._scenes import optimize_request as optimize_request
from cluster.gateway.convert._scenes import refine_from_pb as refine_from_pb
from cluster.gateway.convert._scenes import refine_request as refine_request
from cluster.gateway.convert._scenes import render_from_pb as render_from_pb
from cluster.gateway.convert._scenes import render_request as render_request
from cluster.gateway.convert._scenes import scene_from_pb as scene_from_pb
from cluster.gateway.convert._scenes import scene_to_pb as scene_to_pb

"""The client of the service: upload, create, watch, export, download, from Python."""

from cluster.client._async import AsyncClient as AsyncClient
from cluster.client._channel import ClientTls as ClientTls
from cluster.client._sync import Client as Client
from cluster.gateway.convert import Picture as Picture
from cluster.gateway.convert import WatchedEvent as WatchedEvent
from cluster.gateway.records import AssetRecord as AssetRecord
from cluster.gateway.records import JobFault as JobFault
from cluster.gateway.records import JobRecord as JobRecord
from cluster.gateway.records import Priority as Priority
from cluster.gateway.records import QuotaRecord as QuotaRecord
from cluster.gateway.records import SceneRecord as SceneRecord
from cluster.gateway.records import State as State
from cluster.worker.task import CameraSpec as CameraSpec
from cluster.worker.task import CloudSpec as CloudSpec
from cluster.worker.task import InputSpec as InputSpec
from cluster.worker.task import MeshSpec as MeshSpec
from cluster.worker.task import OptimizeSpec as OptimizeSpec
from cluster.worker.task import ReconstructSpec as ReconstructSpec
from cluster.worker.task import RefineSpec as RefineSpec
from cluster.worker.task import RenderSpec as RenderSpec
from cluster.worker.task import SplatSpec as SplatSpec

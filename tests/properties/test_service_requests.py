"""Whatever a caller sends is taken or refused with a field; it breaks nothing."""

import math
from typing import Any

from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.gateway.convert import (
    asset_from_pb,
    asset_to_pb,
    camera_request,
    cameras_from_pb,
    cloud_from_pb,
    cloud_request,
    event_to_pb,
    mesh_from_pb,
    mesh_request,
    optimize_from_pb,
    quota_from_pb,
    quota_to_pb,
    refine_from_pb,
    render_from_pb,
    spec_from_pb,
    spec_to_pb,
    splats_from_pb,
    watched_from_pb,
    wish_from_pb,
)
from cluster.gateway.records import AssetRecord, EventContent, JobEvent, Priority, QuotaRecord
from cluster.gateway.wire import read_part
from cluster.rpc import (
    asset_service_pb2,
    export_service_pb2,
    operation_service_pb2,
    reconstruction_service_pb2,
    scene_service_pb2,
)
from cluster.worker.events import StageMark, WorkerEvent
from cluster.worker.task import CameraSpec, CloudSpec, InputSpec, MeshSpec, ReconstructSpec
from worldloom.cameras import TrajectoryFormat
from worldloom.errors import ConfigError

CONVERTERS: list[tuple[Any, Any]] = [
    (reconstruction_service_pb2.ReconstructionJob, spec_from_pb),
    (operation_service_pb2.OperationOptions, wish_from_pb),
    (export_service_pb2.ExportMeshRequest, mesh_from_pb),
    (export_service_pb2.ExportPointCloudRequest, cloud_from_pb),
    (export_service_pb2.ExportSplatsRequest, splats_from_pb),
    (export_service_pb2.ExportCamerasRequest, cameras_from_pb),
    (scene_service_pb2.RefineMeshRequest, refine_from_pb),
    (scene_service_pb2.OptimizeTexturesRequest, optimize_from_pb),
    (scene_service_pb2.RenderViewsRequest, render_from_pb),
]
IDS = st.text("0123456789abcdef", min_size=28, max_size=28)
TEXTS = st.one_of(st.text(max_size=300), IDS, IDS.map(lambda i: f"assets/{i}"),
                  IDS.map(lambda i: f"scenes/{i}"))  # fmt: skip
VALUES: dict[int, st.SearchStrategy[Any]] = {
    1: st.floats(),
    3: st.integers(-(2**63), 2**63 - 1),
    5: st.integers(-(2**31), 2**31 - 1) | st.integers(0, 10_000),
    8: st.booleans(),
    9: TEXTS,
    12: st.binary(max_size=64),
    14: st.integers(-(2**31), 2**31 - 1) | st.integers(0, 9),
}


@st.composite
def messages(draw: Any, kind: Any) -> Any:
    """A message of a kind with any fields and any values."""
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        count = draw(st.integers(0, 2 if field.is_repeated else 1))
        for _ in range(count):
            target = getattr(message, field.name)
            if field.message_type is not None:
                inner = draw(messages(field.message_type._concrete_class))
                if field.is_repeated:
                    target.append(inner)
                else:
                    target.CopyFrom(inner)
            elif field.is_repeated:
                target.append(draw(VALUES[field.type]))
            else:
                setattr(message, field.name, draw(VALUES[field.type]))
    return message


def refused_field(convert: Any, message: Any) -> Any:
    """The field that a converter refuses, None where it takes all."""
    try:
        convert(message)
    except ConfigError as error:
        return error.ids["field"]
    return None


@settings(max_examples=300)
@given(st.data())
def test_any_message_is_taken_or_names_its_field(data: st.DataObject):
    kind, convert = data.draw(st.sampled_from(CONVERTERS))
    message = data.draw(messages(kind))
    assert refused_field(convert, message) != ""


@settings(max_examples=500)
@given(st.sampled_from(CONVERTERS), st.binary(max_size=200))
def test_any_bytes_are_no_message_or_taken_or_refused(converter: Any, data: bytes):
    kind, convert = converter
    try:
        message = kind.FromString(data)
    except DecodeError:
        return
    assert refused_field(convert, message) != ""


def generated(data: bytes) -> tuple[str, int, bytes, int | None] | None:
    """What the generated class makes of a part; None where that is no message."""
    try:
        found = asset_service_pb2.UploadPartRequest.FromString(data)
    except DecodeError:
        return None
    crc32c = found.crc32c if found.HasField("crc32c") else None
    return found.name, found.offset_bytes, found.data, crc32c


def ours(data: bytes) -> tuple[str, int, bytes, int | None] | None:
    try:
        found = read_part(data)
    except (DecodeError, ValueError):
        return None
    return found.name, found.offset_bytes, bytes(found.data), found.crc32c


PARTS = st.builds(
    asset_service_pb2.UploadPartRequest,
    name=st.text(max_size=9),
    offset_bytes=st.integers(-(2**63), 2**63 - 1),
    data=st.binary(max_size=300),
    crc32c=st.none() | st.integers(0, 2**32 - 1),
)


@settings(max_examples=500)
@given(st.lists(PARTS, min_size=1, max_size=3), st.integers(0, 700), st.binary(max_size=20))
def test_parts_are_read_as_the_generated_class_reads_them(
    parts: list[asset_service_pb2.UploadPartRequest], length: int, more: bytes
):
    data = b"".join(part.SerializeToString() for part in parts)
    assert ours(data) == generated(data) is not None
    for damaged in (data[:length], more + data, data + more):
        # Groups, which no version of ours ever had, are refused by us alone.
        assert ours(damaged) in (generated(damaged), None)


SPECS = st.builds(
    ReconstructSpec,
    inputs=st.lists(st.builds(InputSpec, IDS, IDS), min_size=1, max_size=3).map(tuple),
    title=st.text("abc äß", max_size=20),
    method=st.sampled_from(["mvs", "splat", "hybrid", "neural"]),
    resolution_px=st.integers(64, 8192),
    point_density=st.sampled_from(["low", "medium", "high"]),
    refine_depth=st.booleans(),
    refine_poses=st.booleans(),
    holdout_views=st.sampled_from([0, 2, 5]),
    voxel_m=st.none() | st.floats(1e-6, 1e6),
    frame_step=st.integers(1, 100),
    textures=st.booleans(),
    texture_resolution_px=st.integers(64, 8192),
    max_texture_faces=st.integers(4, 10**6),
)


@given(SPECS, st.sampled_from(list(Priority)))
def test_settings_come_back(spec: ReconstructSpec, priority: Priority):
    data = spec_to_pb(spec, priority).SerializeToString()
    assert spec_from_pb(reconstruction_service_pb2.ReconstructionJob.FromString(data)) == spec


@given(
    IDS,
    st.builds(
        MeshSpec,
        st.sampled_from(["obj", "ply", "gltf", "glb", "fbx", "usda", "usdc", "usdz"]),
        st.booleans(),
        st.none() | st.integers(64, 8192),
        st.sampled_from(["format", "world", "y-up", "z-up"]),
        st.floats(1e-6, 1e6),
    ),
)
def test_meshes_come_back(scene_id: str, spec: MeshSpec):
    found = mesh_from_pb(mesh_request(scene_id, spec))
    assert (found.scene_id, found.mesh) == (scene_id, spec)


@given(IDS, st.sampled_from(["ply", "pcd", "pcd-ascii", "xyz", "las", "laz", "e57"]))
def test_clouds_come_back(scene_id: str, name: Any):
    assert cloud_from_pb(cloud_request(scene_id, CloudSpec(name))).cloud == CloudSpec(name)


@given(IDS, st.sampled_from(["transforms", "colmap-binary", "tum"]))
def test_cameras_come_back(scene_id: str, name: str):
    spec = CameraSpec(TrajectoryFormat(name))
    assert cameras_from_pb(camera_request(scene_id, spec)).cameras == spec


@given(st.integers(1, 2**40), st.floats(0, 4e9), st.none() | st.floats(0, 1e6))
def test_events_come_back_to_the_nanosecond(sequence: int, time_s: float, left_s: float | None):
    mark = StageMark("depth", 1, 2, 0, 0, left_s)
    event = JobEvent(sequence, time_s, EventContent(worker=WorkerEvent(time_s, progress=mark)))
    found = watched_from_pb(event_to_pb(event, None))
    assert found.sequence == sequence
    assert math.isclose(found.time_s, time_s, abs_tol=1e-6)
    assert found.progress is not None
    if left_s is None:
        assert found.progress.remaining_s is None
    else:
        assert math.isclose(found.progress.remaining_s or 0.0, left_s, abs_tol=1e-6)


@given(IDS, st.text(max_size=20), st.integers(1, 2**62), st.binary(min_size=32, max_size=32))
def test_assets_and_quotas_come_back(asset_id: str, name: str, size: int, sha256: bytes):
    asset = AssetRecord(asset_id, name, size, sha256, 12.5, None)
    assert asset_from_pb(asset_to_pb(asset)) == asset
    quota = QuotaRecord(size, size, 3, 4, 1.5, 2.5)
    assert quota_from_pb(quota_to_pb(quota)) == quota

"""The service as its users meet it: a gateway in a process of its own, killed in the middle."""

import hashlib
import os
import signal
import socket
import struct
import threading
import zipfile
from contextlib import suppress
from pathlib import Path

import laspy
import pytest
import trimesh

from cluster.client import (
    Client,
    CloudSpec,
    InputSpec,
    MeshSpec,
    ReconstructSpec,
    State,
    WatchedEvent,
)
from cluster.worker.confinement import holder_of
from tests.serving import made_token, serving
from worldloom.errors import ServiceError
from worldloom.synthetic import SceneSpec, build_scene, write_scene

pytestmark = pytest.mark.timeout(300)
SPEC = SceneSpec(layout="corner", frames=8, width_px=160, height_px=120, supersampling=1)
PADDING_BYTES = 20 << 20


class Proxy:
    """Stands between client and gateway, and can cut all connections."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Ends all connections, and takes no more."""
        # What waits in accept is woken by shutdown, not by close.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self._thread.join(10)
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of several parts, with its cameras."""
    folder = tmp_path_factory.mktemp("corner")
    write_scene(build_scene(SPEC), folder)
    with (folder / "video.mp4").open("ab") as video:
        # Players pass over a box that is called free.
        video.write(struct.pack(">I4s", PADDING_BYTES + 8, b"free") + os.urandom(PADDING_BYTES))
    return folder


@pytest.fixture
def token(tmp_path: Path) -> str:
    return made_token(tmp_path / "data")


def upload_over_a_cut(port: int, token: str, video: Path) -> None:
    """Uploads until the connection is cut in the middle."""
    proxy = Proxy(port)

    def cut_in_the_middle(done: int, total: int) -> None:
        if done > total // 4:
            proxy.cut()

    try:
        with (
            Client(f"127.0.0.1:{proxy.port}", token, parallel=1, retry_s=0.0) as client,
            pytest.raises(ServiceError),
        ):
            client.upload(video, on_progress=cut_in_the_middle)
    finally:
        proxy.close()


def test_from_video_to_export_over_a_cut_and_a_killed_gateway(
    scene: Path, token: str, tmp_path: Path
):
    data = tmp_path / "data"
    video = scene / "video.mp4"
    events: list[WatchedEvent] = []
    with serving(data) as (process, port):
        upload_over_a_cut(port, token, video)
        client = Client(f"127.0.0.1:{port}", token, retry_s=60.0)
        steps: list[int] = []
        media = client.upload(video, on_progress=lambda done, _total: steps.append(done))
        assert video.stat().st_size // 4 < steps[0] < video.stat().st_size, "it did not resume"
        assert media.sha256 == hashlib.sha256(video.read_bytes()).digest()
        cameras = client.upload(scene / "camera.json")
        spec = ReconstructSpec(
            (InputSpec(media.id, cameras.id),), "corner", resolution_px=128, textures=False
        )
        job = client.create_job(spec, request_id="one")
        assert client.create_job(spec, request_id="one").id == job.id
        assert len(client.list_jobs()) == 1
        watch = client.watch_job(job.id, previews=True)
        for event in watch:
            events.append(event)
            if event.progress is not None and event.progress.stage == "depth":
                break
        worker = holder_of(data / "jobs" / job.id)
        assert worker is not None
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert holder_of(data / "jobs" / job.id) == worker, "the job ended with the gateway"
    with serving(data, port), client:
        # The same generator goes on over the restart.
        events += watch
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        states = [event.state.state for event in events if event.state is not None]
        assert states == [State.QUEUED, State.RUNNING, State.SUCCEEDED]
        pictures = [event.preview for event in events if event.preview is not None]
        assert all(picture.image.startswith(b"\xff\xd8") for picture in pictures)
        assert len(pictures) >= 2
        done = client.get_job(job.id)
        assert (done.attempts, done.degraded) == (1, False)
        assert done.scene_id is not None
        exported(client, done.scene_id, tmp_path)


def exported(client: Client, scene_id: str, folder: Path) -> None:
    """Exports mesh and cloud, downloads and opens them."""
    begun = [
        client.export_mesh(scene_id, MeshSpec("glb")),
        client.export_point_cloud(scene_id, CloudSpec("las")),
    ]
    files: list[Path] = []
    for operation in begun:
        made = client.wait_operation(operation.id)
        assert made.asset_id is not None, made.fault
        path = client.download(made.asset_id, folder)
        asset = client.get_asset(made.asset_id)
        assert hashlib.sha256(path.read_bytes()).digest() == asset.sha256
        files.append(path)
    scene = client.get_scene(scene_id)
    mesh = trimesh.load(files[0], force="mesh", process=False)
    assert len(mesh.faces) == scene.faces > 1000
    cloud = laspy.read(files[1])
    assert len(cloud.points) == scene.points > 1000
    report = client.download_scene_file(scene_id, "report.html", folder / "report.html")
    assert report.read_text().startswith("<!")


def test_a_bomb_and_a_video_without_cameras_fail_their_jobs(token: str, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images/0.png", bytes(100 << 20))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    address = "127.0.0.1:{}"
    with serving(tmp_path / "data") as (_, port), Client(address.format(port), token) as client:
        for name, reasons in (("bomb.zip", {"LIMIT"}), ("broken.mp4", {"TRAJECTORY"})):
            media = client.upload(tmp_path / name)
            job = client.create_job(ReconstructSpec((InputSpec(media.id),)))
            ended = client.wait_job(job.id)
            assert ended.state is State.FAILED
            assert ended.fault is not None
            assert str(tmp_path) not in ended.fault.message
            assert ended.fault.reason in reasons
            client.delete_job(job.id)
        assert client.list_jobs() == ()

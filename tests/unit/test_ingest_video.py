import struct
from pathlib import Path

import av
import numpy as np
import pytest

from tests.ingest_media import (
    HEIGHT_PX,
    WIDTH_PX,
    coded_image,
    coded_video,
    hole_image,
    number_shown,
    write_camera_json,
    write_video,
)
from worldloom.errors import InputError, LimitError, VideoError
from worldloom.ingest import IngestLimits, Video, open_sources
from worldloom.ingest._video import count_frames, decode_frames, probe_video

LIMITS = IngestLimits()


def decoded_numbers(path: Path, frames: int | None, threads: int = 1) -> list[int | None]:
    decoded = decode_frames(path, frames, LIMITS, wanted=lambda i: i % 2 == 0, threads=threads)
    numbers: list[int | None] = []
    for place, frame in enumerate(decoded):
        assert frame.index == place
        numbers.append(None if frame.pixels is None else number_shown(frame.pixels))
    return numbers


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".mkv"])
@pytest.mark.parametrize("threads", [1, 3])
def test_each_container_gives_each_frame_at_its_index(
    tmp_path: Path, suffix: str, threads: int
) -> None:
    path = coded_video(tmp_path / f"clip{suffix}", 23)
    video = probe_video(path, LIMITS)
    assert (video.width_px, video.height_px, video.frame_count) == (WIDTH_PX, HEIGHT_PX, 23)
    expected = [number if number % 2 == 0 else None for number in range(23)]
    assert decoded_numbers(path, 23, threads) == expected


def test_variable_frame_rate_does_not_move_or_repeat_frames(tmp_path: Path) -> None:
    ticks = np.cumsum([0, 40, 900, 1, 1, 333, 40, 2_000, 7]).tolist()
    path = coded_video(tmp_path / "clip.mp4", 9, ticks=ticks)
    assert probe_video(path, LIMITS).frame_count == 9
    assert decoded_numbers(path, 9) == [0, None, 2, None, 4, None, 6, None, 8]


def test_packets_that_show_nothing_are_not_frames(tmp_path: Path) -> None:
    shown = coded_video(tmp_path / "shown.webm", 10, codec="libvpx")
    path = tmp_path / "clip.webm"
    with av.open(str(shown)) as container, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.pts is None:
                continue
            packet.stream = stream
            # The bit 0x10 of a VP8 frame says that it is shown (RFC 6386, section 9.1).
            hidden = av.Packet(bytes([bytes(packet)[0] & ~0x10]) + bytes(packet)[1:])
            hidden.stream, hidden.time_base = stream, packet.time_base
            hidden.pts = hidden.dts = packet.pts + 1
            copy.mux([packet, hidden])
    assert probe_video(path, LIMITS).frame_count == 20
    assert count_frames(path, LIMITS) == 10
    (source,) = open_sources(
        [path], [write_camera_json(tmp_path / "camera.json", 10)], limits=LIMITS
    )
    assert isinstance(source.media, Video)
    assert source.media.frame_count == 10


def test_a_gray_decode_keeps_levels(tmp_path: Path) -> None:
    path = write_video(tmp_path / "mask.mp4", [hole_image(16, 48)] * 2)
    (first, _) = decode_frames(path, 2, LIMITS, wanted=lambda _: True, pixel_format="gray")
    assert first.pixels is not None
    assert first.pixels.shape == (HEIGHT_PX, WIDTH_PX)
    assert first.pixels[:, :15].max() < 20
    assert first.pixels[:, 17:47].min() > 235


def test_a_turned_video_comes_upright(tmp_path: Path) -> None:
    path = coded_video(tmp_path / "clip.mp4", 2)
    plain = next(decode_frames(path, 2, LIMITS, wanted=lambda _: True)).pixels
    content = bytearray(path.read_bytes())
    matrix = content.find(b"tkhd") + 4 + 40
    one, w = 1 << 16, 1 << 30
    assert struct.unpack_from(">9i", content, matrix) == (one, 0, 0, 0, one, 0, 0, 0, w)
    struct.pack_into(">9i", content, matrix, 0, one, 0, -one, 0, 0, HEIGHT_PX * one, 0, w)
    path.write_bytes(content)
    video = probe_video(path, LIMITS)
    assert (video.width_px, video.height_px) == (HEIGHT_PX, WIDTH_PX)
    turned = next(decode_frames(path, 2, LIMITS, wanted=lambda _: True)).pixels
    assert plain is not None
    assert turned is not None
    # The matrix asks for a quarter turn clockwise: the top row becomes the right column.
    assert np.array_equal(turned, np.rot90(plain, -1))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.mp4 cannot be read: No such file"):
        probe_video(tmp_path / "gone.mp4", LIMITS)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.touch()
    with pytest.raises(InputError, match=r"clip\.mp4 is empty \(0 bytes\)") as caught:
        probe_video(path, LIMITS)
    assert caught.value.ids["path"] == str(path)


@pytest.mark.parametrize(
    "content", [b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"hello", bytes(5_000)]
)
def test_content_that_is_no_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"clip\.mp4 is not an mp4, mov, webm or mkv file"):
        probe_video(path, LIMITS)


def test_an_mp4_cut_before_its_index(tmp_path: Path) -> None:
    path = coded_video(tmp_path / "clip.mp4", 20)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(VideoError, match=r"its header cannot be read .*copy or encode it again"):
        probe_video(path, LIMITS)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_an_mp4_cut_behind_its_index(tmp_path: Path, share: float) -> None:
    path = coded_video(tmp_path / "clip.mp4", 40, container_options={"movflags": "faststart"})
    content = path.read_bytes()
    start = content.find(b"mdat") + 1_000
    path.write_bytes(content[: start + int((len(content) - start) * share)])
    with pytest.raises(VideoError, match=r"at frame \d+: .*(cut short|of the 40 frames)") as caught:
        probe_video(path, LIMITS)
    assert 0 < int(str(caught.value.ids["frame"])) < 40


def test_damage_inside_is_found_and_located(tmp_path: Path) -> None:
    path = coded_video(tmp_path / "clip.mp4", 40, options={"crf": "0", "g": "10"})
    content = bytearray(path.read_bytes())
    start = content.find(b"mdat")
    middle = (start + len(content)) // 2
    rng = np.random.default_rng(1)
    content[middle : middle + 300] = rng.integers(0, 256, 300, np.uint8).tobytes()
    path.write_bytes(content)
    video = probe_video(path, LIMITS)
    with pytest.raises(VideoError, match="damaged") as caught:
        count_frames(video.path, LIMITS)
    assert 0 < int(str(caught.value.ids["frame"])) < 40


def test_another_number_of_frames_than_expected(tmp_path: Path) -> None:
    path = coded_video(tmp_path / "clip.mp4", 5)
    with pytest.raises(VideoError, match="5 frames decode, 6 were expected"):
        list(decode_frames(path, 6, LIMITS, wanted=lambda _: False))


def test_a_size_that_changes_inside(tmp_path: Path) -> None:
    path = tmp_path / "both.webm"
    parts = [
        coded_video(tmp_path / "first.webm", 3),
        write_video(tmp_path / "second.webm", [coded_image(0, 96, 64)] * 3),
    ]
    with av.open(str(path), "w") as joined:
        stream = None
        for number, part in enumerate(parts):
            with av.open(str(part)) as container:
                stream = stream or joined.add_stream_from_template(container.streams.video[0])
                for packet in container.demux(video=0):
                    if packet.pts is not None:
                        packet.stream = stream
                        packet.pts = packet.dts = packet.pts + 1_000 * number
                        joined.mux(packet)
    with pytest.raises(VideoError, match=r"frame 3 is 96x64, those before are 64x48") as caught:
        count_frames(path, LIMITS)
    assert caught.value.ids["frame"] == 3


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (IngestLimits(max_pixels=3_000), "a frame of 64x48 is above the cap max_pixels=3000"),
        (IngestLimits(max_frames=19), "20 frames is above the cap max_frames=19"),
        (IngestLimits(max_duration_s=1.0), r"1\.\d s of video is above the cap max_duration_s"),
    ],
)
def test_caps(tmp_path: Path, limits: IngestLimits, message: str) -> None:
    for suffix in (".mp4", ".mkv"):
        path = coded_video(tmp_path / f"clip{suffix}", 20)
        with pytest.raises(LimitError, match=message) as caught:
            probe_video(path, limits)
        assert caught.value.ids["path"] == str(path)


def test_the_cap_on_file_size(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with path.open("wb") as file:
        file.truncate(3 * 2**20)
    with pytest.raises(LimitError, match="a file of 3145728 bytes is above the cap max_file_mib=2"):
        probe_video(path, IngestLimits(max_file_mib=2))

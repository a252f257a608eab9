import inspect

import worldloom

PUBLIC = {
    "Camera",
    "CameraIntrinsics",
    "CameraPose",
    "CameraTrajectory",
    "DepthMap",
    "FilmConfig",
    "Frame",
    "InlineRunner",
    "Mesh",
    "MeshReport",
    "PointCloud",
    "ReconstructedScene",
    "ReconstructionConfig",
    "RefinementConfig",
    "Splats",
    "Texture",
    "TextureConfig",
    "UnwrappedMesh",
    "WorldloomError",
    "bake_textures",
    "export_cameras",
    "export_mesh",
    "export_point_cloud",
    "export_splats",
    "interpolate_poses",
    "load_trajectory",
    "mesh_report",
    "optimize_textures",
    "reconstruct_files",
    "reconstruct_from_panorama",
    "reconstruct_panoramas",
    "reconstruct_scene",
    "refine_mesh",
    "render_scene",
    "save_trajectory",
}


def _named(package: object) -> dict[str, object]:
    return {
        name: value
        for name in dir(package)
        if not name.startswith("_") and not inspect.ismodule(value := getattr(package, name))
    }


def test_the_public_names_are_these():
    """A name that goes away breaks users; one that comes is a promise, and stands here too."""
    assert set(_named(worldloom)) == PUBLIC


def test_every_public_name_says_what_it_is():
    assert [name for name, value in _named(worldloom).items() if not inspect.getdoc(value)] == []


def test_the_entry_takes_what_its_users_pass():
    parameters = inspect.signature(worldloom.reconstruct_scene).parameters
    assert list(parameters)[:8] == [
        "video_path",
        "camera_trajectory",
        "output_path",
        "method",
        "resolution",
        "depth_estimation",
        "point_cloud_density",
        "runner",
    ]
    defaults = [parameters[name].default for name in list(parameters)[3:7]]
    assert defaults == ["mvs", 640, True, "medium"]


def test_the_entry_for_panoramas_takes_what_its_users_pass():
    parameters = inspect.signature(worldloom.reconstruct_from_panorama).parameters
    assert list(parameters)[:8] == [
        "panorama_path",
        "camera_trajectory",
        "output_path",
        "depth",
        "depth_model",
        "method",
        "resolution",
        "sampling",
    ]
    defaults = [parameters[name].default for name in list(parameters)[1:8]]
    assert defaults == [None, "out", None, None, "mvs", 640, "cube"]

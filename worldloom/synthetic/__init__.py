"""Synthetic scenes: textured rooms and objects with exact truth, for demos, tests, benchmarks."""

from worldloom.synthetic._files import encode_video as encode_video
from worldloom.synthetic._files import write_scene as write_scene
from worldloom.synthetic._panorama import RenderedPanorama as RenderedPanorama
from worldloom.synthetic._panorama import render_panorama as render_panorama
from worldloom.synthetic._scene import SceneSpec as SceneSpec
from worldloom.synthetic._scene import SyntheticScene as SyntheticScene
from worldloom.synthetic._scene import build_scene as build_scene

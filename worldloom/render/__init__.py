"""Rendering of triangle meshes by ray casting: images, depth and normals from a camera."""

from worldloom.render._mesh import MeshRenderer as MeshRenderer
from worldloom.render._mesh import render_mesh as render_mesh
from worldloom.render._mesh import shade_by_normals as shade_by_normals
from worldloom.render._raycaster import RayCaster as RayCaster
from worldloom.render._raycaster import RayHits as RayHits
from worldloom.render._raycaster import camera_rays as camera_rays
from worldloom.render._raycaster import face_normals as face_normals
from worldloom.render._raycaster import facing_normals as facing_normals
from worldloom.render._textured import TexturedRenderer as TexturedRenderer
from worldloom.render._textured import sample_pages as sample_pages
from worldloom.render._view import RenderedView as RenderedView

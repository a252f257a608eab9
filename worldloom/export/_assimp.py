"""The parts of Assimp's C interface that are needed to hand it a scene, and the library itself.

The layouts are those of `assimp/scene.h`, `mesh.h`, `material.h`, `texture.h` and `metadata.h` of
Assimp 6, built with single precision, as the package cmeel-assimp brings it.
"""

import ctypes
from ctypes import POINTER, Structure, c_char, c_char_p, c_float, c_int, c_uint, c_void_p
from functools import cache
from importlib import metadata
from pathlib import Path

from worldloom.errors import ExportError

_MAJOR = 6
_LONGEST_STRING = 1024
_SETS = 8

TRIANGLES = 4
DIFFUSE, NORMALS, SHININESS = 1, 6, 7
FLOAT_DATA, STRING_DATA = 1, 3
INT_ENTRY, DOUBLE_ENTRY = 1, 4


class String(Structure):
    """`aiString`."""

    _fields_ = (("length", c_uint), ("data", c_char * _LONGEST_STRING))


class Node(Structure):
    """`aiNode`."""


Node._fields_ = (
    ("name", String),
    ("transformation", c_float * 16),
    ("parent", POINTER(Node)),
    ("num_children", c_uint),
    ("children", POINTER(POINTER(Node))),
    ("num_meshes", c_uint),
    ("meshes", POINTER(c_uint)),
    ("metadata", c_void_p),
)


class Mesh(Structure):
    """`aiMesh`."""

    _fields_ = (
        ("primitive_types", c_uint),
        ("num_vertices", c_uint),
        ("num_faces", c_uint),
        ("vertices", c_void_p),
        ("normals", c_void_p),
        ("tangents", c_void_p),
        ("bitangents", c_void_p),
        ("colors", c_void_p * _SETS),
        ("texture_coords", c_void_p * _SETS),
        ("num_uv_components", c_uint * _SETS),
        ("faces", c_void_p),
        ("num_bones", c_uint),
        ("bones", c_void_p),
        ("material_index", c_uint),
        ("name", String),
        ("num_anim_meshes", c_uint),
        ("anim_meshes", c_void_p),
        ("method", c_int),
        ("box", c_float * 6),
        ("texture_coords_names", c_void_p),
    )


class MaterialProperty(Structure):
    """`aiMaterialProperty`."""

    _fields_ = (
        ("key", String),
        ("semantic", c_uint),
        ("index", c_uint),
        ("data_length", c_uint),
        ("type", c_int),
        ("data", c_char_p),
    )


class Material(Structure):
    """`aiMaterial`."""

    _fields_ = (
        ("properties", POINTER(POINTER(MaterialProperty))),
        ("num_properties", c_uint),
        ("num_allocated", c_uint),
    )


class Texture(Structure):
    """`aiTexture`; with height 0, `width` bytes of an encoded image."""

    _fields_ = (
        ("width", c_uint),
        ("height", c_uint),
        ("format_hint", c_char * 9),
        ("data", c_char_p),
        ("filename", String),
    )


class MetadataEntry(Structure):
    """`aiMetadataEntry`."""

    _fields_ = (("type", c_int), ("data", c_void_p))


class Metadata(Structure):
    """`aiMetadata`."""

    _fields_ = (
        ("num_properties", c_uint),
        ("keys", POINTER(String)),
        ("values", POINTER(MetadataEntry)),
    )


class Scene(Structure):
    """`aiScene`."""

    _fields_ = (
        ("flags", c_uint),
        ("root", POINTER(Node)),
        ("num_meshes", c_uint),
        ("meshes", POINTER(POINTER(Mesh))),
        ("num_materials", c_uint),
        ("materials", POINTER(POINTER(Material))),
        ("num_animations", c_uint),
        ("animations", c_void_p),
        ("num_textures", c_uint),
        ("textures", POINTER(POINTER(Texture))),
        ("num_lights", c_uint),
        ("lights", c_void_p),
        ("num_cameras", c_uint),
        ("cameras", c_void_p),
        ("metadata", POINTER(Metadata)),
        ("name", String),
        ("num_skeletons", c_uint),
        ("skeletons", c_void_p),
        ("private", c_void_p),
    )


def string(text: str) -> String:
    """Returns an `aiString`.

    Raises:
        ExportError: the text is longer than Assimp's 1023 bytes.
    """
    data = text.encode()
    if len(data) >= _LONGEST_STRING:
        raise ExportError(
            f"{text[:40]}... is longer than the {_LONGEST_STRING - 1} bytes of an FBX name here; "
            "give a shorter file name",
            format="fbx",
        )
    return String(len(data), data)


@cache
def library() -> ctypes.CDLL:
    """Loads the library that the package cmeel-assimp brought.

    Raises:
        ExportError: the package is missing, or of another major version, whose layouts differ.
    """
    try:
        distribution = metadata.distribution("cmeel-assimp")
    except metadata.PackageNotFoundError as error:
        raise ExportError(
            "FBX needs the package cmeel-assimp; install it with: pip install cmeel-assimp",
            format="fbx",
        ) from error
    found = [
        Path(str(distribution.locate_file(file)))
        for file in distribution.files or ()
        if file.name in {"libassimp.so", "libassimp.dylib"}
    ]
    if not found:
        raise ExportError(
            "the package cmeel-assimp holds no library for this system; export glb instead",
            format="fbx",
        )
    loaded = ctypes.CDLL(str(found[0]))
    major = loaded.aiGetVersionMajor()
    if major != _MAJOR:
        raise ExportError(
            f"cmeel-assimp {distribution.version} is Assimp {major}, this release speaks to "
            f"{_MAJOR}; install cmeel-assimp=={_MAJOR}.*",
            format="fbx",
        )
    loaded.aiExportScene.argtypes = (POINTER(Scene), c_char_p, c_char_p, c_uint)
    loaded.aiExportScene.restype = c_int
    loaded.aiGetErrorString.restype = c_char_p
    return loaded

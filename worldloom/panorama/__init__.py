"""Panoramas: the geometry of equirectangular pictures, sampling them, and layered meshes."""

from worldloom.panorama._config import LayerConfig as LayerConfig
from worldloom.panorama._distance import DistancePanorama as DistancePanorama
from worldloom.panorama._distance import distance_from_face_z as distance_from_face_z
from worldloom.panorama._distance import sampled_distance as sampled_distance
from worldloom.panorama._image import PanoramaImage as PanoramaImage
from worldloom.panorama._image import panorama_from_view as panorama_from_view
from worldloom.panorama._layers import LayeredSurface as LayeredSurface
from worldloom.panorama._layers import layered_surface as layered_surface
from worldloom.panorama._rays import pixel_rays as pixel_rays
from worldloom.panorama._rays import pixels_from_rays as pixels_from_rays
from worldloom.panorama._rays import rays_from_pixels as rays_from_pixels
from worldloom.panorama._sphere import Sampling as Sampling
from worldloom.panorama._sphere import SphereSampling as SphereSampling

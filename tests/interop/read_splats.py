"""read_splats.py READERS FILE TARGET: what gsply reads, as arrays in linear units."""

import sys

import numpy as np

sys.path.insert(0, sys.argv[1])
import gsply

path = sys.argv[2]
data = gsply.read_spz(path) if path.endswith(".spz") else gsply.plyread(path)
data = data.denormalize() if data.is_scales_ply else data
np.savez(
    sys.argv[3],
    means_in_world=data.means.astype(np.float32),
    scales_m=data.scales.astype(np.float32),
    rotations=data.quats.astype(np.float32) / np.linalg.norm(data.quats, axis=1, keepdims=True),
    opacities=data.opacities.astype(np.float32),
    sh=np.concatenate([data.sh0[:, None], data.shN], axis=1).astype(np.float32),
)
print(gsply.__version__)

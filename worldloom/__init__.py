"""Worldloom: 3D scenes from camera-controlled video, on a laptop or a cluster.

The names are those of `__init__.pyi`. Each is imported when it is first asked for: a worker needs
few of them, and one that imports all starts a second later.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""The viewer: a scene, or a running job, in a browser."""

from worldloom.viewer._config import ViewerConfig as ViewerConfig
from worldloom.viewer._live import LivePoints as LivePoints
from worldloom.viewer._live import LiveStore as LiveStore
from worldloom.viewer._live import Look as Look
from worldloom.viewer._measure import Picker as Picker
from worldloom.viewer._viewer import Viewer as Viewer
from worldloom.viewer._viewer import view_scene as view_scene

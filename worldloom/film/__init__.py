"""Novel views: a scene filmed along a path, as a video or as pictures."""

from worldloom.film._config import FilmConfig as FilmConfig
from worldloom.film._config import FilmSource as FilmSource
from worldloom.film._config import Preset as Preset
from worldloom.film._film import Film as Film
from worldloom.film._film import render_scene as render_scene
from worldloom.film._paths import fly_through as fly_through
from worldloom.film._paths import orbit as orbit
from worldloom.film._paths import resampled as resampled
from worldloom.film._source import ViewSource as ViewSource
from worldloom.film._source import view_source as view_source

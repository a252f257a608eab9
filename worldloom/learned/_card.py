"""What the files of a model say about it, read without loading it."""

import hashlib
import importlib
import importlib.util
import json
import re
from pathlib import Path
from typing import Any, cast

from worldloom.errors import ConfigError, InputError
from worldloom.learned._config import LearnedConfig
from worldloom.learned._estimator import ModelCard, ModelKind, ModelRef, Quantity

UNKNOWN_LICENCE = "unknown: see the model's page"
SETTINGS_FILE = "config.json"
CHECKPOINT_FILE = "model.pt"
_PACKAGES: dict[ModelKind, tuple[str, str]] = {
    "transformers": ("transformers", "pip install 'worldloom[learned]'"),
    "moge-1": ("moge", "pip install git+https://github.com/microsoft/MoGe.git"),
    "moge-2": ("moge", "pip install git+https://github.com/microsoft/MoGe.git"),
}
_FETCH = (
    "Worldloom downloads no model; fetch it once (hf download OWNER/NAME --local-dir FOLDER) and "
    "give the folder as --depth-model, or the id as --depth-model and the cache that holds it as "
    "--depth-model-cache"
)


def read_model_card(config: LearnedConfig) -> ModelCard:
    """Finds the model that the settings name, and reads what its files say.

    Args:
        config: Settings with `depth_model`.

    Raises:
        ConfigError: no model is named, the package that loads it is missing, or its files do not
            say what it predicts.
        InputError: there is no model of that kind at the path.
    """
    if config.depth_model is None:
        raise ConfigError("no model is named; give depth_model", field="depth_model")
    kind = config.depth_model_kind
    require_package(kind)
    folder = _folder(config.depth_model, config.depth_model_cache)
    path = _loadable(folder, kind)
    return card_of(ModelRef(str(path), kind, _quantity(path, config), weights_digest(path)))


def card_of(ref: ModelRef) -> ModelCard:
    """Returns the name and the licence of a model, from its folder."""
    path = Path(ref.path)
    home = path if path.is_dir() else path.parent
    # The layout of a cache is models--OWNER--NAME/snapshots/REVISION.
    cached = home.parents[1].name if len(home.parts) > 3 and home.parent.name == "snapshots" else ""
    name = "/".join(cached.split("--")[1:]) if cached.startswith("models--") else home.name
    return ModelCard(ref, name, licence_of(home))


def require_package(kind: ModelKind) -> None:
    """Checks that what loads models of a kind is installed.

    Raises:
        ConfigError: it is not.
    """
    package, remedy = _PACKAGES[kind]
    if importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"a depth model of kind {kind} needs the package {package}, which is not installed; "
            f"install it ({remedy}), or leave --depth-model out",
            field="depth_model_kind",
        )


def weights_digest(path: Path) -> str:
    """Returns the SHA-256 (64 hex digits) of the files that decide what a model predicts.

    Args:
        path: Folder (its settings and weights count), or checkpoint file.

    Raises:
        InputError: they are not there or cannot be read.
    """
    folder = path.is_dir()
    files = [*path.glob("*.json"), *path.glob("*.safetensors")] if folder else [path]
    total = hashlib.sha256()
    for file in sorted(files):
        try:
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise InputError(
                f"cannot read {file} of the depth model: {error.strerror}; every node that works "
                "needs the model at this path",
                path=str(file),
            ) from error
        total.update(f"{file.name if folder else CHECKPOINT_FILE}\n{content}\n".encode())
    return total.hexdigest()


def licence_of(folder: Path) -> str:
    """Returns the licence that the front matter of the model's README.md names."""
    card = folder / "README.md"
    if not card.is_file():
        return UNKNOWN_LICENCE
    front = re.match(r"---\s*\n(.*?)\n---", card.read_text("utf-8", errors="replace"), re.DOTALL)
    found = dict(re.findall(r"^(license(?:_name)?):[ \t]*(\S.*)$", front[1] if front else "", re.M))
    named = [found[name].strip("\"' \t") for name in ("license", "license_name") if name in found]
    return ": ".join(named) or UNKNOWN_LICENCE


def _folder(model: str, cache: str | None) -> Path:
    path = Path(model).expanduser()
    if cache is None:
        if not path.exists():
            raise InputError(f"there is no depth model at {model}. {_FETCH}", path=model)
        return path.resolve()
    if not Path(cache).expanduser().is_dir():
        raise InputError(f"there is no cache folder {cache}. {_FETCH}", path=cache)
    hub: Any = importlib.import_module("huggingface_hub")
    try:
        found = hub.snapshot_download(
            model, cache_dir=Path(cache).expanduser(), local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"the cache {cache} holds no depth model {model}. {_FETCH}", path=cache
        ) from error
    # Not resolved: the files of a cache are links to contents without a name.
    return Path(found).absolute()


def _loadable(path: Path, kind: ModelKind) -> Path:
    """The folder or file to load, where all is there that it takes."""
    if kind != "transformers":
        checkpoint = path / CHECKPOINT_FILE if path.is_dir() else path
        if not checkpoint.is_file():
            raise InputError(
                f"{path} holds no {CHECKPOINT_FILE}, so it is no MoGe model; give its folder or "
                "its checkpoint file",
                path=str(path),
            )
        return checkpoint
    if not (path / SETTINGS_FILE).is_file():
        raise InputError(
            f"{path} holds no {SETTINGS_FILE}, so it is no model for transformers; give the folder "
            "with its config.json, preprocessor_config.json and *.safetensors",
            path=str(path),
        )
    if not list(path.glob("*.safetensors")):
        raise InputError(
            f"{path} holds no weights (*.safetensors; pickled ones are not loaded, as they may run "
            "code); fetch the whole model",
            path=str(path),
        )
    return path


def _quantity(path: Path, config: LearnedConfig) -> Quantity:
    if config.depth_model_predicts != "auto":
        return config.depth_model_predicts
    if config.depth_model_kind != "transformers":
        return "depth"
    settings = _settings(path / SETTINGS_FILE)
    match settings.get("model_type"):
        case "depth_anything":
            metric = settings.get("depth_estimation_type", "relative") == "metric"
            return "depth" if metric else "inverse_depth"
        case "dpt":
            return "inverse_depth"
        case other:
            raise ConfigError(
                f"it is not known whether a {other} model ({path}) predicts depth or inverse "
                "depth; say so with --depth-model-predicts",
                field="depth_model_predicts",
            )


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings: object = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); fetch the model again", path=str(path)
        ) from error
    if not isinstance(settings, dict):
        raise InputError(
            f"{path} holds no settings of a model; fetch the model again", path=str(path)
        )
    return cast("dict[str, Any]", settings)

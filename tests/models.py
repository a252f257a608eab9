"""Tiny depth models with random weights, as folders on disk."""

import json
from pathlib import Path

import torch
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    PreTrainedModel,
)

PROCESSOR = {
    "image_processor_type": "DPTImageProcessor",
    "do_normalize": True,
    "do_pad": False,
    "do_rescale": True,
    "do_resize": True,
    "ensure_multiple_of": 14,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "keep_aspect_ratio": True,
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"height": 28, "width": 28},
}
README = """---
license: apache-2.0
tags:
- depth
---
# A model
"""


def tiny_model(seed: int = 0, kind: str = "relative") -> PreTrainedModel:
    """A Depth Anything of two layers on images of 28 pixels."""
    torch.manual_seed(seed)
    backbone = Dinov2Config(
        image_size=28,
        patch_size=14,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        out_features=["stage1", "stage2"],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=32,
        reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
        initializer_range=0.3,
        depth_estimation_type=kind,
        max_depth=20,
    )
    return DepthAnythingForDepthEstimation(config)


def save_tiny_model(
    folder: Path, seed: int = 0, kind: str = "relative", readme: str = README
) -> Path:
    """Writes a model as `hf download` would leave it."""
    return save_model(tiny_model(seed, kind), folder, readme)


def save_model(model: PreTrainedModel, folder: Path, readme: str = README) -> Path:
    """Writes a model with its processor and its card."""
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    (folder / "README.md").write_text(readme)
    return folder

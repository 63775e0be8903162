"""A model's folder to the Hugging Face hub, or to another server that speaks its protocol."""

from __future__ import annotations

from pathlib import Path

from twopass.reranker.contract.errors import PublishError
from twopass.reranker.telemetry import hugging_face_hub

__all__ = ["push"]


def push(
    folder: Path,
    name: str,
    *,
    private: bool = True,
    token: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Upload a model with its card; what its training left behind stays here.

    Args:
        folder: the model's.
        name: ``user/model``; made where it is missing.
        private: whether a new one is seen by its owner alone.
        token: by default the one that is stored on this machine.
        endpoint: the server's address; by default the hub's, or what HF_ENDPOINT says.

    Returns:
        The address of the commit.

    Raises:
        PublishError: when the folder has no model, or the hub cannot be reached or refuses.

    """
    if not (folder / "model.safetensors").is_file():
        raise PublishError(f"{folder}: expected a model to publish, found no model.safetensors")
    api = hugging_face_hub().HfApi(endpoint=endpoint, token=token)
    try:
        api.create_repo(name, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=name, folder_path=folder, ignore_patterns=["training/*"], commit_message="Train"
        )
    except Exception as error:  # the client raises what its HTTP library raises, and its own
        raise PublishError(
            f"{name}: expected a hub that takes it at {api.endpoint}, found: "
            f"{type(error).__name__}: {str(error).strip().splitlines()[0]:.160}; the model is in "
            f"{folder}: where there is a network, 'hf auth login' and 'hf upload {name} {folder}'"
        ) from error
    return str(commit)

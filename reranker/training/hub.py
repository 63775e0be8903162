"""Upload of a model to the Hugging Face hub, or to another server with the same API."""

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
    """Upload a model with its card, without the files of its training.

    Args:
        folder: the model's folder.
        name: ``user/model``; created if it is missing.
        private: whether a new repository is visible to its owner only.
        token: by default the one stored on this machine.
        endpoint: the server's address; by default HF_ENDPOINT, or else the hub's.

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

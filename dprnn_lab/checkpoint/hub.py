"""Find the file that a user names: a path, a bundled model, or the id of a model on the Hugging Face hub.

Downloads are kept in huggingface_hub's cache, so the second load works without a network. huggingface_hub reads the
usual environment variables: ``HF_HUB_OFFLINE=1`` disables network access, ``HF_HOME`` moves the cache,
``HF_ENDPOINT`` names another server, ``HF_TOKEN`` gives access to private models.

The other direction is here too: a folder as the hub expects it (:func:`save_folder`), and its upload (:func:`push`).
These do what huggingface_hub's ``ModelHubMixin`` does, without its base class: importing it takes more than 0.1 s.

Notebook: 06_failures_at_inference
"""

import json
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from ..files import data_folder, write_whole
from ..model import DPRNNTasNet
from .errors import CheckpointError
from .reading import ENDINGS
from .saving import save_model

__all__ = ["HUB_FILES", "bundled_models", "download", "locate", "push", "save_folder"]

# File names that are looked for in a model's repository, in this order. The second is Asteroid's.
HUB_FILES = ("model.safetensors", "pytorch_model.bin", "best_model.pth", "model.pth")
# Asteroid's model names from before the hub.
_ZENODO = {
    "mpariente/DPRNNTasNet_WHAM!_sepclean": "https://zenodo.org/record/3873670/files/model.pth",
    "mpariente/DPRNNTasNet(ks=16)_WHAM!_sepclean": "https://zenodo.org/record/3903795/files/model.pth",
    "popcornell/DPRNNTasNet_WHAM_enhancesingle": "https://zenodo.org/record/3998647/files/model.pth",
}
_HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*(@[\w./-]+)?")


def locate(source: str | os.PathLike) -> Path:
    """The local file of a model.

    A string is, in this order: an existing file, or a folder of :func:`save_folder`, of which it is the weights; the
    name of a bundled model (``"small"``, ``"many-voices/small"``); another existing path; a hub id (``"user/name"`` or
    ``"user/name@revision"``), which is downloaded; or a path that does not exist. A :class:`~pathlib.Path` is always a
    path.

    Raises:
        CheckpointError: a web address, an unknown name, or a model that can't be downloaded from the hub.
        TypeError: neither a path nor a string.
    """
    if isinstance(source, os.PathLike) or (isinstance(source, str) and os.path.exists(source)):
        path = Path(source)
        weights = path / HUB_FILES[0]
        if weights.is_file():
            return weights
        if isinstance(source, os.PathLike) or path.is_file() or source not in bundled_models():
            return path
    if not isinstance(source, str):
        raise TypeError(f"path is {type(source).__name__}: give a path, or a name or hub id as a string")
    if re.match(r"[a-z][a-z0-9+.-]*://", source, re.IGNORECASE):
        page = re.fullmatch(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)/?", source)
        remedy = (
            f'give the model\'s id instead of its address: "{page[1]}"'
            if page
            else 'download the file first, and give its path; models of the hub have an id, "user/name"'
        )
        raise CheckpointError(f"{source}: is a web address; {remedy}")
    old = _ZENODO.get(source)
    if old:
        raise CheckpointError(
            f"{source}: is an old name of Asteroid's for a file on Zenodo, which is not downloaded from here; "
            f"download {old} and give its path"
        )
    if not source.endswith(ENDINGS) and source in (bundled := bundled_models()):
        return bundled[source]
    here = Path(source)
    if source and here.name == source and here.suffix not in ENDINGS:
        raise CheckpointError(_unknown(source))
    if _HUB_ID.fullmatch(source) and here.suffix not in ENDINGS and not here.parent.exists():
        return download(*source.split("@", 1))
    return here


def bundled_models() -> dict[str, Path]:
    """The models that come with the course, by name; empty where there is no data folder."""
    try:
        folder = data_folder() / "model"
    except FileNotFoundError:
        return {}
    files = sorted(folder.rglob("*.safetensors"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}


def _unknown(name: str) -> str:
    models = [f'"{model}"' for model in bundled_models()] or [
        "none, as there is no data folder (DPRNN_LAB_DATA)"
    ]
    return (
        f"{name}: no such file, and no bundled model of this name; there are {', '.join(models)}. A model on the hub "
        'has an id, "user/name"'
    )


def download(model_id: str, revision: str | None = None, endpoint: str | None = None) -> Path:
    """The first of :data:`HUB_FILES` that a model on the hub has, from the cache or the network.

    Args:
        endpoint: the server's address, if it is not that of ``HF_ENDPOINT``.

    Raises:
        CheckpointError: no such model or revision, none of these files in it, or no connection to the hub.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    unreachable = None
    for name in HUB_FILES:
        try:
            return Path(
                hf_hub_download(
                    model_id,
                    name,
                    revision=revision,
                    endpoint=endpoint,
                    local_files_only=unreachable is not None,
                    library_name="dprnn-lab",
                )
            )
        except LocalEntryNotFoundError as error:
            unreachable = unreachable or error
        except EntryNotFoundError:
            continue
        except RevisionNotFoundError as error:
            raise CheckpointError(f"{model_id}: has no revision {revision!r} on the hub") from error
        except (RepositoryNotFoundError, HFValidationError) as error:
            raise CheckpointError(
                f"{model_id}: no such file, and no such model on the hub, or a private one. Check the name, "
                "or log in with: hf auth login"
            ) from error
        except (HfHubHTTPError, OSError) as error:
            raise CheckpointError(
                f"{model_id}: the hub did not deliver {name}: {str(error).splitlines()[0]}. Try again later"
            ) from error
    if unreachable is not None:
        raise CheckpointError(
            f"{model_id}: no such file; as the id of a model on the hub, it is not in the cache and the hub "
            "can't be reached (HF_HUB_OFFLINE, or no network). Download it where there is a network"
        ) from unreachable
    raise CheckpointError(f"{model_id}: the model on the hub has none of {', '.join(HUB_FILES)}")


def save_folder(model: DPRNNTasNet, folder: str | os.PathLike, training: dict | None = None) -> Path:
    """Write ``model.safetensors`` (:func:`save_model`) and ``config.json``, as models on the hub have them.

    Only the first is needed to load the model; the second is for the hub's page and other programs.

    Args:
        folder: made if it does not exist.
        training: facts about the training to keep with the weights, anything that JSON can hold.
    """
    folder = Path(folder)
    save_model(model, folder / HUB_FILES[0], training)
    write_whole(folder / "config.json", (json.dumps(model.config, indent=2) + "\n").encode())
    return folder


def push(
    model: DPRNNTasNet,
    repo_id: str,
    *,
    commit_message: str = "Push model using dprnn-lab",
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    create_pr: bool | None = None,
    training: dict | None = None,
) -> str:
    """Upload the files of :func:`save_folder` to a model repository on the hub, in one commit.

    Args:
        repo_id: ``"user/name"``; made if it does not exist.
        private: whether a new repository is private.
        token: for writing; None for the one of ``hf auth login`` or ``HF_TOKEN``.
        branch: None for the main branch.
        create_pr: open a pull request in place of a commit to the branch.
        training: facts about the training to keep with the weights, anything that JSON can hold.

    Returns:
        The address of the commit.

    Raises:
        CheckpointError: the hub refused, or can't be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token, library_name="dprnn-lab")
    with TemporaryDirectory() as folder:
        save_folder(model, folder, training)
        try:
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                commit_message=commit_message,
                revision=branch,
                create_pr=create_pr,
            )
        except Exception as error:  # the network's exceptions differ between releases of huggingface_hub
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise CheckpointError(
                f"{repo_id}: not uploaded: {reason}. Check the name and the network, or log in with: hf auth login"
            ) from error
    return str(commit)

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
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from urllib.request import getproxies

from ..files import data_folder, write_whole
from ..model import DPRNNTasNet
from .archives import ENDINGS
from .errors import CheckpointError, NotWrittenError, short
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
_LONGEST_ID = 96  # characters of "user/name" on the hub
_LONGEST_PATH = 4096


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
    if not isinstance(source, str | os.PathLike) or not isinstance(os.fspath(source), str):
        raise TypeError(f"path is {type(source).__name__}: give a path, or a name or hub id as a string")
    text = os.fspath(source)
    if not text.strip():
        raise CheckpointError(
            f"path is {text!r}: give a file, the name of a bundled model, or a hub id, user/name"
        )
    if len(text) > _LONGEST_PATH or "\0" in text:
        raise CheckpointError(
            f"{short(text)}: is no path ({len(text)} characters), and no model's id on the hub"
        )
    path = Path(source)
    try:
        if path.is_dir() and (path / HUB_FILES[0]).is_file():
            return path / HUB_FILES[0]
        exists = path.exists()
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise CheckpointError(f"{short(text)}: can't be opened: {error.strerror}. Check the path") from error
    if isinstance(source, str) and not path.is_file() and not source.endswith(ENDINGS):
        bundled = bundled_models()
        if source in bundled:
            return bundled[source]
    if exists:
        return path
    if not isinstance(source, str):
        if text in bundled_models():
            raise CheckpointError(
                f"{text}: no such file; the bundled model of this name is given as a string: load_model({text!r})"
            )
        return path
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
    if path.suffix in ENDINGS:
        return path
    if path.name == source:
        raise CheckpointError(_unknown(source))
    if _HUB_ID.fullmatch(source) and not path.parent.exists():
        if len(source.partition("@")[0]) > _LONGEST_ID or ".." in source or "--" in source:
            raise CheckpointError(
                f"{short(source)}: no such file, and no id of a model on the hub, which has at most {_LONGEST_ID} "
                "letters, digits and single dots and dashes. Check the name"
            )
        return download(*source.split("@", 1))
    return path


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
        f"{short(name)}: no such file, and no bundled model of this name; there are {', '.join(models)}. "
        'A model on the hub has an id, "user/name"'
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

    away, unreachable = not _has_an_address(endpoint), None
    for name in HUB_FILES:
        try:
            return Path(
                hf_hub_download(
                    model_id,
                    name,
                    revision=revision,
                    endpoint=endpoint,
                    local_files_only=away or unreachable is not None,
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
                f"{model_id}: the hub did not deliver {name}: {_reason(error)}. Try again later"
            ) from error
    if unreachable is not None:
        raise CheckpointError(
            f"{model_id}: no such file; as the id of a model on the hub, it is not in the cache and the hub "
            "can't be reached (HF_HUB_OFFLINE, or no network). Download it where there is a network"
        ) from unreachable
    raise CheckpointError(f"{model_id}: the model on the hub has none of {', '.join(HUB_FILES)}")


def _has_an_address(endpoint: str | None) -> bool:
    """Whether the name of the server has an address; True where none is looked up: behind a proxy, or offline.

    Without a network, huggingface_hub asks six times for each file, with pauses of 23 s and a line to the screen.
    """
    from huggingface_hub import constants

    if getproxies() or constants.HF_HUB_OFFLINE:
        return True
    try:
        socket.getaddrinfo(urlsplit(endpoint or constants.ENDPOINT).hostname, None)
    except OSError:
        return False
    return True


def save_folder(model: DPRNNTasNet, folder: str | os.PathLike, training: dict | None = None) -> Path:
    """Write ``model.safetensors`` (:func:`save_model`) and ``config.json``, as models on the hub have them.

    Only the first is needed to load the model; the second is for the hub's page and other programs.

    Args:
        folder: made if it does not exist.
        training: facts about the training to keep with the weights, anything that JSON can hold.

    Raises:
        CheckpointError: the folder is a file, or can't be written to.
    """
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder is {type(folder).__name__}: give the path of a folder")
    folder = Path(folder)
    if folder.is_file():
        raise CheckpointError(
            f"{folder}: is a file, and a model is saved into a folder here. Give another name, or write one file with "
            f"save_model(model, {str(folder.with_suffix('.safetensors'))!r})"
        )
    save_model(model, folder / HUB_FILES[0], training)
    config = folder / "config.json"
    try:
        write_whole(config, (json.dumps(model.config, indent=2) + "\n").encode())
    except OSError as error:
        raise NotWrittenError(config, error) from error
    return folder


def _reason(error: Exception) -> str:
    """The first line of an error of the network, or its kind."""
    return short((str(error).splitlines() or [type(error).__name__])[0], 300)


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
            raise CheckpointError(
                f"{short(repo_id)}: not uploaded: {_reason(error)}. Check the name and the network, or log in "
                "with: hf auth login"
            ) from error
    return str(commit)

"""From what a person writes to a file on this disk: a path, or the id of a model on the Hugging Face hub.

Downloads are kept in huggingface_hub's cache, so that the second time works without a network. The usual
variables are its own: ``HF_HUB_OFFLINE=1`` never asks the network, ``HF_HOME`` moves the cache,
``HF_ENDPOINT`` names another server, ``HF_TOKEN`` opens private models.

Notebook: 06_failures_at_inference
"""

import os
import re
from pathlib import Path

from .errors import CheckpointError
from .reading import ENDINGS

__all__ = ["HUB_FILES", "download", "locate"]

# What a model's page may hold, in the order in which we ask. The second is Asteroid's.
HUB_FILES = ("model.safetensors", "pytorch_model.bin", "best_model.pth", "model.pth")
# Asteroid's names from before the hub.
_ZENODO = {
    "mpariente/DPRNNTasNet_WHAM!_sepclean": "https://zenodo.org/record/3873670/files/model.pth",
    "mpariente/DPRNNTasNet(ks=16)_WHAM!_sepclean": "https://zenodo.org/record/3903795/files/model.pth",
    "popcornell/DPRNNTasNet_WHAM_enhancesingle": "https://zenodo.org/record/3998647/files/model.pth",
}
_HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*(@[\w./-]+)?")


def locate(source: str | os.PathLike) -> Path:
    """The file on this disk, downloaded for a hub id (``"user/name"``, or ``"user/name@revision"``).

    What exists as a path is a path. A :class:`~pathlib.Path` never is a hub id.

    Raises:
        CheckpointError: an address of the web, or a model that can't be had from the hub.
        TypeError: neither a path nor a string.
    """
    if isinstance(source, os.PathLike) or (isinstance(source, str) and os.path.exists(source)):
        return Path(source)
    if not isinstance(source, str):
        raise TypeError(f"path is {type(source).__name__}: give a path, or a hub id as a string")
    if re.match(r"[a-z][a-z0-9+.-]*://", source, re.IGNORECASE):
        page = re.fullmatch(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)/?", source)
        remedy = (
            f'give the model\'s id instead of its address: "{page[1]}"'
            if page
            else 'download the file first, and give its path; models of the hub have an id, "user/name"'
        )
        raise CheckpointError(f"{source}: is an address of the web; {remedy}")
    old = _ZENODO.get(source)
    if old:
        raise CheckpointError(
            f"{source}: is an old name of Asteroid's for a file on Zenodo, which is not downloaded from here; "
            f"download {old} and give its path"
        )
    here = Path(source)
    if _HUB_ID.fullmatch(source) and here.suffix not in ENDINGS and not here.parent.exists():
        return download(*source.split("@", 1))
    return here


def download(model_id: str, revision: str | None = None, endpoint: str | None = None) -> Path:
    """The first of :data:`HUB_FILES` that a model on the hub has, from the cache or the network.

    Args:
        endpoint: the server's address, if it is not that of ``HF_ENDPOINT``.

    Raises:
        CheckpointError: no such model or revision, no file of ours in it, or no way to the hub.
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

"""Hub ids and uploads, against a server on this machine that stands in for the hub and ends with its test."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from huggingface_hub import constants

from dprnn_lab import CheckpointError, DPRNNTasNet, load_model, save_model
from dprnn_lab.checkpoint.hub import download, locate


def commit(revision):
    """The commit that a revision stands for."""
    return hashlib.sha1(revision.encode()).hexdigest()


class Hub(ThreadingHTTPServer):
    """Models by id and revision, ``{"ann/model": {"main": {"pytorch_model.bin": b"..."}}}``."""

    daemon_threads = True

    def __init__(self):
        self.models, self.requests = {}, []
        self.private, self.messages, self.tokens = {}, [], set()
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.server.requests.append((self.command, self.path))
        name, _, rest = self.path.strip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        model = self.server.models.get(name)
        if model is None:
            return self.refuse("RepoNotFound", 401)
        commits = {commit(name): name for name in model}
        revision = commits.get(revision, revision)
        if revision not in model:
            return self.refuse("RevisionNotFound")
        content = model[revision].get(file)
        if content is None:
            return self.refuse("EntryNotFound", 404, revision)
        self.send_response(200)
        self.send_header("X-Repo-Commit", commit(revision))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_GET = do_HEAD

    def do_POST(self):
        """The three calls of an upload: make the repository, ask how to send the files, send them in a commit."""
        self.server.requests.append((self.command, self.path))
        self.server.tokens.add(self.headers.get("Authorization"))
        lines = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
        sent = [json.loads(line) for line in lines]
        if self.headers.get("Authorization") == "Bearer bad":
            return self.refuse("Unauthorized", 401)
        if self.path == "/api/repos/create":
            name = "/".join(filter(None, (sent[0].get("organization"), sent[0]["name"])))
            self.server.models.setdefault(name, {"main": {}})
            self.server.private[name] = sent[0].get("private") or sent[0].get("visibility") == "private"
            return self.send({"url": f"{self.server.address}/{name}"})
        name, _, rest = self.path.removeprefix("/api/models/").partition("/preupload/")
        if rest:
            files = [{"path": file["path"], "uploadMode": "regular"} for file in sent[0]["files"]]
            return self.send({"files": [file | {"shouldIgnore": False} for file in files]})
        name, _, revision = self.path.removeprefix("/api/models/").partition("/commit/")
        header, *files = (line["value"] for line in sent)
        content = {file["path"]: base64.b64decode(file["content"]) for file in files}
        self.server.models[name].setdefault(revision, {}).update(content)
        self.server.messages.append(header["summary"])
        address = f"{self.server.address}/{name}/commit/{commit(revision)}"
        self.send({"commitUrl": address, "commitOid": commit(revision), "pullRequestUrl": None})

    def send(self, answer):
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, reason, status=404, revision="main"):
        self.send_response(status)
        self.send_header("X-Error-Code", reason)
        self.send_header("X-Repo-Commit", commit(revision))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty hub, its address and an empty cache where huggingface_hub looks for them."""
    with Hub() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            pages = server.address + "/{repo_id}/resolve/{revision}/{filename}"
            monkeypatch.setattr(constants, "ENDPOINT", server.address)
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", pages)
            monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
            monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def content(package, model, save):
    """The bytes of an Asteroid package of the small model."""
    return save(package(model)).read_bytes()


@pytest.fixture
def offline(monkeypatch):
    def switch():
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    return switch


def test_asteroids_models(hub, content, same):
    hub.models["ann/DPRNNTasNet-ks2_WHAM"] = {"main": {"pytorch_model.bin": content}}
    assert same(load_model("ann/DPRNNTasNet-ks2_WHAM"))
    assert same(DPRNNTasNet.from_pretrained("ann/DPRNNTasNet-ks2_WHAM"))


def test_our_format_comes_first(hub, content, model, tmp_path, same):
    ours = save_model(model, tmp_path / "m.safetensors", training={"steps": 9}).read_bytes()
    hub.models["ann/m"] = {"main": {"pytorch_model.bin": content, "model.safetensors": ours}}
    loaded, report = load_model("ann/m", report=True)
    assert same(loaded)
    assert report.facts == {"steps": 9}


def test_a_revision(hub, content, model, package, save, tiny):
    other = save(package(tiny(n_src=2)), "other.pth").read_bytes()
    hub.models["ann/m"] = {"main": {"model.pth": content}, "v2": {"model.pth": other}}
    assert load_model("ann/m").n_src == 3
    assert load_model("ann/m@v2").n_src == 2
    with pytest.raises(CheckpointError, match=r"ann/m: has no revision 'v3'"):
        load_model("ann/m@v3")


def test_the_second_time_comes_from_the_cache(hub, content, offline, same):
    hub.models["ann/m"] = {"main": {"pytorch_model.bin": content}}
    load_model("ann/m")
    downloads = [path for command, path in hub.requests if command == "GET" and path.endswith(".bin")]
    load_model("ann/m")
    again = [path for command, path in hub.requests if command == "GET" and path.endswith(".bin")]
    assert again == downloads
    offline()
    hub.requests.clear()
    assert same(load_model("ann/m"))
    assert hub.requests == []


def test_offline_and_not_in_the_cache(hub, content, offline):
    hub.models["ann/m"] = {"main": {"pytorch_model.bin": content}}
    offline()
    with pytest.raises(CheckpointError, match="not in the cache and the hub can't be reached"):
        load_model("ann/m")
    assert hub.requests == []


def test_no_such_model(hub):
    with pytest.raises(CheckpointError, match="ann/none: no such file, and no such model on the hub"):
        load_model("ann/none")


def test_a_model_without_a_file_of_ours(hub):
    hub.models["ann/m"] = {"main": {"README.md": b"hello"}}
    with pytest.raises(CheckpointError, match=r"ann/m: the model on the hub has none of model\.safetensors"):
        load_model("ann/m")


def test_a_malicious_model_is_refused(hub, save, tmp_path):
    class Attack:
        def __reduce__(self):
            return open, (str(tmp_path / "it-ran"), "w")

    hub.models["ann/m"] = {"main": {"pytorch_model.bin": save({"a": Attack()}).read_bytes()}}
    with pytest.raises(CheckpointError, match="refused"):
        load_model("ann/m")
    assert not (tmp_path / "it-ran").exists()


def test_no_connection_to_the_hub(hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the library waits between its attempts
    hub.shutdown()
    hub.server_close()
    with pytest.raises(CheckpointError, match=r"ann/m: .*the hub can't be reached"):
        load_model("ann/m")


def test_without_a_network_the_answer_comes_at_once(hub, monkeypatch, capfd):
    monkeypatch.setattr("dprnn_lab.checkpoint.hub.getproxies", dict)
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=r"not in the cache and the hub can't be reached"):
        download("user/model", endpoint="https://hub.invalid")  # a name that never has an address: RFC 2606
    assert time.monotonic() - start < 10
    assert "Retrying" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("https://huggingface.co/ann/m", 'give the model\'s id instead of its address: "ann/m"'),
        ("https://zenodo.org/record/1/files/model.pth?download=1", "download the file first"),
        ("s3://bucket/model.pth", "is a web address"),
    ],
)
def test_a_web_address(hub, source, message):
    with pytest.raises(CheckpointError, match=message):
        load_model(source)
    assert hub.requests == []


@pytest.mark.parametrize("source", ["ann/model.pth", "ann/m.safetensors", "a/b/c", "model", "../ann/m"])
def test_what_looks_like_a_path_is_no_hub_id(hub, source):
    with pytest.raises(CheckpointError, match="no such file"):
        load_model(source)
    assert hub.requests == []


def test_a_file_of_that_name_comes_first(hub, model, save, tmp_path, monkeypatch, content, same):
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "m").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    assert same(load_model("ann/m"))
    with pytest.raises(CheckpointError, match="no such file"):
        load_model("ann/other")  # the folder exists: a mistyped path, not a user of the hub
    assert hub.requests == []
    assert locate("ann/m").is_file()


def test_the_variables_of_huggingface_hub_are_respected(hub, content, tmp_path):
    hub.models["ann/m"] = {"main": {"pytorch_model.bin": content}}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }

    def info(**more):
        command = [sys.executable, "-m", "dprnn_lab.cli", "info", "ann/m"]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True)

    first = info()
    assert first.returncode == 0, first.stderr
    assert "Asteroid package" in first.stdout
    assert list((tmp_path / "home").rglob("pytorch_model.bin"))
    hub.requests.clear()
    assert info(HF_HUB_OFFLINE="1").stdout == first.stdout
    assert hub.requests == []


def test_the_hubs_library_is_imported_when_it_is_needed():
    heavy = ("huggingface_hub", "pandas", "lightning", "matplotlib", "typer", "ipywidgets")
    code = f"import sys, dprnn_lab; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_other_model_is_requested(hub, content):
    hub.models["ann/m"] = {"main": {"pytorch_model.bin": content}}
    load_model("ann/m")
    assert {path.split("/resolve/")[0] for _, path in hub.requests} == {"/ann/m"}
    assert torch.is_tensor(next(iter(load_model("ann/m").parameters())))


def test_asteroids_old_names_say_where_the_file_is(hub):
    with pytest.raises(CheckpointError, match=r"old name of Asteroid's.*zenodo\.org/record/3873670"):
        load_model("mpariente/DPRNNTasNet_WHAM!_sepclean")
    assert hub.requests == []


# Uploads


def test_a_model_goes_to_the_hub_and_comes_back(hub, model, same):
    address = model.push_to_hub("ann/mine", token="hf_x", training={"steps": 9})
    assert address == f"{hub.address}/ann/mine/commit/{commit('main')}"
    assert hub.models["ann/mine"]["main"].keys() == {"model.safetensors", "config.json"}
    assert hub.tokens == {"Bearer hf_x"}
    loaded, report = DPRNNTasNet.from_pretrained("ann/mine", report=True)
    assert same(loaded)
    assert report.facts == {"steps": 9}


def test_the_options_of_an_upload(hub, model, same):
    options = {"commit_message": "Better", "private": True, "branch": "v2", "token": "hf_x"}
    model.push_to_hub("ann/mine", **options)
    assert (hub.messages, hub.private) == (["Better"], {"ann/mine": True})
    assert same(load_model("ann/mine@v2"))


@pytest.mark.parametrize(("name", "token"), [("ann/mine", "bad"), ("no/such/name", "hf_x")])
def test_an_upload_that_is_refused(hub, model, name, token):
    with pytest.raises(CheckpointError, match=rf"{name}: not uploaded: .* log in with: hf auth login"):
        model.push_to_hub(name, token=token)
    assert hub.models == {}


def test_an_upload_without_a_network(hub, model, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.shutdown()
    hub.server_close()
    with pytest.raises(CheckpointError, match="ann/mine: not uploaded"):
        model.push_to_hub("ann/mine", token="hf_x")


def test_a_folder_like_those_of_the_hub(hub, model, tmp_path, same):
    folder = model.save_pretrained(tmp_path / "new" / "folder", training={"steps": 9})
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
    assert json.loads((folder / "config.json").read_text()) == model.config
    for load in (DPRNNTasNet.from_pretrained, load_model):
        for path in (folder, str(folder), folder / "model.safetensors"):
            assert same(load(path))
    assert load_model(folder, report=True)[1].facts == {"steps": 9}
    assert hub.requests == []


@pytest.mark.parametrize("name", ["small", "many-voices/small"])
def test_a_folder_of_a_bundled_name_does_not_hide_the_model(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    assert load_model(name).config["hid_size"] == 64

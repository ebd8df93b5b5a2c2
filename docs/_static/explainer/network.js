"use strict";
// The model in ONNX Runtime Web. Runtime and model are scripts that hold base64: a page from file:// may not fetch.
window.Network = (() => {
  const script = (name) => new Promise((done, fail) => {
    const element = document.createElement("script");
    element.src = name; element.onload = done;
    element.onerror = () => fail(new Error(`${name} is missing beside this page: build the site again (make site)`));
    document.head.append(element);
  });
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  let session = null;

  async function load() {
    await Promise.all(["ort.wasm.min.js", "runtime.js", "model.js"].map(script));
    const glue = URL.createObjectURL(new Blob([window.dprnnRuntime.glue], { type: "text/javascript" }));
    ort.env.wasm.wasmPaths = { mjs: glue };
    ort.env.wasm.wasmBinary = bytes(window.dprnnRuntime.binary).buffer;
    ort.env.wasm.numThreads = 1; // more need headers that a static host does not send
    const made = await ort.InferenceSession.create(bytes(window.dprnnModel), { executionProviders: ["wasm"] });
    window.dprnnRuntime = window.dprnnModel = null; // 25 MB of text are not needed again
    return made;
  }

  // samples [T] -> {seconds, tensors: {name: {dims, data}}}
  async function run(samples) {
    session ??= load();
    try { await session; } catch (error) { session = null; throw error; }
    const started = performance.now();
    const found = await (await session).run({ mixture: new ort.Tensor("float32", samples, [1, samples.length]) });
    const tensors = Object.fromEntries(
      Object.entries(found).map(([name, tensor]) => [name, { dims: [...tensor.dims], data: tensor.data }]),
    );
    return { seconds: (performance.now() - started) / 1000, tensors };
  }

  return { run };
})();

"use strict";
// The model in ONNX Runtime Web. Runtime and model are scripts that hold base64: a page from file:// may not fetch.
// It computes in a worker, so that sliders and players answer meanwhile. Where a browser starts no worker from a
// file, it computes in the page.
window.Network = (() => {
  const script = (name) => new Promise((done, fail) => {
    const element = document.createElement("script");
    element.src = name; element.onload = done;
    element.onerror = () => fail(new Error(`${name} is missing beside this page: build the site again (make site)`));
    document.head.append(element);
  });
  // The browser's own base64 decoder: a loop over 19 MB takes a second or more.
  const bytes = async (text) => (await fetch(`data:application/octet-stream;base64,${text}`)).arrayBuffer();
  const blobUrl = (text) => URL.createObjectURL(new Blob([text], { type: "text/javascript" }));

  // Runs in the worker or in the page, where `ort` is a global; nothing from outside this function is used.
  function engine() {
    let session = null;
    const compute = (samples) => session.run({ mixture: new ort.Tensor("float32", samples, [1, samples.length]) });
    return {
      async load({ glue, binary, model, samples }) {
        const url = URL.createObjectURL(new Blob([glue], { type: "text/javascript" }));
        ort.env.wasm.wasmPaths = { mjs: url };
        ort.env.wasm.wasmBinary = binary;
        ort.env.wasm.numThreads = 1; // more need headers that a static host does not send
        session = await ort.InferenceSession.create(new Uint8Array(model), { executionProviders: ["wasm"] });
        await compute(new Float32Array(samples)); // the first run, while the browser still optimises the code
      },
      // samples [T] -> {seconds, tensors: {name: {dims, data}}}
      async run(samples) {
        const started = performance.now();
        const found = await compute(samples);
        const tensors = Object.fromEntries(
          Object.entries(found).map(([name, tensor]) => [name, { dims: [...tensor.dims], data: tensor.data }]),
        );
        return { seconds: (performance.now() - started) / 1000, tensors };
      },
    };
  }

  function serve(made) { // the worker's side
    onmessage = async ({ data: { id, task, value } }) => {
      try {
        const result = await made[task](value);
        postMessage({ id, result }, Object.values(result?.tensors ?? {}).map((tensor) => tensor.data.buffer));
      } catch (error) {
        postMessage({ id, error: String(error?.message ?? error) });
      }
    };
  }

  function inWorker(runtime) {
    const worker = new Worker(blobUrl(`"use strict";\n${runtime}\n;(${serve})((${engine})());`));
    const waiting = new Map();
    let last = 0;
    worker.onmessage = ({ data: { id, result, error } }) => {
      const { done, fail } = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) done(result); else fail(new Error(error));
    };
    worker.onerror = (event) => {
      waiting.forEach(({ fail }) => fail(new Error(event.message || "the worker did not start")));
      waiting.clear();
    };
    const ask = (task) => (value, moved = []) => new Promise((done, fail) => {
      waiting.set(++last, { done, fail });
      worker.postMessage({ id: last, task, value }, moved);
    });
    return { load: ask("load"), run: ask("run") };
  }

  async function inPage(runtime) {
    await script(blobUrl(runtime));
    return engine();
  }

  async function load() {
    await Promise.all(["runtime.js", "model.js"].map(script));
    const { runtime, glue, binary } = window.dprnnRuntime, model = window.dprnnModel;
    const facts = async () => ({
      glue, binary: await bytes(binary), model: await bytes(model), samples: window.dprnnMixtures.samples,
    });
    let made;
    try {
      made = inWorker(runtime);
      const value = await facts();
      await made.load(value, [value.binary, value.model]);
      network.place = "worker";
    } catch (error) {
      made = await inPage(runtime);
      await made.load(await facts());
      network.place = `page, since the worker failed: ${error.message}`;
    }
    window.dprnnRuntime = window.dprnnModel = null; // 25 MB of text are not needed again
    return made;
  }

  let loading = null;
  const network = {
    place: null, // where it computes, once it is loaded
    // Starts to load; the same promise however often it is called. After an error the next call tries again.
    prepare() {
      loading ??= load().catch((error) => { loading = null; throw error; });
      return loading;
    },
    async run(samples) {
      return (await network.prepare()).run(samples);
    },
  };
  return network;
})();

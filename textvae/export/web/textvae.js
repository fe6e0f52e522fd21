// Runs an exported text VAE in a browser or in Node: texts to latents and latents to texts.
//
//   import { TextVAE } from "./textvae.js";
//   const vae = await TextVAE.load();          // the files are next to this one
//   await vae.generate(3, { seed: 0 });
//
// Recurrent models are computed here, without any library. For others, pass onnxruntime:
//   TextVAE.load(folder, { ort })              // the module onnxruntime-web or onnxruntime-node
//
// The same seed gives the same texts, but not those of textvae: torch has other random numbers.

import { OnnxModel } from "./onnx.js";
import { tensor } from "./operators.js";
import { Tokenizer } from "./tokenizer.js";

const FORMAT = 1; // of the file textvae.json
const DRAWS = 32; // latents from the encoder that a prefix is completed with, and from the prior
const TEMPERATURES = [1e-6, 1e6]; // as in textvae, the lowest and the highest
const SAMPLING_OPTIONS = ["temperature", "top_k", "top_p"]; // without effect on greedy decoding
const SEEDS = 2 ** 32; // a generator's state has 32 bits
const OPTIONS = ["do_sample", "temperature", "top_k", "top_p", "max_new_tokens", "seed", "onText"];

/** An exported text VAE. Latents are arrays of numbers. */
export class TextVAE {
  /**
   * Load a model from an exported folder.
   *
   * @param {URL|string} folder where the files are; by default next to this file
   * @param {object} options `ort`: the module of onnxruntime, for models that are not recurrent
   */
  static async load(folder = new URL(".", import.meta.url), { ort } = {}) {
    const base = new URL(folder, import.meta.url);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    const readJson = async (name) => JSON.parse(new TextDecoder().decode(await readFile(base, name)));
    const record = await readJson("textvae.json");
    if (record.format !== FORMAT) {
      throw new Error(`textvae.json is not of format ${FORMAT}; use the textvae.js of its folder.`);
    }
    if (record.has_encoder_tokenizer) {
      throw new Error("the encoder has a tokenizer of its own, which only the Python runner reads.");
    }
    const open = async (name) => {
      const bytes = await readFile(base, name);
      return ort ? await OrtModel.open(ort, bytes) : new OnnxModel(bytes);
    };
    const parts = ["encoder.onnx", "decoder.onnx"].map(open);
    const [encoder, decoder] = await Promise.all(parts);
    return new TextVAE(record, new Tokenizer(await readJson("tokenizer.json")), encoder, decoder);
  }

  constructor(record, tokenizer, encoder, decoder) {
    this.record = record;
    this.tokenizer = tokenizer;
    this.encoder = encoder;
    this.decoder = decoder;
    this.steps = 0; // of the decoder so far
  }

  /** Return the posterior mean of a text. */
  async encode(text) {
    return Array.from((await this.#infer(text)).mean.data);
  }

  /** Decode a text from a latent; greedy by default. */
  async decode(z, options = {}) {
    if (z.length !== this.record.latent || !z.every(Number.isFinite)) {
      throw new Error(`z has ${z.length} numbers; expected ${this.record.latent} finite ones.`);
    }
    return (await this.#decode([z], [], this.#choose(options, false)))[0];
  }

  /** Decode a text from its own posterior mean; greedy by default. */
  async reconstruct(text, options = {}) {
    return this.decode(await this.encode(text), options);
  }

  /** Decode `n` texts from samples of the prior; tokens are sampled by default. */
  async generate(n = 10, options = {}) {
    checkCount(n, "n");
    const choice = this.#choose(options, true);
    return this.#decode(this.#samplePrior(n, choice.random), [], choice);
  }

  /**
   * Continue a prefix `n` times; tokens are sampled by default.
   *
   * Latents that fit the prefix are sampled from the encoder and the prior, and weighted by how
   * likely each makes the prefix.
   */
  async complete(prefix, n = 5, options = {}) {
    checkCount(n, "n");
    const choice = this.#choose(options, true);
    const clean = this.#foldWhiteSpace(prefix);
    const ids = this.#tokenize(clean);
    if (ids.length >= this.record.max_tokens) {
      throw new Error(
        `the prefix has ${ids.length} tokens; expected fewer than ${this.record.max_tokens}: shorten it.`,
      );
    }
    if (!ids.length) return this.#decode(this.#samplePrior(n, choice.random), [], choice);
    const { latents, weights } = await this.#propose(clean, ids, choice.random);
    const chosen = Array.from({ length: n }, () => latents[sampleIndex(weights, choice.random)]);
    const known = this.#join(ids); // differs from the prefix where a word is unknown
    const { onText } = choice;
    const finish = (text) => clean + cutPrefix(text, known);
    if (onText) choice.onText = (text, row) => onText(finish(text), row);
    return (await this.#decode(chosen, ids, choice)).map(finish);
  }

  /** Decode texts on the straight line from one text to another; greedy by default. */
  async interpolate(first, second, steps = 7, options = {}) {
    if (!first.trim() || !second.trim()) {
      throw new Error("expected a text, got a blank one; write at least one word.");
    }
    checkCount(steps, "steps", 2);
    const [start, end] = [await this.encode(first), await this.encode(second)];
    const latents = Array.from({ length: steps }, (_, step) => {
      const share = step / (steps - 1);
      return this.#project(start.map((value, i) => (1 - share) * value + share * end[i]));
    });
    return this.#decode(latents, [], this.#choose(options, false));
  }

  // Between texts and ids

  /** Return a text with single spaces between its words, unless its white space is kept. */
  #foldWhiteSpace(text) {
    if (this.record.keeps_white_space) return text;
    return text.split(/\p{White_Space}+/u).filter(Boolean).join(" ");
  }

  #tokenize(text) {
    const { pad, bos, eos, unk } = this.record.special_tokens;
    const isSpecial = (id) => id === pad || id === bos || id === eos;
    const ids = this.tokenizer.encode(text);
    // A tokenizer of words finds `<eos>` if a text has it as a word: it is then unknown.
    if (unk === null) return ids.filter((id) => !isSpecial(id));
    return ids.map((id) => (isSpecial(id) ? unk : id));
  }

  #join(ids) {
    const { pad, bos, eos } = this.record.special_tokens;
    const end = ids.indexOf(eos);
    const kept = (end < 0 ? ids : ids.slice(0, end)).filter((id) => id !== pad && id !== bos);
    let text = this.tokenizer.decode(kept);
    for (const [spaced, joined] of this.record.clean_up) text = text.replaceAll(spaced, joined);
    return this.record.keeps_white_space ? text : strip(text);
  }

  // The two networks

  async #infer(text) {
    const read = this.#tokenize(this.#foldWhiteSpace(text));
    const ids = [...read.slice(0, this.record.max_tokens - 1), this.record.special_tokens.eos];
    const dims = [1, ids.length];
    return this.encoder.run({
      input_ids: tensor(dims, Int32Array.from(ids)),
      attention_mask: tensor(dims, new Int32Array(ids.length).fill(1)),
    });
  }

  /** Return the ids that every text begins with, and the states before them. */
  #begin(rows, prefix) {
    const ids = [...this.record.start, ...prefix];
    const states = {};
    for (const [name, shape] of Object.entries(this.record.states)) {
      const dims = shape.map((size) => ({ batch: rows, past: 0 })[size] ?? size);
      states[name] = tensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));
    }
    return { ids: Array.from({ length: rows }, () => ids), states };
  }

  /** Read ids, a list per row; return the logits and the new states. */
  async #step(ids, latents, states) {
    this.steps++;
    const results = await this.decoder.run({
      input_ids: tensor([ids.length, ids[0].length], Int32Array.from(ids.flat())),
      z: tensor([latents.length, this.record.latent], Float32Array.from(latents.flat())),
      ...states,
    });
    const next = Object.keys(states).map((name) => [name, results[`next.${name}`]]);
    return [results.logits, Object.fromEntries(next)];
  }

  /** Decode one latent after the other, so that a page can show each text as soon as it is there. */
  async #decode(latents, prefix, choice) {
    const texts = [];
    for (const latent of latents) {
      texts.push(this.#join([...prefix, ...(await this.#decodeRow(latent, prefix, choice))]));
      choice.onText?.(texts.at(-1), texts.length - 1);
    }
    return texts;
  }

  async #decodeRow(latent, prefix, choice) {
    const { max_positions: positions, vocab, special_tokens: special } = this.record;
    let { ids, states } = this.#begin(1, prefix);
    const most = Math.min(choice.most, positions === null ? Infinity : positions - prefix.length);
    const tokens = [];
    while (tokens.length < most && tokens.at(-1) !== special.eos) {
      let logits;
      [logits, states] = await this.#step(ids, [latent], states);
      tokens.push(choice.next(logits.data.subarray(logits.data.length - vocab)));
      ids = [[tokens.at(-1)]];
      if (choice.onText) await pause(); // lets the browser draw
    }
    return tokens;
  }

  // Latents

  #samplePrior(n, random) {
    const { prior, latent } = this.record;
    return Array.from({ length: n }, () => {
      const noise = Array.from({ length: latent }, () => sampleNormal(random));
      if (prior.kind !== "gaussian_mixture") return this.#project(noise);
      const part = sampleIndex(prior.weights, random);
      return noise.map((x, i) => prior.means[part][i] + Math.exp(0.5 * prior.logvars[part][i]) * x);
    });
  }

  #project(z) {
    if (this.record.prior.kind !== "uniform_sphere") return z;
    const scale = Math.sqrt(z.length) / Math.max(Math.hypot(...z), 1e-12);
    return z.map((value) => value * scale);
  }

  #priorLogProb(z) {
    const { prior } = this.record;
    const zeros = new Array(z.length).fill(0);
    if (prior.kind === "uniform_sphere") return 0;
    if (prior.kind === "standard_normal") return logNormal(z, zeros, zeros);
    const total = prior.weights.reduce((sum, weight) => sum + weight, 0);
    return logSumExp(
      prior.weights.map((w, k) => Math.log(w / total) + logNormal(z, prior.means[k], prior.logvars[k])),
    );
  }

  /** Return latents that fit a prefix, and their importance weights. */
  async #propose(prefix, ids, random) {
    let latents = this.#samplePrior(DRAWS, random);
    const q = await this.#infer(prefix);
    let logRatio = () => 0;
    if (q.logvar) {
      const [mean, logvar] = [Array.from(q.mean.data), Array.from(q.logvar.data)];
      const own = Array.from({ length: DRAWS }, () =>
        mean.map((value, i) => value + Math.exp(0.5 * logvar[i]) * sampleNormal(random)),
      );
      latents = [...own, ...latents];
      // log p(z) - log((p(z) + q(z)) / 2): half of the latents come from each.
      logRatio = (z) => {
        const prior = this.#priorLogProb(z);
        return prior - logSumExp([prior, logNormal(z, mean, logvar)]) + Math.log(2);
      };
    }
    const scores = await this.#scorePrefix(ids, latents);
    const logWeights = latents.map((z, row) => scores[row] + logRatio(z));
    const largest = Math.max(...logWeights);
    return { latents, weights: logWeights.map((weight) => Math.exp(weight - largest)) };
  }

  /** Return log p(prefix | z) of each latent, in nats. */
  async #scorePrefix(ids, latents) {
    const { vocab } = this.record;
    const scores = new Array(latents.length).fill(0);
    let { ids: read, states } = this.#begin(latents.length, []);
    for (const id of ids) {
      let logits;
      [logits, states] = await this.#step(read, latents, states);
      const rowSize = logits.data.length / latents.length;
      scores.forEach((_, row) => {
        const last = logits.data.subarray((row + 1) * rowSize - vocab, (row + 1) * rowSize);
        scores[row] += last[id] - logSumExp(last);
      });
      read = latents.map(() => [id]);
      await pause();
    }
    return scores;
  }

  #choose(options, samplesByDefault) {
    return new Choice(this.record, options, samplesByDefault);
  }
}

/** Chooses the next token, greedily or by sampling. */
class Choice {
  constructor(record, options, samplesByDefault) {
    const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
    if (unknown) throw new Error(`there is no option ${unknown}; expected some of ${OPTIONS.join(", ")}.`);
    Object.assign(this, record.decoding, options);
    this.most = checkCount(options.max_new_tokens ?? record.max_tokens, "max_new_tokens");
    checkNumber(this.temperature, "temperature", TEMPERATURES, `from ${TEMPERATURES.join(" to ")}`);
    checkCount(this.top_k, "top_k", 0);
    checkNumber(this.top_p, "top_p", [Number.MIN_VALUE, 1], "above 0 and up to 1");
    this.do_sample = chooseSampling(options, samplesByDefault);
    const seed = options.seed ?? Math.floor(Math.random() * SEEDS);
    if (checkCount(seed, "seed", 0) >= SEEDS) {
      throw new Error(`seed = ${seed}: expected a whole number below ${SEEDS}.`);
    }
    this.random = makeRandom(seed);
  }

  /** Return a token from the logits of one row. */
  next(logits) {
    let best = 0;
    for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
    if (!this.do_sample) return best;
    const weights = Float64Array.from(logits, (logit) => Math.exp((logit - logits[best]) / this.temperature));
    if (this.top_k > 0 || this.top_p < 1) this.#restrict(weights);
    return sampleIndex(weights, this.random);
  }

  /** Set the weights of tokens that top_k or top_p leaves out to 0. */
  #restrict(weights) {
    const order = Array.from(weights.keys()).sort((a, b) => weights[b] - weights[a]);
    const kept = this.top_k > 0 ? order.slice(0, this.top_k) : order;
    let left = this.top_p * kept.reduce((sum, i) => sum + weights[i], 0);
    const allowed = new Set();
    for (const i of kept) {
      if (left <= 0) break;
      allowed.add(i);
      left -= weights[i];
    }
    weights.forEach((_, i) => {
      if (!allowed.has(i)) weights[i] = 0;
    });
  }
}

/** A model that onnxruntime computes, with the same `run` as `OnnxModel`. */
class OrtModel {
  static async open(ort, bytes) {
    const options = { extra: { session: { disable_quant_qdq: "1" } } };
    return new OrtModel(ort, await ort.InferenceSession.create(bytes, options));
  }

  constructor(ort, session) {
    this.ort = ort;
    this.session = session;
  }

  async run(inputs) {
    const feeds = {};
    for (const [name, { dims, data }] of Object.entries(inputs)) {
      const isInteger = data instanceof Int32Array;
      const values = isInteger ? BigInt64Array.from(data, BigInt) : data;
      feeds[name] = new this.ort.Tensor(isInteger ? "int64" : "float32", values, dims);
    }
    return this.session.run(feeds);
  }
}

async function readFile(base, name) {
  const url = new URL(name, base);
  if (url.protocol === "file:") {
    const { readFile: read } = await import("node:fs/promises");
    return new Uint8Array(await read(url));
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${name} cannot be loaded: ${response.status} ${response.statusText}.`);
  return new Uint8Array(await response.arrayBuffer());
}

const pause = () => new Promise((resolve) => setTimeout(resolve));

function checkCount(value, name, least = 1) {
  if (!Number.isInteger(value) || value < least) {
    throw new Error(`${name} = ${value}: expected a whole number, ${least} or more.`);
  }
  return value;
}

function checkNumber(value, name, [low, high], expected) {
  if (typeof value !== "number" || !(value >= low && value <= high)) {
    throw new Error(`${name} = ${value}: expected a number ${expected}.`);
  }
}

/** Return whether tokens are sampled. */
function chooseSampling(options, samplesByDefault) {
  const asking = SAMPLING_OPTIONS.filter((name) => name in options);
  const doSample = options.do_sample ?? (asking.length > 0 || samplesByDefault);
  if (typeof doSample !== "boolean") {
    throw new Error(`do_sample = ${doSample}: expected true or false; leave it out for the default.`);
  }
  if (!doSample && asking.length) {
    throw new Error(
      `${asking[0]} = ${options[asking[0]]} has no effect with do_sample = false: it samples tokens. ` +
        "Leave one of the two out.",
    );
  }
  return doSample;
}

/** Return a generator of numbers in [0, 1) from a seed (mulberry32). */
function makeRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Return a standard normal number, by the method of Box and Muller. */
function sampleNormal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Return a position, with probabilities in proportion to weights. */
function sampleIndex(weights, random) {
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i];
    if (left < 0) return i;
  }
  return weights.findLastIndex((weight) => weight > 0);
}

function logNormal(z, mean, logvar) {
  const term = (value, i) =>
    (value - mean[i]) ** 2 * Math.exp(-logvar[i]) + logvar[i] + Math.log(2 * Math.PI);
  return -0.5 * z.reduce((sum, value, i) => sum + term(value, i), 0);
}

function logSumExp(values) {
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

function strip(text) {
  return text.replace(/^[\p{White_Space}\x1c-\x1f]+|[\p{White_Space}\x1c-\x1f]+$/gu, "");
}

/** Return what follows the prefix in a text that begins with it, except for spaces. */
function cutPrefix(text, prefix) {
  if (text.startsWith(prefix)) return text.slice(prefix.length);
  let position = 0;
  for (const character of prefix.replace(/\p{White_Space}+/gu, "")) {
    while (/^\p{White_Space}/u.test(text.slice(position))) position++;
    if (!text.startsWith(character, position)) return text;
    position += character.length;
  }
  return text.slice(position);
}

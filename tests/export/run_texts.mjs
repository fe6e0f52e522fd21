// Run by the tests: reads a request in JSON, and prints the answers of the JavaScript runner.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { folder, encode, decode, verbs } = JSON.parse(readFileSync(0, "utf-8"));
const base = pathToFileURL(`${folder}/`);
const { TextVAE } = await import(new URL("textvae.js", base));
const { Tokenizer } = await import(new URL("tokenizer.js", base));
const answers = {};
if (encode) {
  const tokenizer = new Tokenizer(JSON.parse(readFileSync(new URL("tokenizer.json", base))));
  answers.ids = encode.map((text) => tokenizer.encode(text));
  answers.texts = decode.map((ids) => tokenizer.decode(ids));
}
if (verbs) {
  const vae = await TextVAE.load(base);
  answers.results = [];
  for (const [verb, ...values] of verbs) {
    const result = vae[verb](...values).catch((error) => `error: ${error.message}`);
    answers.results.push(await result);
  }
}
console.log(JSON.stringify(answers));

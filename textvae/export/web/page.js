// The page: four forms, each of which calls one method of the model and lists its texts.

import { TextVAE } from "./textvae.js";

const status = document.getElementById("status");
const buttons = document.querySelectorAll("button");

/** What each form does: from the model, the form's values and a function that shows a text. */
const ACTIONS = {
  sample: (vae, { count, temperature }, onText) =>
    vae.generate(Number(count), { temperature: Number(temperature), onText }),
  reconstruct: (vae, { text }, onText) => vae.reconstruct(text, { onText }),
  walk: (vae, { first, second, count }, onText) =>
    vae.interpolate(first, second, Number(count), { onText }),
  complete: (vae, { text, count, temperature }, onText) =>
    vae.complete(text, Number(count), { temperature: Number(temperature), onText }),
};

/** Run the action of a form and show its texts as they come. */
async function answer(vae, form) {
  const section = form.closest("section");
  const list = section.querySelector(".texts");
  const problem = section.querySelector(".problem");
  list.replaceChildren();
  problem.textContent = "";
  setBusy(true);
  const start = performance.now();
  const before = vae.steps;
  try {
    await ACTIONS[form.id](vae, Object.fromEntries(new FormData(form)), (text) => {
      const item = document.createElement("li");
      item.dir = "auto"; // for scripts that are written from right to left
      item.textContent = text || "(an empty sentence)";
      list.append(item);
    });
    const steps = vae.steps - before;
    const time = (performance.now() - start) / steps;
    status.textContent = `${steps} steps of the decoder, ${time.toFixed(1)} ms each.`;
  } catch (error) {
    problem.textContent = error.message;
  } finally {
    setBusy(false);
  }
}

function setBusy(isBusy) {
  for (const button of buttons) button.disabled = isBusy;
  document.querySelector("main").setAttribute("aria-busy", String(isBusy));
}

/** Fill the fields with the model's own sentences, so that every button works at once. */
async function fillForms(vae) {
  for (const input of document.querySelectorAll("input[name=temperature]")) {
    input.value = vae.record.decoding.temperature;
  }
  const [first, second] = await vae.generate(2, { temperature: 0.5, seed: 1 });
  document.querySelector("#reconstruct [name=text]").value = first;
  document.querySelector("#walk [name=first]").value = first;
  document.querySelector("#walk [name=second]").value = second;
  document.querySelector("#complete [name=text]").value = first.split(" ").slice(0, 2).join(" ");
}

try {
  const vae = await TextVAE.load();
  for (const form of document.forms) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      answer(vae, form);
    });
  }
  await fillForms(vae);
  const { latent, vocab } = vae.record;
  status.textContent = `Ready: ${latent} numbers per sentence, ${vocab.toLocaleString("en")} tokens.`;
  setBusy(false);
} catch (error) {
  status.textContent = `The model cannot be loaded: ${error.message}`;
}

// A strip of texts along a path, with a slider that goes through them.

const part = (name) => element.querySelector(`[data-part="${name}"]`);
let steps = [];

function format(nats) {
  return nats === null || nats === undefined ? "" : `${nats.toFixed(1)} nats`;
}

function show(number) {
  const step = steps[number];
  if (!step) return;
  part("slider").value = number;
  part("where").textContent = step.name || `Step ${number + 1} of ${steps.length}`;
  part("slider").setAttribute("aria-valuetext", step.text || "an empty text");
  const score = document.createElement("small");
  score.textContent = step.log_likelihood === null ? "" : `log-likelihood ${format(step.log_likelihood)}`;
  part("now").replaceChildren(step.text || "(an empty text)", score);
  [...part("steps").children].forEach((item, k) => item.classList.toggle("tv-current", k === number));
}

function list(step, number, least, most) {
  const item = document.createElement("li"), button = document.createElement("button");
  const text = document.createElement("span"), bar = document.createElement("i");
  const score = document.createElement("small");
  button.type = "button";
  text.textContent = step.text || "(an empty text)";
  score.textContent = format(step.log_likelihood);
  const share = most > least ? (step.log_likelihood - least) / (most - least) : 1;
  bar.style.setProperty("--share", step.log_likelihood === null ? 0 : 0.08 + 0.92 * share);
  button.append(text, bar, score);
  button.onclick = () => show(number);
  item.append(button);
  return item;
}

function render() {
  let reply = {};
  try { reply = JSON.parse(props.value || "{}"); } catch (error) { reply = {}; }
  steps = reply.steps || [];
  part("walk").hidden = !steps.length;
  part("empty").hidden = steps.length > 0;
  part("empty").textContent = reply.message || reply.hint || "Nothing yet.";
  part("empty").classList.toggle("tv-message", Boolean(reply.message));
  part("empty").setAttribute("role", reply.message ? "alert" : "note");
  if (!steps.length) return;
  const scores = steps.map((step) => step.log_likelihood).filter((nats) => nats !== null);
  const least = Math.min(...scores), most = Math.max(...scores);
  part("steps").replaceChildren(...steps.map((step, number) => list(step, number, least, most)));
  part("slider").max = steps.length - 1;
  show(reply.start || 0);
}

part("slider").addEventListener("input", (event) => show(Number(event.target.value)));
watch("value", render);
render();

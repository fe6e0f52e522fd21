// The texts that an action wrote. Copies and downloads are made in the browser, so that the
// server keeps no files.

const part = (name) => element.querySelector(`[data-part="${name}"]`);
let reply = {};

function render() {
  try { reply = JSON.parse(props.value || "{}"); } catch (error) { reply = {}; }
  const rows = reply.rows || [];
  part("written").hidden = !rows.length;
  part("empty").hidden = rows.length > 0;
  part("empty").textContent = reply.message || reply.hint || "Nothing yet.";
  part("empty").classList.toggle("tv-message", Boolean(reply.message));
  part("empty").setAttribute("role", reply.message ? "alert" : "note");
  part("note").textContent = reply.note || "";
  part("texts").replaceChildren(...rows.map((row) => {
    const item = document.createElement("li");
    const score = document.createElement("small");
    score.textContent = row.score === undefined ? "" : `${row.score.toFixed(1)} nats`;
    item.append(row.text || "(an empty text)", score);
    return item;
  }));
}

async function copy() {
  const text = reply.rows.map((row) => row.text).join("\n");
  try {
    await navigator.clipboard.writeText(text);
  } catch (error) {  // the clipboard needs a page from this machine, or https
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  part("note").textContent = `Copied ${reply.rows.length} texts.`;
}

function save(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function toCsv() {
  const keys = Object.keys(reply.rows[0]);
  const quote = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
  const lines = [keys, ...reply.rows.map((row) => keys.map((key) => row[key]))];
  return lines.map((line) => line.map(quote).join(",")).join("\r\n") + "\r\n";
}

part("copy").onclick = copy;
part("json").onclick = () => {
  const { rows, hint, note, ...settings } = reply;
  save("textvae.json", "application/json", JSON.stringify({ ...settings, texts: rows }, null, 2));
};
part("csv").onclick = () => save("textvae.csv", "text/csv", toCsv());
watch("value", render);
render();

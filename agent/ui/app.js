// The page: talks to the agent that served it, and to nobody else. Text of models is only ever put
// in as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const KEY = "skep-key";
const state = { messages: [], models: [], replicas: [], abort: null, open: false, keyRequired: false };

// --- keys and requests -------------------------------------------------------------------------

const key = () => sessionStorage.getItem(KEY) || localStorage.getItem(KEY) || "";

function call(path, options = {}) {
  const headers = { ...options.headers };
  if (key()) headers.authorization = `Bearer ${key()}`;
  if (options.body) headers["content-type"] = "application/json";
  return fetch(path, { ...options, headers });
}

async function json(path, options) {
  const answer = await call(path, options);
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

async function refusal(answer) {
  const body = await answer.json().catch(() => null);
  const error = new Error(body?.error?.message || `the agent answered ${answer.status}`);
  error.status = answer.status;
  error.hint = body?.error?.hint;
  if (answer.status === 401) lock(error.message);
  return error;
}

function lock(why) {
  $("locked").hidden = false;
  if (key()) {
    $("key-why").textContent = `The key was refused: ${why}`;
    $("key-why").className = "problem";
  }
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  localStorage.removeItem(KEY);
  ($("key-keep").checked ? localStorage : sessionStorage).setItem(KEY, $("key").value.trim());
  $("key").value = "";
  $("locked").hidden = true;
  refresh();
});

$("forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
  refresh();
});

// --- figures -----------------------------------------------------------------------------------

function scaled(amount, base, units) {
  let at = 0;
  while (amount >= base && at < units.length - 1) { amount /= base; at += 1; }
  return `${at > 0 && amount < 9.95 ? amount.toFixed(1) : Math.round(amount)} ${units[at]}`.trim();
}
const size = (bytes) => scaled(bytes, 1000, ["B", "kB", "MB", "GB", "TB"]);
const memory = (bytes) => scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
const count = (n) => scaled(n, 1000, ["", "k", "M", "B", "T"]);
function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

// --- what is shown -----------------------------------------------------------------------------

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function connected(kind, text) {
  $("state").className = kind;
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
}

function meter(id, value, share) {
  const element = $(id);
  element.querySelector(".value").textContent = value;
  element.querySelector(".track span").style.width = `${Math.min(100, Math.max(0, share || 0))}%`;
}

function showNode(node) {
  const hardware = node.hardware;
  const cpu = hardware?.host.cpu;
  const facts = [
    ["Name", node.name],
    ["Version", `skep ${node.version}`],
    ["Up for", span(Date.now() / 1000 - node.started_unix_s)],
    ["Processor", cpu?.brand],
    ["Cores to use", cpu?.cores_usable],
    ["The agent takes", node.resident_bytes && memory(node.resident_bytes)],
  ];
  $("facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) =>
    [make("dt", "", name), make("dd", "", String(value))]));
  $("with-key").hidden = !node.key_required;
  state.keyRequired = node.key_required;
  if (!hardware) return;
  const busy = cpu.utilisation_percent;
  meter("cpu", busy == null ? "–" : `${Math.round(busy)} % busy`, busy);
  const ram = hardware.host.memory;
  const total = ram.limit_bytes ?? ram.total_bytes;
  const free = ram.usable_bytes ?? ram.available_bytes;
  if (total && free != null) {
    meter("memory", `${memory(free)} of ${memory(total)} free`, 100 * (1 - free / total));
  }
  const disk = hardware.host.disks[0];
  $("disk").hidden = !disk?.total_bytes;
  if (disk?.total_bytes) {
    meter("disk", `${size(disk.available_bytes)} of ${size(disk.total_bytes)} free`,
      100 * (1 - disk.available_bytes / disk.total_bytes));
  }
  $("devices").replaceChildren(...hardware.devices.map((device) => showDevice(device)));
  if (hardware.devices.length && node.computes_on === "cpu") {
    $("devices").append(make("p", "fine", "This version computes on the processor; accelerators are only watched."));
  }
}

function showDevice(device) {
  const card = make("div", "device");
  const reading = device.reading;
  card.append(make("p", "", device.identity.name || "Accelerator"));
  const now = [];
  if (reading.utilisation_percent != null) now.push(`${Math.round(reading.utilisation_percent)} % busy`);
  if (reading.memory.memory_total_bytes) {
    now.push(`${memory(reading.memory.memory_used_bytes || 0)} of ${memory(reading.memory.memory_total_bytes)}`);
  }
  if (reading.thermal.chip_celsius != null) now.push(`${Math.round(reading.thermal.chip_celsius)} °C`);
  if (reading.power.power_watts != null) now.push(`${Math.round(reading.power.power_watts)} W`);
  if (device.verdict !== "healthy") now.push(Object.keys(device.verdict)[0]);
  card.append(make("p", "", now.join(" · ")));
  return card;
}

// Lists are only drawn again when they have changed: a focused button would lose its focus.
let drawn = "";
function showModels() {
  const now = JSON.stringify([state.models, state.replicas]);
  if (now === drawn) return;
  drawn = now;
  const focused = document.activeElement?.dataset?.model;
  $("models").replaceChildren(...state.models.map((model) => {
    const replica = state.replicas.find((replica) => replica.model === model.name);
    const item = make("li");
    const name = make("span", "name");
    const kind = { ready: "good", failed: "bad" }[replica?.state] || (replica ? "" : "off");
    name.append(make("span", `dot ${kind}`), make("span", "", model.name));
    const action = make("button", "", replica ? "Unload" : "Load");
    action.type = "button";
    action.dataset.model = model.name;
    action.setAttribute("aria-label", `${action.textContent} ${model.name}`);
    action.addEventListener("click", () => move(model.name, replica ? "unload" : "load", action));
    const about = [replica ? replica.state : "on disk", size(model.bytes)];
    const info = replica?.info;
    if (info) about.push(`${info.architecture} ${count(info.parameters)} ${info.quantisation}`, `${info.context_tokens} tokens`);
    if (replica?.requests) about.push(`${replica.requests} asking`);
    if (replica?.tokens_per_s) about.push(`${Math.round(replica.tokens_per_s)} tokens/s`);
    if (replica?.resident_bytes) about.push(memory(replica.resident_bytes));
    if (replica?.restarts) about.push(`restarted ${replica.restarts}×`);
    item.append(name, action, make("span", "about", about.join(" · ")));
    if (replica?.why) item.append(make("span", "about problem", replica.why));
    return item;
  }));
  if (!state.models.length) $("models").append(make("li", "", "No models yet: skep pull brings one."));
  if (focused) document.querySelector(`[data-model="${CSS.escape(focused)}"]`)?.focus();
  showPicker();
}

async function move(name, verb, button) {
  button.disabled = true;
  button.textContent = verb === "load" ? "Loading…" : "Unloading…";
  try {
    await json(`api/v1/models/${encodeURIComponent(name)}/${verb}`, { method: "POST", body: "{}" });
  } catch (error) {
    if (error.status !== 401) connected("bad", error.message);
  }
  drawn = "";
  refresh();
}

function showPicker() {
  const picker = $("model");
  const able = (model) => {
    const info = state.replicas.find((replica) => replica.model === model.name)?.info;
    return !info || info.abilities.includes("chat") || info.abilities.includes("complete");
  };
  const names = state.models.filter(able).map((model) => model.name);
  const before = picker.value || localStorage.getItem("skep-model");
  const usual = state.models.find((model) => model.is_default)?.name;
  if (names.join() !== [...picker.options].map((option) => option.value).join()) {
    picker.replaceChildren(...names.map((name) => new Option(name, name)));
    picker.value = names.includes(before) ? before : names.includes(usual) ? usual : names[0] || "";
  }
  picked();
}

function picked() {
  const model = state.models.find((model) => model.name === $("model").value);
  $("trying").hidden = !(model && model.source === "embedded");
  $("send").disabled = !model || !$("question").value.trim();
  const ideas = model?.source === "embedded"
    ? ["The borrow checker", "A slice is", "This function will return"]
    : ["Explain ownership in Rust in three sentences.", "Write a limerick about bees.", "What is a skep?"];
  if ($("ideas").textContent !== ideas.join("")) {
    $("ideas").replaceChildren(...ideas.map((idea) => {
      const item = make("li");
      const button = make("button", "", idea);
      button.type = "button";
      button.addEventListener("click", () => ask(idea));
      item.append(button);
      return item;
    }));
  }
  examples();
}

function examples() {
  const base = `${location.origin}/v1`;
  const model = $("model").value || "tiny";
  const auth = state.keyRequired ? " \\\n  -H 'authorization: Bearer YOUR_KEY'" : "";
  const set = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
  set("base", base);
  set("curl", `curl ${base}/chat/completions${auth} \\\n  -H 'content-type: application/json' \\\n  -d '{"model": "${model}",\n       "messages": [{"role": "user",\n         "content": "The borrow checker"}]}'`);
  set("python", `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}",\n                api_key="${state.keyRequired ? "YOUR_KEY" : "none"}")\nanswer = client.chat.completions.create(\n    model="${model}",\n    messages=[{"role": "user",\n               "content": "The borrow checker"}])\nprint(answer.choices[0].message.content)`);
}

$("model").addEventListener("change", () => {
  localStorage.setItem("skep-model", $("model").value);
  picked();
});

// --- the conversation --------------------------------------------------------------------------

/// Fenced and inline code; the rest as it stands.
function render(into, text) {
  into.replaceChildren();
  // Completions begin with the space that their first word needs.
  text.trimStart().split(/^```/m).forEach((part, at) => {
    if (at % 2) {
      const pre = make("pre");
      pre.append(make("code", "", part.replace(/^[^\n]*\n?/, "").replace(/\n$/, "")));
      into.append(pre);
      return;
    }
    const body = part.replace(/^\n+|\n+$/g, "");
    if (!body) return;
    const paragraph = make("p");
    body.split(/`([^`\n]+)`/).forEach((piece, inner) =>
      paragraph.append(inner % 2 ? make("code", "", piece) : piece));
    into.append(paragraph);
  });
}

function turn(role) {
  $("empty").hidden = true;
  const element = make("div", `turn ${role}`);
  if (role === "assistant") element.append(make("p", "who", $("model").value));
  const body = make("div");
  element.append(body);
  $("talk").append(element);
  return { element, body };
}

const atEnd = () => $("talk").scrollHeight - $("talk").scrollTop - $("talk").clientHeight < 80;
const toEnd = () => { $("talk").scrollTop = $("talk").scrollHeight; };

async function ask(question) {
  if (state.abort || !$("model").value) return;
  state.messages.push({ role: "user", content: question });
  turn("user").body.textContent = question;
  const { element, body } = turn("assistant");
  body.classList.add("waiting");
  toEnd();
  state.abort = new AbortController();
  running(true);
  let text = "";
  let queued = false;
  const draw = () => {
    queued = false;
    const follow = atEnd();
    render(body, text);
    if (follow) toEnd();
  };
  const started = performance.now();
  let first = 0;
  let usage = null;
  let note = "";
  try {
    for await (const part of stream(state.abort.signal)) {
      usage = part.usage || usage;
      const gained = part.choices?.[0]?.delta?.content;
      if (!gained) continue;
      first ||= performance.now();
      text += gained;
      if (!queued) { queued = true; requestAnimationFrame(draw); }
    }
    if (usage) {
      const seconds = (performance.now() - (first || started)) / 1000;
      const rate = usage.completion_tokens > 1 && seconds > 0.02 ? `, ${Math.round(usage.completion_tokens / seconds)} tokens/s` : "";
      $("figures").textContent = `${usage.prompt_tokens} tokens read, ${usage.completion_tokens} written${rate}`;
    }
  } catch (error) {
    if (error.name === "AbortError") {
      note = "stopped";
    } else {
      element.classList.add("failed");
      note = [error.message, error.hint].filter(Boolean).join(" – ");
    }
  }
  draw();
  body.classList.remove("waiting");
  if (note) element.append(make("p", element.classList.contains("failed") ? "note problem" : "note", note));
  if (text) state.messages.push({ role: "assistant", content: text });
  else state.messages.pop();
  state.abort = null;
  running(false);
}

async function* stream(signal) {
  const answer = await call("v1/chat/completions", {
    method: "POST",
    signal,
    body: JSON.stringify({
      model: $("model").value,
      messages: state.messages,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!answer.ok) throw await refusal(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the answer broke off");
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      const part = JSON.parse(data);
      if (part.error) throw new Error(part.error.message);
      yield part;
    }
  }
}

function running(yes) {
  $("send").hidden = yes;
  $("stop").hidden = !yes;
  $("clear").disabled = yes || !state.messages.length;
  if (!yes) $("question").focus();
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question || state.abort) return;
  $("question").value = "";
  grow();
  ask(question);
});
$("stop").addEventListener("click", () => state.abort?.abort());
$("clear").addEventListener("click", () => {
  state.messages = [];
  for (const old of document.querySelectorAll(".turn")) old.remove();
  $("empty").hidden = false;
  $("figures").textContent = "";
  $("clear").disabled = true;
  $("question").focus();
});

function grow() {
  const area = $("question");
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
  $("send").disabled = !$("model").value || !area.value.trim();
}
$("question").addEventListener("input", grow);
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
  if (event.key === "Escape") state.abort?.abort();
});

// --- everything else ---------------------------------------------------------------------------

for (const button of document.querySelectorAll("nav button")) {
  button.addEventListener("click", () => {
    document.querySelector("main").dataset.view = button.dataset.view;
    for (const other of document.querySelectorAll("nav button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = $(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      // Browsers give the clipboard to safe origins only: select it, for Ctrl-C.
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

let asking = false;
async function refresh() {
  if (asking) return;
  asking = true;
  $("forget").hidden = !key();
  try {
    const [node, models, ps] = await Promise.all(
      ["api/v1/node", "api/v1/models", "api/v1/ps"].map((path) => json(path)));
    $("locked").hidden = true;
    state.models = models.models;
    state.replicas = ps.replicas;
    showNode(node);
    showModels();
    const loading = state.replicas.find((replica) => replica.state === "starting");
    const failed = state.replicas.find((replica) => replica.state === "failed");
    if (failed) connected("bad", `${failed.model} could not be loaded`);
    else if (loading) connected("", `loading ${loading.model}`);
    else connected("good", `${node.name} is up`);
  } catch (error) {
    if (error.status === 401) connected("", "a key is needed");
    else connected("bad", error.status ? error.message : "the agent does not answer");
  }
  asking = false;
}

refresh();
setInterval(() => { if (!document.hidden) refresh(); }, 2000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });

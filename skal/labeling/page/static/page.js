// The labelling page. The server holds the truth: each answer is sent, kept on disk there, and the state that comes back
// is what is shown.
"use strict";

const KEYS = "1234567890abcdefghijklmnopqrstuvwxyz";
const SEARCHED_FROM = 21;
const PRELOADED = 3;
const REASONS = ["cannot be told", "blurred", "several things", "none of the classes"];

const byId = (id) => document.getElementById(id);
let state = null;
let place = 0;
let shownAt = 0;
let isBusy = false;

const item = () => state.items[place];
const isOpen = (each) => each.label === null && each.skipped === null;
const nextOpen = (from) => {
  const order = [...state.items.keys()];
  const found = [...order.slice(from), ...order.slice(0, from)].find((at) => isOpen(state.items[at]));
  return found === undefined ? Math.min(from, state.items.length - 1) : found;
};

function tell(text) {
  byId("message").textContent = text;
}

async function load() {
  const answer = await fetch("/api/state");
  if (!answer.ok) return tell(await answer.text());
  state = await answer.json();
  place = nextOpen(0);
  show();
}

async function send(what, content) {
  if (isBusy || !state) return null;
  isBusy = true;
  try {
    const answer = await fetch(`/api/${what}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Skal": "1" },
      body: JSON.stringify({ version: state.version, ...content }),
    });
    const given = answer.headers.get("content-type")?.includes("json") ? await answer.json() : { error: await answer.text() };
    tell(answer.ok ? "" : given.error);
    if (given.state) state = given.state;
    if (!answer.ok && given.state) { place = nextOpen(0); show(); }
    return answer.ok ? given : null;
  } catch (error) {
    tell("The server does not answer: nothing was recorded. Start `skal label` again and open the address it prints.");
    return null;
  } finally {
    isBusy = false;
  }
}

const seconds = () => Math.round(performance.now() - shownAt) / 1000;

async function label(name) {
  if (!item()) return;
  const at = place;
  if (await send("label", { row: item().row, label: name, seconds: seconds() })) goOn(at);
}

async function skip() {
  if (!item()) return;
  const at = place;
  const reason = await ask("Why can this image not be labelled?", REASONS);
  if (reason && (await send("skip", { row: state.items[at].row, reason, seconds: seconds() }))) goOn(at);
}

async function undo() {
  const given = await send("undo", {});
  if (!given) return;
  place = Math.max(0, state.items.findIndex((each) => each.row === given.row));
  show();
}

async function addClass() {
  const name = await ask("Name of the new class", []);
  if (name && (await send("class", { name }))) show();
}

function goOn(at) {
  place = nextOpen(Math.min(at + 1, state.items.length - 1));
  show();
}

function move(step) {
  if (!state?.items.length) return;
  place = Math.min(Math.max(place + step, 0), state.items.length - 1);
  show();
}

function show() {
  const current = item();
  const nDone = state.items.filter((each) => !isOpen(each)).length;
  byId("progress").max = Math.max(1, state.items.length);
  byId("progress").value = nDone;
  const speed = state.seconds === null ? "" : `, ${state.seconds.toFixed(1)} s a label`;
  byId("done").textContent = `${nDone} of ${state.items.length} done${speed}`;
  document.title = `skal: ${nDone} of ${state.items.length}`;
  if (current) {
    const image = byId("image");
    image.src = `/api/image/${current.row}`;
    image.dataset.row = current.row;
    const said = current.label ?? (current.skipped && `skipped: ${current.skipped}`);
    byId("caption").textContent = `Image ${place + 1} of ${state.items.length}${said ? `: ${said}` : ""}`;
    for (let ahead = 1; ahead <= PRELOADED; ahead += 1) {
      const later = state.items[place + ahead];
      if (later) new Image().src = `/api/image/${later.row}`;
    }
  } else {
    byId("caption").textContent = "No image was picked: type `skal select -n 60 --holdout 40`.";
  }
  if (state.items.length && nDone === state.items.length) tell("");
  if (state.items.length && nDone === state.items.length) byId("done").textContent += ". All are done: type `skal train`";
  showClasses();
  shownAt = performance.now();
}

function showClasses() {
  const isSearched = state.classes.length >= SEARCHED_FROM;
  const wanted = byId("search").value.trim().toLowerCase();
  byId("search").hidden = !isSearched;
  const found = state.classes.filter((name) => !isSearched || name.toLowerCase().includes(wanted));
  byId("classes").replaceChildren(...found.map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.label = name;
    button.setAttribute("aria-pressed", String(item()?.label === name));
    const key = isSearched ? "" : KEYS[state.classes.indexOf(name)] ?? "";
    const parts = [["kbd", key, ""], ["span", name, "name"], ["span", String(state.counts[name]), "count"]];
    for (const [tag, text, kind] of parts) {
      if (!text) continue;
      const part = document.createElement(tag);
      part.textContent = text;
      part.className = kind;
      button.append(part);
    }
    button.addEventListener("click", () => label(name));
    return button;
  }));
  if (isSearched && !document.querySelector("dialog[open]")) byId("search").focus();
}

function ask(question, proposals) {
  const dialog = byId("ask");
  const text = byId("ask-text");
  byId("ask-title").textContent = question;
  text.value = "";
  byId("ask-proposals").replaceChildren(...proposals.map((proposal) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = proposal;
    button.addEventListener("click", () => { text.value = proposal; dialog.close("ok"); });
    return button;
  }));
  dialog.returnValue = "";
  dialog.showModal();
  text.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? text.value.trim() : ""), { once: true });
  });
}

// Enter in the text is OK, and not the first button of the form.
byId("ask-text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  if (byId("ask-text").value.trim()) byId("ask").close("ok");
});

document.addEventListener("keydown", (event) => {
  if (!state || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const isSearching = document.activeElement === byId("search");
  const actions = { Escape: skip, "+": addClass, "?": () => byId("help").showModal() };
  if (!isSearching || !byId("search").value) {
    Object.assign(actions, { Backspace: undo, ArrowLeft: () => move(-1), ArrowRight: () => move(1) });
  }
  let action = actions[event.key];
  if (isSearching && event.key === "Enter") {
    const first = byId("classes").querySelector("button");
    action = () => { byId("search").value = ""; if (first) label(first.dataset.label); };
  } else if (!action && !isSearching && state.classes.length < SEARCHED_FROM && event.key.length === 1) {
    const name = state.classes[KEYS.indexOf(event.key.toLowerCase())];
    action = name === undefined ? undefined : () => label(name);
  }
  if (!action) return;
  event.preventDefault();
  if (!event.repeat || event.key.startsWith("Arrow")) action();
});

byId("search").addEventListener("input", showClasses);
byId("image").addEventListener("load", (event) => {
  event.target.classList.toggle("small", event.target.naturalWidth < 200);
});
byId("image").addEventListener("error", () => tell("This image cannot be shown; skip it, and say why."));
byId("back").addEventListener("click", () => move(-1));
byId("forward").addEventListener("click", () => move(1));
byId("undo").addEventListener("click", undo);
byId("skip").addEventListener("click", skip);
byId("new").addEventListener("click", addClass);
byId("help-button").addEventListener("click", () => byId("help").showModal());
load();

// The labelling page: what is known, which image is shown, what a key does.
import { makeChoices } from "./choices.js";
import { ask, isAnyOpen, showHelp } from "./dialogs.js";
import { makeGrid } from "./grid.js";
import { get, imageAddress, post } from "./server.js";
import * as words from "./words.js";
import { makeZoom } from "./zoom.js";

const PRELOADED = 3;
const LARGEST_USUAL = 1600;  // pixels; a larger image is fetched as it is when somebody looks closer
const SMALL = 200;  // pixels; a smaller image is shown with its pixels, and not over the whole screen
const MOST_ENLARGED = 12;
const REASONS = ["cannot be told", "blurred", "several things", "none of the classes"];

const byId = (id) => document.getElementById(id);
let state = null;
let suggested = { number: 0, rows: {}, predicted: {} };
let place = 0;  // one behind the last image: all is done
let shownAt = 0;
let isBusy = false;

const item = () => state.items[place];
const { isOpen } = words;
const nextOpen = (from) => {
  const order = [...state.items.keys()];
  return [...order.slice(from), ...order.slice(0, from)].find((at) => isOpen(state.items[at])) ?? state.items.length;
};
const seconds = () => Math.round(performance.now() - shownAt) / 1000;
const tell = (text) => { byId("message").textContent = text; };

const zoom = makeZoom(byId("frame"), byId("image"), (scale) => {
  const image = byId("image"), row = image.dataset.row;
  if (scale > 1 && row && Math.max(image.naturalWidth, image.naturalHeight) === LARGEST_USUAL) {
    image.src = imageAddress(row, "full");
  }
});
const grid = makeGrid({
  nextPick: (from, isAfter = false) => {
    const at = state.items.findIndex((each) => each.row === from);
    const start = at < 0 ? place : at + Number(isAfter);
    const order = [...state.items.slice(start), ...state.items.slice(0, start)];
    return order.find((each) => isOpen(each) && !each.is_alone)?.row;
  },
  tell,
  onShow: () => { shownAt = performance.now(); choices.showClasses(); },
});

const choices = makeChoices({
  view: () => ({ state, item: item(), isGrid: grid.isOpen(), predicted: grid.classShown(), suggestions: suggestedNow() }),
  onLabel: (name) => label(name),
});
const suggestedNow = () => {
  const current = item();
  return current && isOpen(current) && state.suggestions.is_on ? suggested.rows[current.row] ?? [] : [];
};

async function load() {
  const given = await get("/api/state");
  if (given.error) return tell(given.error);
  state = given;
  place = nextOpen(0);
  show();
  return lookForSuggestions();
}

// Another tab may have gone on meanwhile.
async function catchUp() {
  if (document.hidden || isBusy || !state) return;
  const before = state.version;
  const given = await get("/api/state");
  if (isBusy || state.version !== before) return;  // what was labelled here meanwhile is newer than the answer
  if (!given.version || given.version === before) return;
  state = given;
  place = nextOpen(Math.min(place, state.items.length));
  show();
}

// Gives what was answered, or null where nothing was recorded.
async function send(what, content) {
  if (isBusy || !state) return null;
  isBusy = true;
  const given = await post(what, { version: state.version, ...content });
  isBusy = false;
  tell(given.error ?? "");
  if (given.state) {  // this page was behind
    state = given.state;
    place = nextOpen(0);
    show();
  }
  if (given.error) return null;
  take(given);
  lookForSuggestions();
  return given;
}

function take({ changed = [], ...totals }) {
  Object.assign(state, totals);
  for (const each of changed) {
    const at = state.items.findIndex((known) => known.row === each.row);
    if (each.is_gone) {
      if (at >= 0) state.items.splice(at, 1);
    } else if (at < 0) {
      state.items.push(each);
    } else {
      state.items[at] = each;
    }
  }
}

let isLooking = false;
async function lookForSuggestions() {
  const { may, is_on: isOn, number, is_training: isTraining } = state.suggestions;
  if (isLooking || !may || !isOn || (number === suggested.number && !isTraining)) return;
  isLooking = true;
  const given = await get(`/api/suggestions?known=${suggested.number}`);
  isLooking = false;
  if (given.error) return;
  const { rows, predicted, ...known } = given;
  state.suggestions = known;
  if (rows) suggested = { number: known.number, rows, predicted };
  choices.showSuggestions();
  if (rows && suggestedNow().length) speak();
  grid.offer(suggested.predicted);
  if (known.is_training) setTimeout(lookForSuggestions, 700);
}

async function label(name) {
  if (grid.isOpen()) {
    const rows = grid.marked();
    if (rows.length && (await send("many", { rows, label: name, seconds: seconds() }))) {
      byId("spoken").textContent = `${rows.length} images labelled ${name}.`;
      show();
      grid.goOn();
    }
    return;
  }
  const at = place;
  if (item() && (await send("label", { row: item().row, label: name, seconds: seconds() }))) goOn(at, `Labelled ${name}.`);
}

async function skip() {
  if (grid.isOpen() || !item()) return;
  const at = place;
  const said = await ask("Why can this image not be labelled?", { proposals: REASONS });
  if (said && (await send("skip", { row: state.items[at].row, reason: said.text, seconds: seconds() }))) {
    goOn(at, "Skipped.");
  }
}

async function undo() {
  const given = await send("undo", {});
  if (!given) return;
  const at = state.items.findIndex((each) => each.row === given.changed[0].row);
  if (at >= 0) place = at;
  show(given.changed.length > 1 ? `Taken back: ${given.changed.length} labels.` : "Taken back.");
  if (grid.isOpen()) grid.open();
}

async function addClass() {
  const said = await ask("Name of the new class", { withKey: !state.is_searched });
  if (said && (await send("class", { name: said.text, key: said.key }))) show(`New class ${said.text}.`);
}

async function switchSuggestions() {
  const given = await post("suggestions", { is_on: !state.suggestions.is_on });
  if (given.error) return tell(given.error);
  const { rows, predicted, ...known } = given;
  state.suggestions = known;
  suggested = { number: known.number, rows, predicted };
  show();
  return lookForSuggestions();
}

function switchGrid(wanted = !grid.isOpen()) {
  if (wanted === grid.isOpen()) return;
  if (wanted) {
    grid.offer(suggested.predicted);
    grid.open(item()?.row);
  } else {
    grid.close();
    place = nextOpen(Math.min(place, state.items.length));
  }
  show();
}

function goOn(at, said) {
  place = nextOpen(Math.min(at + 1, state.items.length - 1));
  show(said);
}

function move(step) {
  if (!state.items.length) return;
  const isDone = nextOpen(0) === state.items.length;
  place = Math.min(Math.max(place + step, 0), state.items.length - (isDone ? 0 : 1));
  show();
}

function show(said = "") {
  zoom.whole();
  showProgress();
  const isGrid = grid.isOpen(), current = item();
  byId("grid").hidden = !isGrid;
  byId("single").hidden = isGrid || !current;
  byId("finished").hidden = isGrid || Boolean(current);
  byId("many").setAttribute("aria-pressed", String(isGrid));
  for (const id of ["back", "forward", "skip", "zoom"]) byId(id).hidden = isGrid;
  for (const id of ["forward", "skip", "zoom"]) byId(id).disabled = !current;
  byId("back").disabled = place === 0;
  if (!isGrid && current) showImage(current);
  if (!current) showFinished();
  choices.showSuggestions();
  choices.showClasses();
  if (state.is_searched && !isGrid && !isAnyOpen()) byId("search").focus();
  speak(said);
  shownAt = performance.now();
}

function speak(said = "") {
  if (grid.isOpen()) return;
  const parts = [said, byId("caption").textContent, words.spokenSuggestions(suggestedNow())];
  byId("spoken").textContent = parts.filter(Boolean).join(" ");
}

function showImage(current) {
  const image = byId("image");
  image.src = imageAddress(current.row);
  image.dataset.row = current.row;
  image.alt = `Image ${place + 1} of ${state.items.length}`;
  byId("caption").textContent = words.caption(state, place);
  for (const later of state.items.slice(place + 1, place + 1 + PRELOADED)) new Image().src = imageAddress(later.row);
}

function showProgress() {
  byId("progress").max = Math.max(1, state.n_picked);
  byId("progress").value = words.nDone(state);
  byId("done").textContent = words.progress(state);
  byId("money").textContent = words.money(state);
  document.title = `skal: ${words.nDone(state)} of ${state.n_picked}`;
}

function showFinished() {
  const [title, text, next] = words.finished(state);
  byId("finished-title").textContent = byId("caption").textContent = title;
  byId("finished-text").textContent = text;
  byId("finished-next").replaceChildren(...words.withCode(next));
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function arrow(right, down) {
  if (grid.isOpen()) return grid.move(right, down);
  if (zoom.isZoomed()) return zoom.look(right, down);
  return right ? move(right) : undefined;
}

function leave() {
  if (grid.isOpen()) switchGrid(false);
  else if (zoom.isZoomed()) zoom.whole();
  else if (byId("search").value) byId("search").value = "";
  else byId("search").blur();  // the letters are keys again
  choices.showClasses();
}

const LETTERS = { s: skip, u: undo, z: () => item() && !grid.isOpen() && zoom.step(), g: () => switchGrid() };
function actionOf(event) {
  const { key } = event, letter = key.toLowerCase();
  const isSearching = document.activeElement === byId("search");
  if (key === "Escape") return leave;
  if (isSearching && key === "Enter") return choices.takeFirst;
  if (isSearching && byId("search").value) return undefined;
  if (ARROWS[key]) return () => arrow(...ARROWS[key]);
  if (key === "Backspace") return undo;
  if (key === "+") return addClass;
  if (key === "?") return showHelp;
  if (LETTERS[letter] && !isSearching) return LETTERS[letter];
  if (state.is_searched && key.length === 1 && key !== " ") byId("search").focus();  // and the key is typed there
  if (state.is_searched || document.activeElement?.tagName === "SELECT") return undefined;
  const found = state.classes.find((each) => each.key === letter);
  return found && (() => label(found.name));
}

document.addEventListener("keydown", (event) => {
  if (!state || isAnyOpen() || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  if (!event.repeat || ARROWS[event.key]) action();
});

byId("search").addEventListener("input", choices.showClasses);
byId("image").addEventListener("load", ({ target }) => {
  const longest = Math.max(target.naturalWidth, target.naturalHeight);
  target.classList.toggle("small", longest < SMALL);
  target.style.setProperty("--most", longest < SMALL ? `${MOST_ENLARGED * longest}px` : "none");
});
byId("image").addEventListener("error", async () => {
  const given = await get(imageAddress(byId("image").dataset.row));
  tell(`This image cannot be shown; skip it, and say why. ${given.error ?? ""}`);
});
document.addEventListener("visibilitychange", () => { shownAt = performance.now(); catchUp(); });
window.addEventListener("focus", catchUp);
const CLICKS = {
  back: () => move(-1), forward: () => move(1), undo, skip, zoom: () => zoom.step(), new: addClass,
  many: () => switchGrid(), suggesting: switchSuggestions, "help-button": showHelp,
};
for (const [id, action] of Object.entries(CLICKS)) byId(id).addEventListener("click", action);
load();

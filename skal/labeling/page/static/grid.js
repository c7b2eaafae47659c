// Many images at once: the marked ones get one label.
import { get, imageAddress } from "./server.js";

const byId = (id) => document.getElementById(id);
const NEAR = "";

// `nextPick(from)` gives an image without label to begin with, or undefined; `tell` shows what went wrong.
export function makeGrid({ nextPick, tell, onShow }) {
  let rows = [];
  let nAll = 0;
  let isOpen = false;
  let source = NEAR;
  let pick;
  const marked = new Set();

  const cells = () => [...byId("cells").children];

  async function load({ goOn = false, from } = {}) {
    if (source === NEAR) pick = nextPick(from ?? pick);
    if (source === NEAR && pick === undefined) return fill([], 0);
    const asked = source === NEAR ? `near=${pick}` : `label=${encodeURIComponent(source)}${goOn ? "&go_on=1" : ""}`;
    const given = await get(`/api/grid?${asked}`);
    if (given.error) tell(given.error);
    return fill(given.rows ?? [], given.n_all ?? 0);
  }

  function fill(found, n) {
    rows = found;
    nAll = n;
    marked.clear();
    rows.forEach((row) => marked.add(row));
    byId("cells").replaceChildren(...rows.map((row, number) => {
      const cell = document.createElement("button");
      cell.type = "button";
      cell.dataset.row = row;
      const image = new Image();
      image.src = imageAddress(row, "small");
      image.alt = `Image ${number + 1} of ${rows.length}${source === NEAR && number === 0 ? ", the one that was picked" : ""}`;
      image.draggable = false;
      image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth < 100));
      cell.classList.toggle("picked", source === NEAR && number === 0);
      cell.append(image);
      cell.addEventListener("click", () => { toggle(row); cell.focus(); });
      return cell;
    }));
    show();
    onShow();
  }

  function toggle(row) {
    if (!marked.delete(row)) marked.add(row);
    show();
  }

  function show() {
    for (const cell of cells()) cell.setAttribute("aria-pressed", String(marked.has(Number(cell.dataset.row))));
    byId("mark").textContent = marked.size ? "Mark none" : "Mark all";
    byId("mark").disabled = byId("others").disabled = !rows.length;
    const more = nAll > rows.length ? ` of ${nAll}` : "";
    byId("grid-text").textContent = rows.length
      ? `${marked.size} marked, ${rows.length}${more} shown. A class key labels the marked ones.`
      : "No image is left here: choose others above, or leave with Esc.";
  }

  // `predicted`: how many images each class is predicted for.
  function offer(predicted) {
    const select = byId("grid-source");
    const options = [[NEAR, "a pick and the images most like it"]];
    for (const [name, count] of Object.entries(predicted)) {
      if (count) options.push([name, `predicted: ${name} (${count})`]);
    }
    if (!options.some(([name]) => name === source)) options.push([source, `predicted: ${source} (0)`]);
    select.replaceChildren(...options.map(([name, text]) => new Option(text, name, false, name === source)));
  }

  function move(right, down) {
    const all = cells();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    const nColumns = all.filter((cell) => cell.offsetTop === all[0].offsetTop).length;
    const wanted = at < 0 ? 0 : at + right + down * nColumns;
    all[Math.min(Math.max(wanted, 0), all.length - 1)].focus();
  }

  byId("grid-source").addEventListener("change", (event) => {
    source = event.target.value;
    event.target.blur();  // or the next key would choose again
    load();
  });
  byId("mark").addEventListener("click", () => {
    if (marked.size) marked.clear(); else rows.forEach((row) => marked.add(row));
    show();
  });
  byId("others").addEventListener("click", () => load({ goOn: true, from: nextPick(pick, true) }));

  return {
    isOpen: () => isOpen,
    classShown: () => (isOpen && source !== NEAR ? source : null),
    marked: () => rows.filter((row) => marked.has(row)),
    open: (from) => { isOpen = true; return load({ from }); },
    close: () => { isOpen = false; },
    goOn: () => load({ goOn: true }),
    offer,
    move,
  };
}

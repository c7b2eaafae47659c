// The classes, and those that are suggested, as buttons with their keys.
import { percent, suggestionsHead } from "./words.js";

const byId = (id) => document.getElementById(id);

// `view` gives what there is to show: state, item, suggestions [[name, share]], isGrid, and the class a grid is of.
export function makeChoices({ view, onLabel }) {
  function classButton(name, count) {
    const { state } = view();
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.label = name;
    const key = state.is_searched ? null : state.classes.find((each) => each.name === name)?.key;
    if (key) button.setAttribute("aria-keyshortcuts", key);
    for (const [tag, kind, text] of [["kbd", "key", key], ["span", "name", name], ["span", "count", count]]) {
      if (!text) continue;
      const part = document.createElement(tag);
      part.textContent = text;
      part.className = kind;
      button.append(part);
    }
    button.addEventListener("click", () => onLabel(name));
    return button;
  }

  function showSuggestions() {
    const { state, item, isGrid, suggestions } = view();
    const { may, is_on: isOn } = state.suggestions;
    const isFirstRound = state.items.every((each) => each.round === 1);
    byId("suggesting").hidden = !may;
    byId("suggesting").setAttribute("aria-pressed", String(isOn));
    byId("suggesting").textContent = `Suggestions ${isOn ? "on" : "off"}`;
    byId("suggestions").hidden = !may || !isOn || isGrid || !item || isFirstRound;
    byId("suggested-from").textContent = suggestionsHead(state.suggestions, suggestions.length > 0);
    byId("suggested").replaceChildren(...suggestions.map(([name, share]) => {
      const button = classButton(name, percent(share));
      button.style.setProperty("--part", `${100 * share}%`);
      return button;
    }));
  }

  function showClasses() {
    const { state, item, isGrid, predicted } = view();
    const search = byId("search"), wanted = search.value.trim().toLowerCase();
    const focused = document.activeElement?.closest("#classes button")?.dataset.label;
    search.hidden = !state.is_searched;
    byId("classes").classList.toggle("searched", state.is_searched);
    const found = state.classes.filter(({ name }) => !state.is_searched || name.toLowerCase().includes(wanted));
    byId("classes").replaceChildren(...found.map(({ name, count }) => {
      const button = classButton(name, String(count));
      if (!isGrid) button.setAttribute("aria-pressed", String(item?.label === name));
      button.classList.toggle("predicted", name === predicted);
      if (name === focused) queueMicrotask(() => button.focus());
      return button;
    }));
    if (!state.classes.length) byId("classes").textContent = "There is no class yet: + adds one.";
  }

  function takeFirst() {
    const first = byId("classes").querySelector("button");
    byId("search").value = "";
    if (first) onLabel(first.dataset.label);
  }

  return { showSuggestions, showClasses, takeFirst };
}

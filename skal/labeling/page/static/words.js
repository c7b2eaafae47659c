// What is known, in words.

export const isOpen = (each) => each.label === null && each.skipped === null;
export const percent = (share) => `${Math.round(100 * share)} %`;
export const nDone = (state) => state.items.filter((each) => each.round !== null && !isOpen(each)).length;

export function progress(state) {
  const parts = [`${nDone(state)} of ${state.n_picked} done`];
  if (state.n_together) parts.push(`${state.n_together} labelled many at once`);
  if (state.seconds !== null) parts.push(`${state.seconds.toFixed(1)} s a label`);
  return parts.join(", ");
}

export const money = ({ money: known }) => known ? `${known.spent.toFixed(2)} spent, ${known.left.toFixed(2)} left` : "";

export function caption(state, place) {
  const { label, skipped, is_together: isTogether } = state.items[place];
  const said = label === null ? skipped === null ? "" : `: skipped, ${skipped}` : `: ${label}`;
  return `Image ${place + 1} of ${state.items.length}${said}${isTogether ? ", given to many at once" : ""}`;
}

// Title, text and what to type next, commands between backticks.
export function finished(state) {
  if (!state.n_picked) return ["No image was picked", "", "End this with Ctrl+C and type `skal select -n 60 --holdout 40`."];
  const nSkipped = state.items.filter((each) => each.skipped !== null).length;
  return [
    "All are done",
    `${state.items.length - nSkipped} labelled, ${nSkipped} skipped; ${state.n_held_out} of them are to test with. ` +
      "← looks back and changes, u takes back, g labels more, many at once.",
    "All is kept. End `skal label` with Ctrl+C and type `skal train`.",
  ];
}

// Between backticks stands code.
export const withCode = (text) => text.split("`").map((part, number) => {
  if (number % 2 === 0) return part;
  const code = document.createElement("code");
  code.textContent = part;
  return code;
});

export function suggestionsHead({ problem, n_labels: nLabels, is_training: isTraining }, isAny) {
  if (problem) return `No suggestions: ${problem}`;
  if (nLabels === null) return isTraining ? "Suggestions: training …" : "No suggestions: too few labels";
  return `Suggestions from ${nLabels} labels${isAny ? "" : ": none for this image"}`;
}

export const spokenSuggestions = (found) =>
  found.length ? `Suggested: ${found.map(([name, share]) => `${name}, ${percent(share)}`).join("; ")}.` : "";

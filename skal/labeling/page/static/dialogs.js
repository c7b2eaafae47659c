// What the page asks and explains.

const byId = (id) => document.getElementById(id);

export const isAnyOpen = () => document.querySelector("dialog[open]") !== null;
export const showHelp = () => byId("help").showModal();

// Gives {text, key}, or null where it was left.
export function ask(question, { proposals = [], withKey = false } = {}) {
  const dialog = byId("ask");
  const text = byId("ask-text"), key = byId("ask-key");
  byId("ask-title").textContent = question;
  byId("ask-key-label").hidden = !withKey;
  text.value = key.value = "";
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
    dialog.addEventListener("close", () => {
      const said = { text: text.value.trim(), key: key.value };
      resolve(dialog.returnValue === "ok" && said.text ? said : null);
    }, { once: true });
  });
}

const finish = () => { if (byId("ask-text").value.trim()) byId("ask").close("ok"); };
for (const id of ["ask-text", "ask-key"]) {
  byId(id).addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    finish();
  });
}
byId("ask-ok").addEventListener("click", finish);
byId("ask-cancel").addEventListener("click", () => byId("ask").close(""));
byId("help").addEventListener("keydown", (event) => {
  if (event.key === "Enter") byId("help").close();
});

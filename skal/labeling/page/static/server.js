// What is said to the server and what it answers. It holds the truth: an answer is shown once it is kept there.

const GONE = "The server does not answer: nothing was recorded. Start `skal label` again and open the address it prints.";

async function content(answer) {
  const isJson = answer.headers.get("content-type")?.includes("json");
  return isJson ? answer.json() : { error: await answer.text() };
}

// Both give what was answered, with `error` where it was refused.
export async function get(path) {
  try {
    return await content(await fetch(path));
  } catch {
    return { error: GONE };
  }
}

export async function post(what, given) {
  try {
    return await content(await fetch(`/api/${what}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Skal": "1" },
      body: JSON.stringify(given),
    }));
  } catch {
    return { error: GONE };
  }
}

export const imageAddress = (row, size = "usual") => `/api/image/${row}${size === "usual" ? "" : `?size=${size}`}`;

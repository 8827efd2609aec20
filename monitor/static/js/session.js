// What every request that changes something carries, and where to go when the session has ended.

export const who = document.body.dataset.who ?? null;
let leaving = false;

/** To the login, and back to this page after it. */
export function toLogin() {
  if (leaving) return;
  leaving = true;
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/** Sends an order; returns null when it was done, else why not. */
export async function post(url, body) {
  const token = document.querySelector('meta[name="csrf-token"]')?.content;
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token ? { "X-CSRFToken": token } : {}) },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(8000),
    });
    if (answer.ok) return null;
    if (answer.status === 401) toLogin();
    return (await answer.json()).error;
  } catch {
    return "the monitor did not answer.";
  }
}
